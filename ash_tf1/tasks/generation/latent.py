"""The z of which a generator makes images: numbers, uniform in [-1, 1)."""
import json

import numpy as np

from ash_tf1.input_pipelines import Split

SEED = 2022  # of the fixed z: those of grids, of evaluations and of an artifact's test data
DISTRIBUTION = {'distribution': 'uniform', 'low': -1.0, 'high': 1.0}
PROPERTY = {'latent': json.dumps(DISTRIBUTION)}  # in the metadata of an artifact


def draw(rng, size):
    """Draws a z: float32 [size], from a `np.random.RandomState`."""
    return rng.uniform(DISTRIBUTION['low'], DISTRIBUTION['high'], size).astype(np.float32)


def fixed(count, size, first=0):
    """The fixed z first, first + 1, ...: float32 [count, size]. Each depends on its number alone.
    """
    return np.stack([draw(np.random.RandomState([SEED, number]), size)
                     for number in range(first, first + count)])


class WithLatent(Split):
    """The images of a split, each with the fixed z of its number.

    Args:
      split: a `Split` whose examples have an `image`.
      size: of a z.
    """

    def __init__(self, split, size):
        self.split, self._size = split, size

    def __len__(self):
        return len(self.split)

    def __getitem__(self, index):
        return {'image': self.split[index]['image'],
                'z': draw(np.random.RandomState([SEED, range(len(self))[index]]), self._size)}

    @property
    def in_memory(self):
        return self.split.in_memory
