"""A folder of one's own images as a data set: its two layouts, and what is checked of them."""
import functools
import os

import numpy as np

from ash_tf1.input_pipelines.dataset import DataFileError, LabelledImages, Subset
from ash_tf1.input_pipelines.fitting import fit_image
from ash_tf1.input_pipelines.holding_out import draw_share
from ash_tf1.input_pipelines.images import (
    MAX_PIXELS,
    ImageFiles,
    images_of_label,
    visible,
)
from ash_tf1.input_pipelines.loading import ordered_batches

IMAGE_SIZE = (224, 224)
TEST_SHARE = 0.2
FEWEST_IMAGES = 3  # of a class that is split: one for each of train, validation and test
# Whose channels are measured. The error of a mean is then about 1 of 255, of no weight to a net.
MEASURED_IMAGES, MEASURED_SEED = 512, 2022
_SPLITS = {'train': 'train', 'val': 'validation', 'validation': 'validation', 'test': 'test'}


def load(data_dir, image_size=None):
    """Finds the images of a folder; they are decoded when they are asked for.

    The folder is DIR/train/LABEL/*, with DIR/val/LABEL/* (or DIR/validation) and DIR/test/LABEL/*
    or without, all of the same labels; or DIR/LABEL/*, of which `TEST_SHARE` of each class, as
    `draw_share` draws it, is the test split. Images are JPEG or PNG files, whatever their names
    end in. Hidden files and `images.IGNORED` are passed over; anything else is an error. An image
    is fitted by `fit_image` with its defaults: scaled to cover the size, and cut to its centre.

    Args:
      data_dir: path of the folder.
      image_size: (height, width) in pixels; None means `IMAGE_SIZE`.

    Returns:
      `LabelledImages` named 'folder', its labels and images sorted by name, with a validation
      split where the folder has one. The channels are measured on `MEASURED_IMAGES` of train,
      before anything is held out of it.

    Raises:
      ValueError: `data_dir` is None, `image_size` is too large, or something in the folder is
        wrong, which the message names.
      OSError: the folder, or something in it, is missing or cannot be read.
    """
    if data_dir is None:
        raise ValueError('folder needs data_dir (--data-dir): the path of DIR, which holds the '
                         'images as DIR/train/LABEL/*.jpg (and DIR/val, DIR/test) or as '
                         'DIR/LABEL/*.jpg')
    height, width = image_size or IMAGE_SIZE
    if height * width > MAX_PIXELS:
        raise ValueError('an image may have {} pixels, image_size is {} x {}'.format(
            MAX_PIXELS, height, width))
    path = os.fspath(data_dir)
    labels, files = _find_splits(path) if _is_split(path) else _find_and_split(path)
    fit = functools.partial(fit_image, height=height, width=width)
    splits = {name: ImageFiles(files[name], fit) for name in files}
    return LabelledImages('folder', splits['train'], splits.get('validation'), splits.get('test'),
                          labels, *measure_channels(splits['train']))


def measure_channels(split):
    """Measures the pixels of a split, or of `MEASURED_IMAGES` of it, drawn with a fixed seed.

    Args:
      split: a `Split` whose examples have `image`, uint8 [H, W, 3].

    Returns:
      (mean, std), three floats each, in pixel units, rounded to hundredths.
    """
    drawn = np.random.RandomState(MEASURED_SEED).permutation(len(split))[:MEASURED_IMAGES]
    counts = np.zeros([3, 256], np.int64)  # counts are exact, so that the order plays no part
    for batch in ordered_batches(Subset(split, np.sort(drawn)), 8):
        for channel in range(3):
            counts[channel] += np.bincount(batch['image'][..., channel].ravel(), minlength=256)
    shares, values = counts / counts.sum(axis=1, keepdims=True), np.arange(256)
    mean = shares @ values
    std = np.sqrt((shares * (values - mean[:, None]) ** 2).sum(axis=1))
    return tuple(tuple(round(float(value), 2) for value in row) for row in (mean, std))


def _is_split(path):
    """Whether the folder holds splits: a `train` full of images is a label of that name."""
    return any(os.path.isdir(inner) for entry in visible(path)
               if os.path.basename(entry) in _SPLITS and os.path.isdir(entry)
               for inner in visible(entry))


def _find_splits(path):
    """Returns (labels, {split: [(path, class index)]}) of DIR/SPLIT/LABEL/*."""
    folders = {}
    for entry in visible(path):
        split = _SPLITS.get(os.path.basename(entry))
        if split is None:
            raise DataFileError('{}: beside the folders of splits there may only be '
                                '{}'.format(entry, ', '.join(_SPLITS)))
        if split in folders:
            raise DataFileError('{}: is the {} split, as is {}'.format(
                entry, split, folders[split]))
        folders[split] = entry
    if 'train' not in folders:
        raise DataFileError('{}: has no folder train beside {}'.format(
            path, ', '.join(folders.values())))
    found = {split: _find_labels(folder) for split, folder in folders.items()}
    labels = tuple(found['train'])
    for split, images in found.items():
        for label in sorted(set(labels) ^ set(images)):
            has, lacks = sorted(('train', split), key=lambda name: label not in found[name])
            raise DataFileError('{}: has no folder of the label {!r}, which '
                                '{} has'.format(folders[lacks], label, folders[has]))
    return labels, {split: _labelled(found[split]) for split in found}


def _find_and_split(path):
    """Returns (labels, {split: [(path, class index)]}) of DIR/LABEL/*."""
    found = _find_labels(path)
    if len(set(found) & set(_SPLITS)) > 1:
        raise DataFileError('{}: has {}, '
                            'which hold images and no folders of labels'.format(
                                path, ' and '.join(sorted(set(found) & set(_SPLITS)))))
    for label, images in found.items():
        if len(images) < FEWEST_IMAGES:
            raise DataFileError('{}: {} images; a label needs '
                                '{}: for training, validation and test'.format(
                                    os.path.join(path, label), len(images), FEWEST_IMAGES))
    files = _labelled(found)
    in_test = draw_share(np.array([label for _, label in files], np.int64), TEST_SHARE)
    return tuple(found), {'train': [file for file, test in zip(files, in_test) if not test],
                          'test': [file for file, test in zip(files, in_test) if test]}


def _labelled(found):
    return [(image, index) for index, images in enumerate(found.values()) for image in images]


def _find_labels(folder):
    """Returns {label: paths of its images} of FOLDER/LABEL/*, sorted."""
    found = {}
    for entry in visible(folder):
        label = os.path.basename(entry)
        if not os.path.isdir(entry):
            raise DataFileError('{}: not a folder; each image lies in the folder of its '
                                'label'.format(entry))
        # Labels go to terminals and pictures, where control characters do harm, and to files of one
        # label a line, which are read without the spaces around it.
        if not label.isprintable() or label != label.strip():
            raise DataFileError('{}: the name of the folder {!r} is no label'.format(folder, label))
        found[label] = images_of_label(entry)
    if len(found) < 2:
        raise DataFileError('{}: has {} folders of labels, at least 2 are needed'.format(
            folder, len(found)))
    return found
