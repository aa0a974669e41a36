"""The contract that every data set keeps: what its arrays hold, and the check that they do."""
import numbers
from typing import NamedTuple, Tuple

import numpy as np


class DataFileError(ValueError):
    """A file of a data set does not hold what it should; the message names the file and why."""


class Split(NamedTuple):
    """The examples of one half (training or test) of a data set.

    Attributes:
        images: uint8 [N, H, W, 3], C-contiguous, RGB, 0..255, as the publisher gives them: neither
            normalised nor augmented. N is at least 1. Treat them as read-only.
        labels: int64 [N], indices into `Dataset.labels`.
    """

    images: np.ndarray
    labels: np.ndarray


class Dataset(NamedTuple):
    """A labelled set of images, whole in memory.

    Attributes:
        name: the name under which `load_dataset` finds it.
        train: the `Split` to train on.
        test: the `Split` to evaluate on, with images of the same size.
        labels: the classes' names; the place of a name is its class index.
        channel_mean: three floats (R, G, B) in pixel units, 0..255.
        channel_std: three positive floats (R, G, B) in pixel units. A net sees
            (pixel - channel_mean) / channel_std, computed in its graph and nowhere else.
    """

    name: str
    train: Split
    test: Split
    labels: Tuple[str, ...]
    channel_mean: Tuple[float, float, float]
    channel_std: Tuple[float, float, float]


def validate(dataset):
    """Checks that a data set keeps the contract of `Dataset` and `Split`.

    Args:
        dataset: a `Dataset`.

    Returns:
        The same data set.

    Raises:
        ValueError: a shape, dtype, label or constant breaks the contract; the message names the
            data set, the part and the offending value.
    """
    problem = (_labels_problem(dataset.labels)
               or _split_problem('train', dataset.train, len(dataset.labels))
               or _split_problem('test', dataset.test, len(dataset.labels))
               or _sizes_problem(dataset.train, dataset.test)
               or _channels_problem('channel_mean', dataset.channel_mean)
               or _channels_problem('channel_std', dataset.channel_std))
    if not problem and min(dataset.channel_std) == 0:
        problem = f'channel_std must be positive, got {dataset.channel_std!r}'
    if problem:
        raise ValueError(f'data set {dataset.name!r}: {problem}')
    return dataset


# Each of these says in words how its part breaks the contract; an empty string where it does not.

def _labels_problem(labels):
    if not (isinstance(labels, tuple) and labels
            and all(isinstance(label, str) and label for label in labels)):
        return f'labels must be a tuple of non-empty strings, got {labels!r:.200}'
    return ''


def _split_problem(part, split, num_classes):
    images, labels = split.images, split.labels
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3 or not images.size:
        return (f'{part} images must be uint8 [N, H, W, 3] and not empty, '
                f'got {images.dtype} {list(images.shape)}')
    if not images.flags.c_contiguous:
        return f'{part} images must be C-contiguous'
    if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
        return (f'{part} labels must be int64 [{len(images)}], '
                f'got {labels.dtype} {list(labels.shape)}')
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if wrong.size:
        return (f'{part} label of example {wrong[0]} is {labels[wrong[0]]}, '
                f'allowed are 0..{num_classes - 1}')
    return ''


def _sizes_problem(train, test):
    if train.images.shape[1:] != test.images.shape[1:]:
        return (f'train images are {train.images.shape[1:3]} and test images '
                f'{test.images.shape[1:3]}; they must be of one size')
    return ''


def _channels_problem(field, values):
    if len(values) != 3 or not all(
            isinstance(value, numbers.Real) and 0 <= value <= 255 for value in values):
        return f'{field} must be three numbers in 0..255, got {values!r}'
    return ''
