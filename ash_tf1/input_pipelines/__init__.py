"""Data sets as uint8 RGB arrays, and the batches made of them; nothing here needs TensorFlow."""
import functools

from ash_tf1.input_pipelines import cifar, digits
from ash_tf1.input_pipelines.dataset import Dataset, Split, validate

__all__ = ['DATASETS', 'Dataset', 'Split', 'load_dataset']

# name -> function (data_dir) -> Dataset.
DATASETS = {
    'digits': digits.load,
    'cifar10': functools.partial(cifar.load, cifar.CIFAR10),
    'cifar100': functools.partial(cifar.load, cifar.CIFAR100),
}


def load_dataset(name, data_dir=None):
    """Loads a data set by its name, whole into memory, and checks it.

    Args:
        name: a key of `DATASETS`.
        data_dir: where its files are (see its loader); None for a data set that needs none.

    Returns:
        A `Dataset`.

    Raises:
        ValueError: the name is unknown, `data_dir` is not what this data set needs, or a file is
            wrong.
        FileNotFoundError: `data_dir` or a file in it is missing.
    """
    if name not in DATASETS:
        raise ValueError('unknown data set {!r}; known are {}'.format(
            name, ', '.join(sorted(DATASETS))))
    return validate(DATASETS[name](data_dir))
