"""Photos in files: decoded within bounds to uint8 RGB, found in folders, and as a split."""
import itertools
import os
import struct
import zlib

import cv2
import numpy as np

from ash_tf1.input_pipelines import jpeg
from ash_tf1.input_pipelines.dataset import DataFileError, Split
from ash_tf1.reading import open_regular, read_bounded

SUFFIXES = ('.jpeg', '.jpg', '.png')
IGNORED = ('Thumbs.db', 'desktop.ini')  # as are names that begin with a dot
MAX_PIXELS = 2 ** 26  # 200 MB decoded; looked up in the header, before anything is decoded
MAX_BYTES = 2 ** 29   # of a file

_PNG = b'\x89PNG\r\n\x1a\n'


def read_image(path):
    """Reads a PNG or JPEG file.

    Gray becomes three equal channels, 16 bits become 8, alpha is dropped, and the orientation that
    a camera noted is applied.

    Args:
      path: of the file.

    Returns:
      uint8 [height, width, 3], RGB.

    Raises:
      OSError: it cannot be opened.
      ValueError: it is no regular file or no whole PNG or JPEG file, or larger than `MAX_PIXELS`
        or `MAX_BYTES`.
    """
    return decode_image(path, read_bounded(path, MAX_BYTES))


def decode_image(path, data):
    """As `read_image`, of the bytes of a file that were read from elsewhere.

    Args:
      path: what messages call it.
      data: bytes.
    """
    pixels = (_decode_png if data.startswith(_PNG) else _decode_jpeg)(path, data)
    if pixels is None:
        raise ValueError('{} is no whole PNG or JPEG file'.format(path))
    return pixels


def _decode_jpeg(path, data):
    """The pixels; None where the file is another one, or ends before its picture."""
    header = jpeg.read_header(data)
    if header is None:
        return None
    _check_size(path, header.width, header.height)
    try:
        return jpeg.decode(data, header)
    except ValueError as error:
        raise ValueError('{} cannot be decoded, the file is damaged: {}'.format(
            path, error)) from None


def _decode_png(path, data):
    """The pixels; None where a chunk is missing or its checksum is wrong."""
    size = _png_size(data)
    if size is None:
        return None
    _check_size(path, *size)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ValueError('{} cannot be decoded: {}'.format(path, error)) from None
    if pixels is None:
        raise ValueError('{} cannot be decoded: the file is damaged'.format(path))
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def _check_size(path, width, height):
    if not 1 <= width * height <= MAX_PIXELS:
        raise ValueError('{} has {} x {} pixels; 1 to {} are read'.format(
            path, width, height, MAX_PIXELS))


def is_image(path):
    """Whether a file begins as a PNG or JPEG file does.

    Raises:
      OSError: it cannot be opened.
      ValueError: it is no regular file.
    """
    with open_regular(path) as handle:
        return handle.read(len(_PNG)).startswith((_PNG, jpeg.SIGNATURE))


def _png_size(data):
    """(width, height) of a PNG file; None where a chunk is missing or its checksum is wrong."""
    position, size = len(_PNG), None
    while len(data) >= position + 12:
        length, = struct.unpack_from('>I', data, position)
        kind, end = data[position + 4:position + 8], position + 12 + length
        if end > len(data):
            return None
        if zlib.crc32(data[position + 4:end - 4]) != struct.unpack_from('>I', data, end - 4)[0]:
            return None
        if kind == b'IHDR' and length == 13:
            size = struct.unpack_from('>II', data, position + 8)
        elif kind == b'IEND':
            return size
        position = end
    return None


def visible(folder):
    """The paths in a folder, sorted, but for hidden ones and `IGNORED`.

    Raises:
      OSError: the folder cannot be listed.
    """
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder))
            if not name.startswith('.') and name not in IGNORED]


def find_images(folder):
    """The paths of a folder's own PNG and JPEG files, sorted, whatever their names end in.

    A file of another content whose name ends in `SUFFIXES` counts too: `read_image` says what is
    wrong with it.

    Raises:
      OSError: the folder cannot be listed, or a file in it cannot be opened.
    """
    return [path for path in visible(folder) if not os.path.isdir(path) and (
        path.lower().endswith(SUFFIXES) or os.path.isfile(path) and is_image(path))]


def images_of_label(folder):
    """The paths of the images in the folder of a label, sorted; there may be nothing else in it.

    Raises:
      OSError: the folder cannot be listed, or a file in it cannot be opened.
      ValueError: it holds no images, a folder, or a file that is no PNG or JPEG file.
    """
    entries = visible(folder)
    if not entries:
        raise DataFileError('{}: holds no images'.format(folder))
    foreign = []
    for entry in entries:
        if os.path.isdir(entry):
            raise DataFileError('{}: a folder, where images are expected'.format(entry))
        if not is_image(entry):
            foreign.append(entry)
    if foreign:
        others = ', nor are {} others beside it'.format(len(foreign) - 1) if foreign[1:] else ''
        raise DataFileError('{}: not a JPEG or PNG file{}'.format(foreign[0], others))
    return entries


def find_labelled_images(folder, labels):
    """The images of a tree that has a folder for each class, named by its label.

    Args:
      folder: of the tree.
      labels: the classes' names. One without a folder has no images.

    Returns:
      A list of (path, class index), sorted by path.

    Raises:
      OSError: a folder cannot be listed, or a file cannot be opened.
      ValueError: something in the tree is no folder, or no image in the folder of a label; a
        folder is no label, or that of two classes; or there are no images.
    """
    files = []
    for path in visible(folder):
        name = os.path.basename(path)
        if not os.path.isdir(path):
            raise DataFileError('{}: not a folder; each image lies in the folder of its '
                                'label'.format(path))
        count = labels.count(name)
        if count != 1:
            shown = ', '.join(labels[:10]) + (', ...' if len(labels) > 10 else '')
            raise ValueError('{}: {} of the net\'s labels are {!r}, where a folder '
                             'needs one; its {} labels are {}'.format(
                                 path, count, name, len(labels), shown))
        files += [(image, labels.index(name)) for image in images_of_label(path)]
    if not files:
        raise ValueError('{} has no PNG or JPEG images in folders that are named by labels'.format(
            folder))
    return files


def sample_images(paths, count):
    """The first images of files and folders.

    Args:
      paths: of image files and of folders. A folder stands for the images in it; where it has
        none, for those in the folders in it: the first of each, then the second of each, ...
      count: how many to find, at most.

    Returns:
      A list of at least one path, at most `count`.

    Raises:
      OSError: a folder cannot be listed.
      ValueError: a folder has no images.
    """
    files = []
    for path in paths:
        found = [path]
        if os.path.isdir(path):
            found = find_images(path)
        if not found:
            each = [find_images(inner) for inner in visible(path) if os.path.isdir(inner)]
            found = [image for images in itertools.zip_longest(*each) for image in images if image]
        if not found:
            raise ValueError('{} has no PNG or JPEG images'.format(path))
        files += found
    return files[:count]


class Photos(Split):
    """Photos without labels, each made when its example is asked for.

    Args:
      names: sequence of what the photos are called.
      make: function of a name to uint8 [H, W, 3]; called in threads. What it raises comes out of
        `__getitem__`.
    """

    def __init__(self, names, make):
        self.names, self._make = tuple(names), make

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        return {'image': self._make(self.names[index])}


class ImageFiles(Split):
    """Photos of classes, each read and fitted when its example is asked for.

    Args:
      files: sequence of (path, class index).
      fit: function of uint8 [any height, any width, 3] to uint8 [H, W, 3]; called in threads.
    """

    def __init__(self, files, fit):
        self.files, self._fit = tuple(files), fit

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        """Returns the example; raises OSError or ValueError as `read_image`."""
        path, label = self.files[index]
        return {'image': self._fit(read_image(path)), 'label': np.int64(label)}

    @property
    def labels(self):
        return np.array([label for _, label in self.files], np.int64)
