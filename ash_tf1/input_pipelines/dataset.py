"""The contract of a data set: splits of examples, and the check that a data set keeps it."""
import dataclasses
import numbers
from typing import Optional, Tuple

import numpy as np


class DataFileError(ValueError):
    """A file of a data set does not hold what it should; the message names the file and why."""


class Split:
    """A sequence of examples; a subclass gives `__len__` and `__getitem__`.

    An example is a dict of name -> NumPy array or scalar, with the same names in every example.
    For classification these are `image`, uint8 [H, W, 3], C-contiguous, RGB, 0..255, neither
    normalised nor augmented, and `label`, an int64 scalar. Examples may share memory with the
    split: treat them as read-only.

    Attributes:
      in_memory: whether making an example costs nothing. Where it does, examples are made by a
        pool of threads, so `__getitem__` must be safe to call from several at once.
      groups: int64 [N], the group of each example, such as the person on a photo; None where
        there are none. A group is not divided when a share of a split is held out.
    """

    in_memory = False
    groups = None

    def __len__(self):
        raise NotImplementedError

    def __getitem__(self, index):
        """Returns the example at `index`, 0..len - 1; raises IndexError beyond."""
        raise NotImplementedError

    def __iter__(self):
        return (self[index] for index in range(len(self)))

    def batch(self, indices):
        """Returns the examples at `indices` [B] as a dict of new arrays, stacked along axis 0."""
        return stack_examples([self[index] for index in indices])

    @property
    def labels(self):
        """The `label` of every example, int64 [N]; override it where that needs no image."""
        return np.array([example['label'] for example in self], np.int64)


class ArraySplit(Split):
    """A split whose examples are rows of arrays in memory.

    Args:
      **arrays: name -> array [N, ...]; example i holds the row i of each.

    Raises:
      ValueError: there are no arrays, or they differ in length.
    """

    in_memory = True

    def __init__(self, **arrays):
        lengths = {name: len(array) for name, array in arrays.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError('the arrays of a split must be of one length, got {}'.format(lengths))
        self.arrays = arrays

    def __len__(self):
        return len(next(iter(self.arrays.values())))

    def __getitem__(self, index):
        return {name: array[index] for name, array in self.arrays.items()}

    def batch(self, indices):
        indices = np.asarray(indices, np.intp)
        return {name: array[indices] for name, array in self.arrays.items()}

    @property
    def labels(self):
        return self.arrays['label']


class Subset(Split):
    """Some examples of another split, without a copy of them.

    Args:
      split: a `Split` of N examples.
      indices: integers [M] in 0..N - 1; example i of the subset is example indices[i] of `split`.

    Raises:
      ValueError: an index is out of range.
    """

    def __init__(self, split, indices):
        self.split, self.indices = split, np.asarray(indices, np.intp)
        wrong = self.indices[(self.indices < 0) | (self.indices >= len(split))]
        if wrong.size:
            raise ValueError('indices must be in 0..{}, got {}'.format(len(split) - 1, wrong[0]))

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, index):
        return self.split[self.indices[index]]

    def batch(self, indices):
        return self.split.batch(self.indices[indices])

    @property
    def in_memory(self):
        return self.split.in_memory

    @property
    def groups(self):
        return None if self.split.groups is None else self.split.groups[self.indices]

    @property
    def labels(self):
        return self.split.labels[self.indices]


class Remembered(Split):
    """Another split, whose examples are kept in memory once they are made, as far as they fit.

    Args:
      split: a `Split`.
      limit: bytes of all examples that are kept.
    """

    def __init__(self, split, limit=2 ** 29):
        self.split, self._free, self._examples = split, limit, {}
        self.groups = split.groups

    def __len__(self):
        return len(self.split)

    def __getitem__(self, index):
        index = range(len(self))[index]
        example = self._examples.get(index)
        if example is None:
            example = self.split[index]
            size = sum(np.asarray(value).nbytes for value in example.values())
            if size <= self._free:  # threads may take a little more than the limit
                self._free -= size
                self._examples[index] = example
        return example

    @property
    def labels(self):
        return self.split.labels


def stack_examples(examples):
    """Stacks a list of B examples to a dict of arrays [B, ...].

    Raises:
      ValueError: the arrays of a name differ in shape, or an example lacks a name.
    """
    batch = {}
    for name in examples[0]:
        try:
            batch[name] = np.stack([example[name] for example in examples])
        except (KeyError, ValueError):
            shapes = sorted({str(list(np.shape(example[name]))) if name in example else 'none'
                             for example in examples})
            raise ValueError('the examples of a batch differ in the shape of {!r}: '
                             '{}'.format(name, ', '.join(shapes))) from None
    return batch


@dataclasses.dataclass(frozen=True)
class Dataset:
    """The splits of a data set.

    Attributes:
      name: the name under which `load_dataset` finds it.
      train: the `Split` to train on.
      validation: the `Split` on which choices are made, such as that of the best checkpoint;
        None where there is none.
      test: the `Split` that is looked at once, after all choices; None where there is none.
    """

    name: str
    train: Split
    validation: Optional[Split]
    test: Optional[Split]

    @property
    def splits(self):
        """The splits that there are, as a dict of name -> `Split`."""
        named = {name: getattr(self, name) for name in ('train', 'validation', 'test')}
        return {name: split for name, split in named.items() if split is not None}


@dataclasses.dataclass(frozen=True)
class Images(Dataset):
    """A data set of images of one size: each example has an `image`."""

    @property
    def image_shape(self):
        """(height, width, 3) of every image."""
        return tuple(self.train[0]['image'].shape)


@dataclasses.dataclass(frozen=True)
class LabelledImages(Images):
    """A data set of images of one size, each of one class.

    Attributes:
      labels: the classes' names; the place of a name is its class index.
      channel_mean: three floats (R, G, B) in pixel units, 0..255.
      channel_std: three positive floats (R, G, B) in pixel units. A net sees
        (pixel - channel_mean) / channel_std, computed in its graph and nowhere else.
    """

    labels: Tuple[str, ...]
    channel_mean: Tuple[float, float, float]
    channel_std: Tuple[float, float, float]


def validate(dataset):
    """Checks that a data set keeps the contract of its class.

    Of the examples only the first of each split is made; labels are checked in all.

    Args:
      dataset: a `Dataset`.

    Returns:
      The same data set.

    Raises:
      ValueError: a shape, dtype, label or constant breaks the contract; the message names the
        data set, the part and the offending value.
    """
    problem = _emptiness_problem(dataset)
    if isinstance(dataset, Images):
        problem = problem or _images_problem(dataset)
    if isinstance(dataset, LabelledImages):
        problem = problem or _labelled_images_problem(dataset)
    if problem:
        raise ValueError('data set {!r}: {}'.format(dataset.name, problem))
    return dataset


# Each of these says in words how its part breaks the contract; an empty string where it does not.

def _emptiness_problem(dataset):
    for name, split in dataset.splits.items():
        if not len(split):
            return '{} must not be empty'.format(name)
    return ''


def _images_problem(dataset):
    problem = ''
    for name, split in dataset.splits.items():
        problem = problem or _image_problem(name, split)
    return problem or _sizes_problem(dataset)


def _labelled_images_problem(dataset):
    problem = _names_problem(dataset.labels)
    for name, split in dataset.splits.items():
        problem = problem or _labels_problem(name, split, len(dataset.labels))
    problem = (problem or _channels_problem('channel_mean', dataset.channel_mean)
               or _channels_problem('channel_std', dataset.channel_std))
    if not problem and min(dataset.channel_std) == 0:
        problem = 'channel_std must be positive, got {!r}'.format(dataset.channel_std)
    return problem


def _names_problem(labels):
    if not (isinstance(labels, tuple) and labels
            and all(isinstance(label, str) and label for label in labels)):
        return 'labels must be a tuple of non-empty strings, got {!r:.200}'.format(labels)
    return ''


def _image_problem(part, split):
    image = split[0]['image']
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        return ('{} images must be uint8 [H, W, 3] and not empty, '
                'got {} {}'.format(part, image.dtype, list(image.shape)))
    if not image.flags.c_contiguous:
        return '{} images must be C-contiguous'.format(part)
    return ''


def _labels_problem(part, split, num_classes):
    labels = split.labels
    if labels.dtype != np.int64 or labels.shape != (len(split),):
        return ('{} labels must be int64 [{}], '
                'got {} {}'.format(part, len(split), labels.dtype, list(labels.shape)))
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if wrong.size:
        return ('{} label of example {} is {}, '
                'allowed are 0..{}'.format(part, wrong[0], labels[wrong[0]], num_classes - 1))
    return ''


def _sizes_problem(dataset):
    sizes = {name: split[0]['image'].shape[:2] for name, split in dataset.splits.items()}
    if len(set(sizes.values())) > 1:
        return 'the images of all splits must be of one size, got {}'.format(sizes)
    return ''


def _channels_problem(field, values):
    if len(values) != 3 or not all(
            isinstance(value, numbers.Real) and 0 <= value <= 255 for value in values):
        return '{} must be three numbers in 0..255, got {!r}'.format(field, values)
    return ''
