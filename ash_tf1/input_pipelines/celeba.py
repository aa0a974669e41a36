"""Aligned faces of CelebA, from the publisher's own files."""
import os
import zipfile
import zlib

import numpy as np

from ash_tf1.input_pipelines.dataset import DataFileError, Images, Remembered
from ash_tf1.input_pipelines.fitting import fit_image
from ash_tf1.input_pipelines.images import MAX_BYTES, Photos, decode_image, read_image
from ash_tf1.reading import open_regular

IMAGE_SIZE = (64, 64)
# The square in the middle that is kept of an image of 178 x 218, as is usual for DCGAN; of images
# that were made smaller, the same share.
CROP, WIDTH = 108, 178
FOLDER = 'img_align_celeba'
ARCHIVE = FOLDER + '.zip'
PARTITION_FILE, ATTRIBUTES_FILE = 'list_eval_partition.txt', 'list_attr_celeba.txt'
IDENTITY_FILE = 'identity_CelebA.txt'
SPLITS = ('train', 'validation', 'test')  # by the number in `PARTITION_FILE`
MAX_LIST_BYTES = 2 ** 26


def load(data_dir, image_size=None, attributes=''):
    """Finds the faces; they are decoded when they are asked for, and then kept in memory.

    `data_dir` has the publisher's files under their own names: `img_align_celeba.zip` or the folder
    `img_align_celeba` that is in it, and `list_eval_partition.txt`. With `attributes`,
    `list_attr_celeba.txt` is needed too. Where `identity_CelebA.txt` is there, the persons are the
    groups of the splits, so that no person is on both sides if a share of train is held out.

    Args:
      data_dir: path of the folder.
      image_size: (height, width) in pixels; None means `IMAGE_SIZE`.
      attributes: names of attributes that a face must have, separated by commas; after `not-`,
        one that it must not have: 'Smiling,not-Male'.

    Returns:
      `Images` named 'celeba'; a split is None where no face is in it.

    Raises:
      ValueError: `data_dir` is None, a list is not what it should be, an attribute is unknown, or
        no face for training is left; the message names file and line.
      OSError: a file is missing or cannot be read.
    """
    if data_dir is None:
        raise ValueError('celeba needs data_dir (--data-dir): the folder with {} or {}/, and with '
                         '{}'.format(ARCHIVE, FOLDER, PARTITION_FILE))
    path = os.fspath(data_dir)
    partition = _read_list(os.path.join(path, PARTITION_FILE), 'a number 0, 1 or 2', 3)
    chosen = set(_with_attributes(os.path.join(path, ATTRIBUTES_FILE), attributes)
                 if attributes else partition)
    persons = None
    if os.path.exists(os.path.join(path, IDENTITY_FILE)):
        persons = _read_list(os.path.join(path, IDENTITY_FILE), 'the number of a person')
    read, (height, width) = _reader(path), image_size or IMAGE_SIZE
    splits = {}

    def make(name):
        return crop_face(read(name), height, width)

    for number, split in enumerate(SPLITS):
        names = [name for name, value in partition.items() if value == number and name in chosen]
        if names:
            splits[split] = Remembered(Photos(names, make))
            splits[split].groups = _groups(names, persons) if persons else None
    if 'train' not in splits:
        problem = ('no face of the split train has the attributes {!r}'.format(attributes)
                   if attributes else '{} has no face of train'.format(PARTITION_FILE))
        raise ValueError('{}: {}'.format(path, problem))
    return Images('celeba', *(splits.get(split) for split in SPLITS))


def _groups(names, persons):
    """The person on each image, int64 [N]."""
    missing = [name for name in names if name not in persons]
    if missing:
        raise DataFileError('{} lacks {}, which {} has'.format(
            IDENTITY_FILE, missing[0], PARTITION_FILE))
    return np.array([persons[name] for name in names], np.int64)


def crop_face(image, height, width):
    """Cuts the square in the middle of an aligned face, and fits it to a size.

    Args:
      image: uint8 [H, W, 3] with H >= W.
      height, width: in pixels.

    Returns:
      uint8 [height, width, 3].
    """
    side = min(round(image.shape[1] * CROP / WIDTH), *image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return fit_image(image[top:top + side, left:left + side], height, width)


def _reader(path):
    """The function that reads an image by its name: from the folder, or else from the archive."""
    folder, archive = os.path.join(path, FOLDER), os.path.join(path, ARCHIVE)
    if os.path.isdir(folder):
        return lambda name: read_image(os.path.join(folder, name))
    if not os.path.exists(archive):
        raise FileNotFoundError('{}: has neither {} nor {}'.format(path, FOLDER, ARCHIVE))
    opened = _open_archive(archive)

    def read(name):
        member = '{}/{}'.format(FOLDER, name)
        try:
            info = opened.getinfo(member)
            if info.file_size > MAX_BYTES:
                raise DataFileError('{}: {} declares {} bytes'.format(
                    archive, member, info.file_size))
            return decode_image('{}: {}'.format(archive, member), opened.read(info))
        except KeyError:
            raise DataFileError('{}: has no {}'.format(archive, member)) from None
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError,
                zlib.error) as error:
            raise DataFileError('{}: {} cannot be read: {}'.format(
                archive, member, error)) from None
    return read


def _open_archive(path):
    try:
        return zipfile.ZipFile(open_regular(path))  # which stays open as long as the reader
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError) as error:
        raise DataFileError('{}: truncated or not a .zip archive ({})'.format(
            path, error)) from None


def _lines(path):
    """(number, words) of each line of a list that is not empty."""
    with open_regular(path) as handle:
        data = handle.read(MAX_LIST_BYTES + 1)
    if len(data) > MAX_LIST_BYTES:
        raise DataFileError('{}: has more than the expected {} bytes'.format(path, MAX_LIST_BYTES))
    try:
        lines = data.decode('ascii').splitlines()
    except UnicodeDecodeError as error:
        raise DataFileError('{}: not a list of names and numbers ({})'.format(
            path, error)) from None
    return [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip()]


def _read_list(path, what, most=2 ** 31):
    """Reads lines `NAME NUMBER`: a dict, name -> int below `most`, in the order of the lines."""
    values = {}
    for number, words in _lines(path):
        if len(words) != 2 or not words[1].isdigit() or not int(words[1]) < most:
            raise DataFileError('{}, line {}: expected a file and {}, got '
                                '{!r:.80}'.format(path, number, what, ' '.join(words)))
        values[_checked_name(path, number, words[0])] = int(words[1])
    return values


def _checked_name(path, number, name):
    if os.path.basename(name) != name or name.startswith('.') or '\\' in name:
        raise DataFileError('{}, line {}: {!r:.80} is no name of a file'.format(path, number, name))
    return name


def _with_attributes(path, attributes):
    """The names of the faces that have, and have not, the attributes as in `load`."""
    lines = _lines(path)
    if len(lines) < 2:
        raise DataFileError('{}: expected a count, a line of attributes and faces'.format(path))
    known = lines[1][1]
    wanted = []
    for attribute in attributes.split(','):
        name = attribute[4:] if attribute.startswith('not-') else attribute
        if name not in known:
            raise ValueError('unknown attribute {!r}; {} has {}'.format(
                name, path, ', '.join(known)))
        wanted.append((1 + known.index(name), '1' if name == attribute else '-1'))
    names = []
    for number, words in lines[2:]:
        if len(words) != 1 + len(known) or not set(words[1:]) <= {'1', '-1'}:
            raise DataFileError('{}, line {}: expected a file and {} numbers, '
                                'each 1 or -1, got {!r:.80}'.format(
                                    path, number, len(known), ' '.join(words)))
        if all(words[column] == value for column, value in wanted):
            names.append(_checked_name(path, number, words[0]))
    return names
