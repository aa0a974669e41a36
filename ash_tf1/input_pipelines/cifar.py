"""CIFAR-10 and CIFAR-100 from the publisher's files: both layouts, as folder or as archive."""
import hashlib
import os
import warnings
from typing import NamedTuple, Tuple

import numpy as np

from ash_tf1.input_pipelines.archives import read_members
from ash_tf1.input_pipelines.dataset import ArraySplit, DataFileError, LabelledImages
from ash_tf1.input_pipelines.restricted_pickle import load_pickle
from ash_tf1.reading import open_regular, read_bounded

HOME_PAGE = 'https://www.cs.toronto.edu/~kriz/cifar.html'

_SIDE = 32
_PIXELS = 3 * _SIDE * _SIDE
_META_LIMIT = 65536  # bytes; the official files have at most 1.5 kB
_MOST_MEMBERS = 64  # the official archives have at most 9


class Layout(NamedTuple):
    """One of the two forms in which a CIFAR is published; `kind` is 'python' or 'binary'."""

    kind: str
    archive: str
    md5: str
    folder: str
    train: Tuple[str, ...]
    test: str
    meta: str


class CifarSpec(NamedTuple):
    """What tells one CIFAR from the other.

    Attributes:
      name, title: as `load_dataset` and as people call it.
      label_fields: (key in the pickles, number of classes) of each label of a record, in the
        order of the binary layout's label bytes; the last is the one to learn.
      names_key: key of the class names in the pickled meta file.
      train_records: records in each official training file.
      test_records: records in the official test file.
      channel_mean, channel_std: of the training images, as in `LabelledImages`.
      layouts: the forms to look for, in order of preference.
    """

    name: str
    title: str
    label_fields: Tuple[Tuple[str, int], ...]
    names_key: str
    train_records: int
    test_records: int
    channel_mean: Tuple[float, float, float]
    channel_std: Tuple[float, float, float]
    layouts: Tuple[Layout, ...]


CIFAR10 = CifarSpec(
    name='cifar10', title='CIFAR-10', label_fields=(('labels', 10),), names_key='label_names',
    train_records=10000, test_records=10000,
    channel_mean=(125.3, 123.0, 113.9), channel_std=(63.0, 62.1, 66.7),
    layouts=(
        Layout('python', 'cifar-10-python.tar.gz', 'c58f30108f718f92721af3b95e74349a',
               'cifar-10-batches-py', tuple('data_batch_{}'.format(i) for i in range(1, 6)),
               'test_batch', 'batches.meta'),
        Layout('binary', 'cifar-10-binary.tar.gz', 'c32a1d4ab5d03f1284b67883e8d87530',
               'cifar-10-batches-bin', tuple('data_batch_{}.bin'.format(i) for i in range(1, 6)),
               'test_batch.bin', 'batches.meta.txt')))

CIFAR100 = CifarSpec(
    name='cifar100', title='CIFAR-100', label_fields=(('coarse_labels', 20), ('fine_labels', 100)),
    names_key='fine_label_names', train_records=50000, test_records=10000,
    channel_mean=(129.3, 124.1, 112.4), channel_std=(68.2, 65.4, 70.4),
    layouts=(
        Layout('python', 'cifar-100-python.tar.gz', 'eb9058c3a382ffc7106e4002c42a8d85',
               'cifar-100-python', ('train',), 'test', 'meta'),
        Layout('binary', 'cifar-100-binary.tar.gz', '03b5dce01913d631647c71ecec9e9cb8',
               'cifar-100-binary', ('train.bin',), 'test.bin', 'fine_label_names.txt')))


def load(spec, data_dir):
    """Loads a CIFAR from the publisher's files; nothing is downloaded, extracted or executed.

    Args:
      spec: `CIFAR10` or `CIFAR100`.
      data_dir: path of the extracted folder, of the folder that holds it, or of the official
        .tar.gz archive. Where a folder holds both layouts, the Python one is read. Files with
        fewer records than the official ones are read too.

    Returns:
      `LabelledImages` of 32x32 pixels in the files' order, without a validation split; CIFAR-100
      with its fine labels.

    Raises:
      ValueError: `data_dir` is None, or a file is truncated, wrong, too large or unsafe; the
        message names the file.
      FileNotFoundError: `data_dir` or one of the files in it is missing.

    Warns:
        UserWarning: the archive has an official name and another checksum.
    """
    if data_dir is None:
        archives = ' or '.join(layout.archive for layout in spec.layouts)
        raise ValueError('{} needs data_dir (--data-dir): the path of {} or of its extracted '
                         'folder, as published at {}'.format(spec.title, archives, HOME_PAGE))
    path = os.fspath(data_dir)
    if not os.path.exists(path):
        raise FileNotFoundError(
            '{}: no such file or folder; {} is published at {}'.format(path, spec.title, HOME_PAGE))
    read = _read_folder if os.path.isdir(path) else _read_archive
    layout, place, contents = read(spec, path)
    names = _class_names(spec, layout, place + layout.meta, contents[layout.meta])
    decode = {'python': _decode_pickle, 'binary': _decode_binary}[layout.kind]

    def split(files):
        parts = [decode(spec, place + file, contents[file]) for file in files]
        return ArraySplit(image=np.concatenate([images for images, _ in parts]),
                          label=np.concatenate([labels for _, labels in parts]))

    return LabelledImages(spec.name, split(layout.train), None, split([layout.test]), names,
                          spec.channel_mean, spec.channel_std)


def _size_limits(spec, layout):
    """Returns the most bytes that each file of a layout may have, by file name."""
    # A binary record has exactly this size. A pickled one has about 3105 bytes: the pixels, the
    # file name and the labels.
    record = {'binary': len(spec.label_fields) + _PIXELS, 'python': 4096}[layout.kind]
    limits = dict.fromkeys(layout.train, spec.train_records * record)
    limits[layout.test] = spec.test_records * record
    limits[layout.meta] = _META_LIMIT
    return limits


def _read_folder(spec, path):
    """Returns (layout, prefix of the files' names in messages, {file name: bytes})."""
    places = ([(path, layout) for layout in spec.layouts]
              + [(os.path.join(path, layout.folder), layout) for layout in spec.layouts])
    for enough in (all, any):  # a complete layout goes before one of which a file is missing
        for folder, layout in places:
            limits = _size_limits(spec, layout)
            if enough(os.path.isfile(os.path.join(folder, file)) for file in limits):
                return layout, os.path.join(folder, ''), {
                    file: _read_file(os.path.join(folder, file), limit)
                    for file, limit in limits.items()}
    folders = ' or '.join(layout.folder for layout in spec.layouts)
    raise FileNotFoundError(
        '{}: holds neither the files of {} nor its folder {}, '
        'as published at {}'.format(path, spec.title, folders, HOME_PAGE))


def _read_file(path, limit):
    if not os.path.exists(path):
        raise FileNotFoundError('{}: missing; see {}'.format(path, HOME_PAGE))
    return read_bounded(path, limit)


def _read_archive(spec, path):
    """The same as `_read_folder` for a .tar.gz archive, in one pass and in memory."""
    _warn_of_checksum(spec, path)
    limits = {layout: _size_limits(spec, layout) for layout in spec.layouts}
    contents = read_members(path, {layout.folder + '/' + file: limit for layout in spec.layouts
                                   for file, limit in limits[layout].items()},
                            _META_LIMIT, _MOST_MEMBERS)
    for layout in spec.layouts:
        prefix = layout.folder + '/'
        found = {file: contents[prefix + file] for file in limits[layout]
                 if prefix + file in contents}
        missing = [file for file in limits[layout] if file not in found]
        if found and missing:
            raise DataFileError('{}: has no member {}{}'.format(path, prefix, missing[0]))
        if found:
            return layout, '{}:{}'.format(path, prefix), found
    first = spec.layouts[0]
    raise DataFileError('{}: holds none of the files of {}, such as '
                        '{}/{}'.format(path, spec.title, first.folder, first.test))


def _warn_of_checksum(spec, path):
    official = {layout.archive: layout.md5 for layout in spec.layouts}.get(os.path.basename(path))
    if official is None:
        return
    digest = hashlib.md5()
    with open_regular(path) as handle:
        for block in iter(lambda: handle.read(2 ** 20), b''):
            digest.update(block)
    if digest.hexdigest() != official:
        # The level is that of the caller of load_dataset.
        warnings.warn('{}: its md5 is {}, that of the official archive is '
                      '{}; reading it as a copy that was packed anew'.format(
                          path, digest.hexdigest(), official), stacklevel=5)


def _class_names(spec, layout, name, content):
    try:
        names = (load_pickle(content, name).get(spec.names_key) if layout.kind == 'python'
                 else [line.strip() for line in content.splitlines() if line.strip()])
        names = tuple(label if isinstance(label, str) else label.decode('utf-8') for label in names)
    except (AttributeError, TypeError, UnicodeDecodeError):
        names = ()
    classes = spec.label_fields[-1][1]
    if len(names) != classes or len(set(names)) != classes:
        raise DataFileError('{}: does not hold the {} class names of {}'.format(
            name, classes, spec.title))
    return names


def _decode_pickle(spec, name, content):
    record = load_pickle(content, name)
    pixels = record.get('data')
    if not isinstance(pixels, np.ndarray) or pixels.shape[1] != _PIXELS:
        raise DataFileError("{}: its 'data' is not a uint8 array [N, {}]".format(name, _PIXELS))
    columns = []
    for key, _ in spec.label_fields:
        labels = record.get(key)
        # Checked one by one, because numpy would expand what a pickle may nest without end.
        if not isinstance(labels, list) or not all(
                type(label) is int and 0 <= label < 2 ** 31 for label in labels):
            raise DataFileError('{}: its {!r} is not a list of class indices'.format(name, key))
        if len(labels) != len(pixels):
            raise DataFileError('{}: has {} {} for {} images'.format(
                name, len(labels), key, len(pixels)))
        columns.append(labels)
    return _images(pixels), _labels(spec, name, columns)


def _decode_binary(spec, name, content):
    fields = len(spec.label_fields)
    if not content or len(content) % (fields + _PIXELS):
        raise DataFileError('{}: has {} bytes, which is not a whole number of '
                            '{}-byte records'.format(name, len(content), fields + _PIXELS))
    records = np.frombuffer(content, np.uint8).reshape(-1, fields + _PIXELS)
    return _images(records[:, fields:]), _labels(spec, name, records[:, :fields].T)


def _images(pixels):
    """Turns planes (all red, all green, all blue, each row by row) into NHWC."""
    return np.ascontiguousarray(pixels.reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1))


def _labels(spec, name, columns):
    for (key, classes), column in zip(spec.label_fields, columns):
        labels = np.array(column, dtype=np.int64)
        wrong = np.flatnonzero(labels >= classes)
        if wrong.size:
            raise DataFileError('{}: record {} has {} {}, '
                                'allowed are 0..{}'.format(
                                    name, wrong[0], key, labels[wrong[0]], classes - 1))
    return labels
