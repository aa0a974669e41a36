"""Reads image files from anywhere into the uint8 RGB arrays that a model takes."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np

from ash_onnx.preprocessing import DEFAULT, fit_image

IMAGE_SUFFIXES = ('.jpeg', '.jpg', '.png')
MAX_PIXELS = 2**26  # 67 million, 200 MB decoded; checked in the header, before decoding
MAX_FILE_BYTES = 2**29  # an uncompressed 16-bit RGBA image of MAX_PIXELS

_PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
_JPEG_SIGNATURE = b'\xff\xd8\xff'
# Start-of-frame markers: 0xC0 to 0xCF without DHT (C4), JPG (C8) and DAC (CC).
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length: TEM, RSTn, SOI


def read_image(path, input_shape, preprocessing=DEFAULT):
    """Reads a JPEG or PNG file and fits it to a model's input.

    Gray becomes three equal channels; 16-bit samples keep their upper 8 bits; an alpha channel is
    dropped and the colours under it are kept as stored, as training pipelines do; the EXIF
    orientation is applied. Then `fit_image`, which leaves an image of the right size bit-identical.

    Args:
      path: path of the file.
      input_shape: (height, width, 3) in pixels, a `Model`'s.
      preprocessing: a `Preprocessing`, a `Model`'s too.

    Returns:
      uint8 array [height, width, 3], RGB.

    Raises:
      OSError: no such file, or it cannot be read.
      ValueError: an empty, truncated or damaged file, one that is neither JPEG nor PNG, or one of
        more than `MAX_PIXELS` pixels or `MAX_FILE_BYTES` bytes.
    """
    with Path(path).open('rb') as stream:
        data = stream.read(MAX_FILE_BYTES + 1)
    if not data:
        raise ValueError(f'{path}: the file is empty')
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f'{path}: the file has more than {MAX_FILE_BYTES} bytes')
    width, height = _check_container(path, data)
    if not 1 <= width * height <= MAX_PIXELS:
        raise ValueError(f'{path}: {width} x {height} pixels, expected 1 to {MAX_PIXELS} in all')
    try:
        # IMREAD_COLOR: 8 bits, 3 channels, no alpha, EXIF orientation applied.
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:  # OpenCV's own limits, which its environment variables can lower
        raise ValueError(f'{path}: OpenCV refuses this image of {width} x {height} pixels: '
                         f'{error.err}') from error
    if bgr is None:
        raise ValueError(f'{path}: a damaged image file')
    return fit_image(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), input_shape, preprocessing)


def find_images(folder):
    """Lists the image files of a folder, not of the folders in it.

    Args:
      folder: path of a folder.

    Returns:
      Sorted list of `pathlib.Path`: names that end in `IMAGE_SUFFIXES` in any case and do not
      start with a dot.
    """
    return sorted(path for path in Path(folder).iterdir()
                  if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith('.'))


def read_all(paths, input_shape, preprocessing=DEFAULT):
    """Reads image files, and those of folders and of the folders in these, as one array.

    Args:
      paths: of files and folders.
      input_shape, preprocessing: as for `read_image`.

    Returns:
      uint8 array [N, height, width, 3].

    Raises:
      OSError, ValueError: as `read_image`; a folder without images.
    """
    files = []
    for path in map(Path, paths):
        found = [path]
        if path.is_dir():
            found = [image for folder in sorted([path, *path.rglob('*/')]) if folder.is_dir()
                     for image in find_images(folder)]
            if not found:
                raise ValueError(f'{path}: no JPEG or PNG image in this folder')
        files += found
    images = [read_image(file, input_shape, preprocessing) for file in files]
    return np.stack(images) if images else np.zeros((0, *input_shape), np.uint8)


def _check_container(path, data):
    """Returns (width, height) from the header of a file that is complete.

    OpenCV's answer to a cut file differs between its versions: nothing, or the upper half of the
    picture over gray, which would be classified as if nothing were wrong.
    """
    if data.startswith(_PNG_SIGNATURE):
        kind, size = 'PNG', _png_size(data)
    elif data.startswith(_JPEG_SIGNATURE):
        kind, size = 'JPEG', _jpeg_size(data)
    else:
        raise ValueError(f'{path}: neither a JPEG nor a PNG image')
    if size is None:
        raise ValueError(f'{path}: a truncated or damaged {kind} file')
    return size


def _png_size(data):
    """(width, height) of a PNG file whose chunks are all there and unharmed, or None."""
    offset, size = len(_PNG_SIGNATURE), None
    while offset + 12 <= len(data):
        length, kind = struct.unpack_from('>I4s', data, offset)
        end = offset + 12 + length
        if end > len(data):
            return None
        checksum, = struct.unpack_from('>I', data, end - 4)
        if zlib.crc32(memoryview(data)[offset + 4:end - 4]) != checksum:
            return None
        if size is None:  # IHDR has to come first
            if kind != b'IHDR' or length != 13:
                return None
            size = struct.unpack_from('>II', data, offset + 8)
        if kind == b'IEND':
            return size
        offset = end
    return None


def _jpeg_size(data):
    """(width, height) of a JPEG file that has its end-of-image marker, or None."""
    offset, size = 2, None
    while offset + 4 <= len(data) and data[offset] == 0xFF:
        marker = data[offset + 1]
        if marker == 0xFF:  # a fill byte
            offset += 1
        elif marker in _JPEG_BARE:
            offset += 2
        else:
            if marker in _JPEG_FRAMES and offset + 9 <= len(data):
                height, width = struct.unpack_from('>HH', data, offset + 5)
                size = width, height
            if marker == 0xDA:  # the image data; 0xFF in it is stuffed, so that EOI is the end
                return size if data.find(b'\xff\xd9', offset) > 0 else None
            offset += 2 + struct.unpack_from('>H', data, offset + 2)[0]
    return None
