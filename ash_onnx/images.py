"""Reads image files from anywhere into the uint8 RGB arrays that a model takes."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np

from ash_onnx import jpeg
from ash_onnx.files import open_regular, read_bounded
from ash_onnx.preprocessing import DEFAULT, fit_image

IMAGE_SUFFIXES = ('.jpeg', '.jpg', '.png')
IGNORED = ('Thumbs.db', 'desktop.ini')
MAX_PIXELS = 2**26  # 67 million, 200 MB decoded; checked in the header, before decoding
MAX_FILE_BYTES = 2**29  # an uncompressed 16-bit RGBA image of MAX_PIXELS

_PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'


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
      ValueError: an empty, truncated or damaged file, one that is neither JPEG nor PNG or no
        regular file, or one of more than `MAX_PIXELS` pixels or `MAX_FILE_BYTES` bytes.
    """
    data = read_bounded(path, MAX_FILE_BYTES)
    try:
        return decode_image(data, input_shape, preprocessing, MAX_PIXELS)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error


def decode_image(data, input_shape, preprocessing=DEFAULT, max_pixels=MAX_PIXELS):
    """Decodes the bytes of a JPEG or PNG file, and fits it, as `read_image` does.

    Args:
      data: bytes.
      input_shape, preprocessing: as for `read_image`.
      max_pixels: of the file's image; its header is checked before it is decoded.

    Returns:
      uint8 array [height, width, 3], RGB.

    Raises:
      ValueError: as `read_image`, without a name.
    """
    if not data:
        raise ValueError('the file is empty')
    if data.startswith(_PNG_SIGNATURE):
        pixels = _decode_png(data, max_pixels)
    elif data.startswith(jpeg.SIGNATURE):
        pixels = _decode_jpeg(data, max_pixels)
    else:
        raise ValueError('neither a JPEG nor a PNG image')
    return fit_image(pixels, input_shape, preprocessing)


def _decode_jpeg(data, max_pixels):
    header = jpeg.read_header(data)
    if header is None:
        raise ValueError('a truncated or damaged JPEG file')
    _check_size(header.width, header.height, max_pixels)
    try:
        return jpeg.decode(data, header)
    except ValueError as error:
        raise ValueError(f'a truncated or damaged JPEG file: {error}') from error


def _decode_png(data, max_pixels):
    size = _png_size(data)
    if size is None:
        raise ValueError('a truncated or damaged PNG file')
    _check_size(*size, max_pixels)
    try:
        # IMREAD_COLOR: 8 bits, 3 channels, no alpha.
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:  # OpenCV's own limits, which its environment variables can lower
        raise ValueError(f'OpenCV refuses this image of {size[0]} x {size[1]} pixels: '
                         f'{error.err}') from error
    if bgr is None:
        raise ValueError('a damaged PNG file')
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def _check_size(width, height, max_pixels):
    if not 1 <= width * height <= max_pixels:
        raise ValueError(f'{width} x {height} pixels, expected 1 to {max_pixels} in all')


def find_images(folder):
    """Looks through a folder, not through the folders in it.

    An image is known by what the file begins with, whatever its name ends in. A file of another
    content whose name ends in `IMAGE_SUFFIXES` counts too: `read_image` says what is wrong with it.
    Names that begin with a dot and `IGNORED` are passed over.

    Args:
      folder: path of a folder.

    Returns:
      (images, others), sorted lists of `pathlib.Path`; a folder is among the others.

    Raises:
      OSError: the folder cannot be listed, or a file in it cannot be opened.
    """
    images, others = [], []
    for path in sorted(Path(folder).iterdir()):
        if not path.name.startswith('.') and path.name not in IGNORED:
            (images if _is_image(path) else others).append(path)
    return images, others


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
                     for image in find_images(folder)[0]]
            if not found:
                raise ValueError(f'{path}: no JPEG or PNG image in this folder')
        files += found
    images = [read_image(file, input_shape, preprocessing) for file in files]
    return np.stack(images) if images else np.zeros((0, *input_shape), np.uint8)


def _is_image(path):
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return not path.is_dir()
    if not path.is_file():
        return False
    with open_regular(path) as stream:
        return stream.read(len(_PNG_SIGNATURE)).startswith((_PNG_SIGNATURE, jpeg.SIGNATURE))


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
