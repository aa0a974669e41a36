"""The training image that is nearest to each of some images."""
from typing import NamedTuple

import numpy as np

BLOCK = 256  # images that are compared at a time


class Neighbours(NamedTuple):
    """The nearest of M images to each of N others."""

    indices: np.ndarray    # int64 [N]
    distances: np.ndarray  # float64 [N]: root of the mean squared difference of pixels, in levels


def nearest(images, references, flip=True):
    """Finds the nearest reference to each image.

    Args:
      images: uint8 [N, H, W, 3].
      references: uint8 [M, H, W, 3].
      flip: whether a reference may be mirrored left to right, as a training may do it.

    Returns:
      `Neighbours`.
    """
    pixels = images[0].size
    best = np.full(len(images), np.inf)
    indices = np.zeros(len(images), np.int64)
    rows = images.reshape(len(images), -1).astype(np.float64)
    squares = (rows ** 2).sum(axis=1)
    for first in range(0, len(references), BLOCK):
        block = references[first:first + BLOCK]
        for view in (block, block[:, :, ::-1])[:1 + flip]:
            others = view.reshape(len(view), -1).astype(np.float64)
            found = squares[:, None] - 2 * rows @ others.T + (others ** 2).sum(axis=1)
            nearer = found.argmin(axis=1)
            values = found[np.arange(len(rows)), nearer]
            better = values < best
            best[better], indices[better] = values[better], first + nearer[better]
    return Neighbours(indices, np.sqrt(np.maximum(best, 0.0) / pixels))
