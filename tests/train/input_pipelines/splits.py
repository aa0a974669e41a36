"""Splits of random images."""
import numpy as np

from ash_tf1.input_pipelines import ArraySplit


def make_split(count, side=8, classes=10, seed=0):
    """An `ArraySplit` of `count` images, uint8 [side, side, 3], with a label each."""
    rng = np.random.RandomState(seed)
    return ArraySplit(image=rng.randint(0, 256, (count, side, side, 3)).astype(np.uint8),
                      label=rng.randint(0, classes, count))
