"""JPEG files: decoded to the pixels that OpenCV gives, and refused where the picture is damaged.

OpenCV fills what a JPEG file lacks with gray, and gives no warning. The strict mode of simplejpeg
raises libjpeg-turbo's warnings as errors. Some of them concern what changes no pixel, such as bytes
between two segments. So a file that is refused is decoded again without such parts (`_repaired`).
A JPEG file has no checksum: damage after which a whole picture can be decoded stays unseen, but
for blocks of zeros, which no encoder writes.
"""

import re
import struct
from typing import NamedTuple

import numpy as np
import simplejpeg

SIGNATURE = b'\xff\xd8\xff'
_START = SIGNATURE[:2]
MOST_SCANS = 100  # encoders write about ten; each takes as long as the whole picture

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_HUFFMAN_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), (0xC2, 0xC6, 0xCA, 0xCE)
_BARE = (0x01, 0xD8)  # have no payload
_TABLES, _SCAN, _END, _EXIF, _JFIF, _ADOBE = 0xC4, 0xDA, 0xD9, 0xE1, 0xE0, 0xEE
_MARKER = re.compile(rb'\xff[\x01-\xcf\xd8-\xfe]')  # in the data of a scan, too
_BYTE_ORDERS = {b'II*\0': '<', b'MM\0*': '>'}
# libjpeg-turbo's warning of bytes between the picture and the end marker.
_STRAY = re.compile(r'(\d+) extraneous bytes before marker 0xd9')
_ZEROS = bytes(16)  # 70,000 photos in all qualities hold no run of more than 7
# Exif orientation -> (whether rows and columns change places, order of rows, order of columns).
_TURNS = {2: (False, slice(None, None, 1), slice(None, None, -1)),
          3: (False, slice(None, None, -1), slice(None, None, -1)),
          4: (False, slice(None, None, -1), slice(None, None, 1)),
          5: (True, slice(None, None, 1), slice(None, None, 1)),
          6: (True, slice(None, None, 1), slice(None, None, -1)),
          7: (True, slice(None, None, -1), slice(None, None, -1)),
          8: (True, slice(None, None, -1), slice(None, None, 1))}


class Segment(NamedTuple):
    """A marker with its payload, data[start:end]; the data of a scan go on to `scan_end`."""

    marker: int
    start: int
    end: int
    scan_end: int


class Header(NamedTuple):
    """What a JPEG file says of its picture.

    Attributes:
      width, height: of the stored picture, in pixels.
      frame: the `Segment` that says so.
      segments: list of all up to the end marker.
    """

    width: int
    height: int
    frame: Segment
    segments: list


def read_header(data):
    """Reads the markers of a JPEG file up to its end, without decoding.

    Args:
      data: bytes of the file.

    Returns:
      A `Header`; None where the file is no JPEG file or ends before its picture does.
    """
    segments = _segments(data) if data.startswith(SIGNATURE) else []
    frames = [one for one in segments if one.marker in _FRAMES and one.end - one.start >= 9]
    if len(frames) != 1 or segments[-1].marker != _END:
        return None
    height, width = struct.unpack_from('>HH', data, frames[0].start + 1)
    header = Header(width, height, frames[0], segments)
    return header if _is_complete(data, header) else None


def _segments(data):
    found, position, size, scans = [], len(_START), len(data), 0
    while position + 1 < size:
        marker = data[position + 1]
        if data[position] != 0xFF or marker in (0x00, 0xFF):  # bytes between segments
            position = _next_marker(data, position)
            continue
        position += 2
        if marker in _BARE:
            continue
        if marker == _END:
            found.append(Segment(marker, position, position, position))
            break
        end = position + int.from_bytes(data[position:position + 2], 'big')
        behind = end
        if marker == _SCAN:
            behind = _next_marker(data, end)
            scans += 1
        if not position + 2 <= end <= size or scans > MOST_SCANS:
            break
        found.append(Segment(marker, position + 2, end, behind))
        position = behind
    return found


def _next_marker(data, position):
    found = _MARKER.search(data, position)
    return found.start() if found else len(data)


def _is_complete(data, header):
    """Whether the scans give every coefficient of every component, to its last bit."""
    components = data[header.frame.start + 6:header.frame.end:3]
    scans = [one for one in header.segments if one.marker == _SCAN]
    if header.frame.marker not in _PROGRESSIVE:
        return {*components} == {*b''.join(_scan_parts(data, scan)[0] for scan in scans)}
    missing = {component: [True] * 64 for component in components}
    for scan in scans:
        selected, _, (first, last, bits) = _scan_parts(data, scan)
        for component in missing.keys() & {*selected}:
            missing[component][first:last + 1] = [bits & 15 > 0] * len(range(first, last + 1))
    return not any(map(any, missing.values()))


def _scan_parts(data, scan):
    """Of a scan: its components, their tables, and (first coefficient, last, shift of bits)."""
    end = scan.end - 3
    return data[scan.start + 1:end:2], data[scan.start + 2:end:2], data[end:scan.end]


def decode(data, header):
    """Decodes a JPEG file, and turns the picture as the camera noted.

    Args:
      data: bytes of the file.
      header: what `read_header` gave for it.

    Returns:
      uint8 array [height, width, 3], RGB.

    Raises:
      ValueError: the picture is damaged, or its components are sampled as hardly any file's are.
    """
    pixels, stray = _decode(data, header)
    if _has_zeroed_data(data, header, stray):
        raise ValueError('a part of its data is zeros')
    return _turned(pixels, _orientation(data, header))


def _decode(data, header):
    """(pixels, how many bytes lie between the picture and the end marker)."""
    error = None
    for attempt in range(2):
        candidate = _repaired(data, header) if attempt else data
        try:
            return simplejpeg.decode_jpeg(candidate, 'RGB', strict=True), 0
        except ValueError as warning:
            # The first warning of all, and at the end marker: nothing was wrong before it.
            stray = _STRAY.search(str(warning))
            if stray:
                return simplejpeg.decode_jpeg(candidate, 'RGB', strict=False), int(stray.group(1))
            error = error or warning
    raise ValueError(' '.join(str(error).split()).replace('Corrupt JPEG data: ', '')) from error


def _repaired(data, header):
    """The file without what draws a warning and has no part in the picture.

    Such are bytes between segments, an unknown version of JFIF or transform of Adobe, and the
    coefficients that a scan of a sequential file claims to hold.
    """
    parts = [data[:2]]
    for segment in header.segments[:-1]:
        payload = bytearray(data[segment.start:segment.end])
        if segment.marker == _JFIF and payload[:5] == b'JFIF\0' and len(payload) > 5:
            payload[5] = 1
        elif segment.marker == _ADOBE and payload[:5] == b'Adobe' and len(payload) > 11:
            payload[11] = min(payload[11], 2)
        elif 0xE0 <= segment.marker <= 0xEF or segment.marker == 0xFE:  # comments and the like
            continue
        elif segment.marker == _SCAN and header.frame.marker not in _PROGRESSIVE:
            payload[-3:] = bytes((0, 63, 0))
        parts += [struct.pack('>BBH', 0xFF, segment.marker, len(payload) + 2), bytes(payload)]
        if segment.marker == _SCAN:
            parts.append(data[segment.end:segment.scan_end])
    return b''.join((*parts, b'\xff\xd9'))


def _has_zeroed_data(data, header, stray):
    """Whether data of a scan, but for the stray bytes behind the last, are a block of zeros.

    Where all codes that begin with 0 stand for flat blocks, as in optimised files of drawings, such
    a block may be a flat area. Progressive files may have such runs too; damage to them draws
    warnings.
    """
    if header.frame.marker not in _HUFFMAN_SEQUENTIAL:
        return False
    for scan in header.segments:
        if scan.marker == _SCAN:
            end = scan.scan_end - (stray if scan is header.segments[-2] else 0)
            if data.find(_ZEROS, scan.end, end) >= 0 and not _zeros_are_flat(data, header, scan):
                return True
    return False


def _zeros_are_flat(data, header, scan):
    """Whether zeros mean, by the Huffman tables, no change of brightness and an end of block."""
    first = {}  # the symbol whose code is all zeros, by class and number of its table
    for segment in header.segments:
        position = segment.start
        while segment.marker == _TABLES and position + 17 < segment.end:
            first[data[position]] = data[position + 17]
            position += 17 + sum(data[position + 1:position + 17])
    return all(first.get(tables >> 4) == 0 and first.get(0x10 | tables & 15) == 0
               for tables in _scan_parts(data, scan)[1])


def _orientation(data, header):
    """The orientation by the Exif segment, 1 to 8; 1 where it says none."""
    for segment in header.segments:
        if segment.marker != _EXIF or not data.startswith(b'Exif\0', segment.start):
            continue
        exif = data[segment.start + 6:segment.end]
        order = _BYTE_ORDERS.get(exif[:4])
        if order is None:
            continue
        try:
            start, = struct.unpack_from(order + 'I', exif, 4)
            count, = struct.unpack_from(order + 'H', exif, start)
            for entry in range(count):
                tag, _, _, value = struct.unpack_from(order + 'HHIH', exif, start + 2 + 12 * entry)
                if tag == 0x0112:
                    return value
        except struct.error:  # it ends early
            pass
    return 1


def _turned(pixels, orientation):
    if orientation not in _TURNS:
        return pixels
    transpose, rows, columns = _TURNS[orientation]
    pixels = pixels.transpose(1, 0, 2) if transpose else pixels
    return np.ascontiguousarray(pixels[rows, columns])
