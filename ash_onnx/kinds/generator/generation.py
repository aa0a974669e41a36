"""Makes images of many z: in batches, with a progress bar."""

import itertools

import numpy as np
from tqdm import tqdm

BATCH_SIZE = 64
MAX_BATCH = 2**31 - 1  # islice takes no integer of any size


def generate(model, seed=0, count=1, batch_size=BATCH_SIZE, quiet=True):
    """Makes the first images of a seed.

    Args:
      model: an `ImageGenerator`.
      seed: integer from 0 to 2**32 - 1.
      count: how many images, >= 1. Image i is made of `model.draw(seed, i)`, however many there
        are.
      batch_size: images in one run of the model, >= 1. Another one may move a pixel by one level,
        where the order of a sum decides how it is rounded.
      quiet: no progress bar; without a terminal on stderr there is none either.

    Returns:
      uint8 array [count, height, width, 3], RGB.

    Raises:
      ValueError: a seed, count or batch size that is no such integer; as `ImageGenerator.run`.
    """
    check_positive('count', count)
    return np.stack(list(stream(model, (model.draw(seed, i) for i in range(count)), count,
                                batch_size, quiet)))


def stream(model, vectors, count, batch_size=BATCH_SIZE, quiet=True):
    """Yields an image, uint8 [height, width, 3], of each z; holds one batch in memory.

    Args:
      model: an `ImageGenerator`.
      vectors: iterable of `count` arrays float32 [L].
      count, batch_size, quiet: as for `generate`.
    """
    check_positive('batch_size', batch_size)
    vectors = iter(vectors)
    # disable=None: tqdm looks itself whether stderr is a terminal.
    with tqdm(total=count, unit='image', disable=True if quiet else None) as bar:
        while batch := list(itertools.islice(vectors, min(batch_size, MAX_BATCH))):
            yield from model.run(np.stack(batch))
            bar.update(len(batch))


def check_positive(name, value):
    """Raises ValueError if a value is no integer >= 1."""
    if type(value) is not int or value < 1:
        raise ValueError(f'{name} must be an integer >= 1, got {value!r}')
