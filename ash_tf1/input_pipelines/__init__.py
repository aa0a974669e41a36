"""Data sets as splits of examples, and the batches made of them; nothing here needs TensorFlow."""
import functools
import inspect
import os

from ash_tf1 import named_options
from ash_tf1.input_pipelines import celeba, cifar, digits, folder, photos
from ash_tf1.input_pipelines.dataset import (
    ArraySplit,
    Dataset,
    Images,
    LabelledImages,
    Split,
    Subset,
    validate,
)
from ash_tf1.input_pipelines.holding_out import hold_out
from ash_tf1.names import unknown

__all__ = ['ANY_SIZE', 'DATASETS', 'VALIDATION_SHARE', 'ArraySplit', 'Dataset',
           'Images', 'LabelledImages', 'Split', 'Subset', 'hold_out', 'load_dataset', 'validate']

# name -> function (data_dir) -> Dataset; of those in ANY_SIZE, (data_dir, image_size) -> Dataset.
# Its further arguments are the options of the data set.
DATASETS = {
    'digits': digits.load,
    'cifar10': functools.partial(cifar.load, cifar.CIFAR10),
    'cifar100': functools.partial(cifar.load, cifar.CIFAR100),
    'folder': folder.load,
    'photos': photos.load,
    'celeba': celeba.load,
}
# Data sets whose images are fitted to a size -> (height, width) where none is given.
ANY_SIZE = {'folder': folder.IMAGE_SIZE, 'photos': photos.IMAGE_SIZE, 'celeba': celeba.IMAGE_SIZE}
# What is held out of train where the publisher gives no validation split: 5,000 of CIFAR's 50,000.
VALIDATION_SHARE = 0.1


def load_dataset(name, data_dir=None, validation_share=None, image_size=None, options=()):
    """Loads a data set by its name, and checks it.

    Args:
      name: a key of `DATASETS`.
      data_dir: where its files are (see its loader); None for a data set that needs none.
      validation_share: what share of train becomes the validation split, in [0, 1), of a data
        set that has none of its own; None means `VALIDATION_SHARE`. With 0 nothing is held
        out.
      image_size: (height, width) of the images; None for the data set's own.
      options: sequence of strings such as 'attributes=Smiling'.

    Returns:
      A `Dataset`.

    Raises:
      ValueError: the name is unknown, an argument is not what this data set needs, or a file is
        wrong.
      FileNotFoundError: `data_dir` or a file in it is missing.
    """
    if name not in DATASETS:
        raise unknown('data set', name, DATASETS)
    if validation_share is not None and not 0 <= validation_share < 1:
        raise ValueError('validation_share must be in [0, 1), got {!r}'.format(validation_share))
    if image_size is not None and not (len(image_size) == 2 and all(
            isinstance(side, int) and side >= 1 for side in image_size)):
        raise ValueError('image_size must be (height, width) in pixels, got {!r}'.format(
            image_size))
    size = (image_size,) if name in ANY_SIZE else ()
    load = DATASETS[name]
    known = named_options.settable(inspect.signature(load).parameters.values())
    try:
        dataset = validate(load(data_dir, *size, **named_options.parse(name, known, options)))
    except FileNotFoundError as error:
        if data_dir is None or os.path.exists(data_dir):
            raise
        # The words of a data set may say where it is published; those of the system say nothing.
        raise FileNotFoundError('--data-dir: {}'.format(error if error.errno is None else (
            'there is no file or folder {!r}'.format(str(data_dir))))) from None
    if image_size is not None and dataset.image_shape[:2] != tuple(image_size):
        raise ValueError('data set {!r} has images of {}, which are '
                         'not resized to {}'.format(
                             name, dataset.image_shape[:2], tuple(image_size)))
    if validation_share is None:
        validation_share = VALIDATION_SHARE
    if validation_share and dataset.validation is None:
        return hold_out(dataset, validation_share)
    return dataset
