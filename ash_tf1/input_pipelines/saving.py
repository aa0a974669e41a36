"""Writes a split of labelled images as files, one folder a class."""
import os

import cv2
import numpy as np


def save_image_folder(split, labels, folder, per_class=None):
    """Writes the images of a split as `folder/LABEL/INDEX.png`, losslessly.

    Args:
      split: a `Split` of N examples with `image` and `label`.
      labels: the classes' names, which become the names of the folders.
      folder: an existing folder.
      per_class: how many images of each class to write, the first ones; None for all.

    Returns:
      The number of images written.

    Raises:
      ValueError: a class's name cannot be that of a folder, or per_class is smaller than 1.
      OSError: a file cannot be written.
    """
    if per_class is not None and per_class < 1:
        raise ValueError('per_class must be at least 1, got {!r}'.format(per_class))
    for label in labels:
        if label in ('.', '..') or any(mark in label for mark in '/\\\0'):
            raise ValueError('class name {!r} cannot be the name of a folder'.format(label))
    written = 0
    classes = split.labels
    for index, label in enumerate(labels):
        os.makedirs(os.path.join(folder, label), exist_ok=True)
        for example in np.flatnonzero(classes == index)[:per_class]:
            path = os.path.join(folder, label, '{:05d}.png'.format(example))
            # OpenCV's order is BGR.
            if not cv2.imwrite(path, np.ascontiguousarray(split[example]['image'][:, :, ::-1])):
                raise OSError('cannot write {}'.format(path))
            written += 1
    return written
