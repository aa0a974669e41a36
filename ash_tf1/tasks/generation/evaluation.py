"""Measures how much the samples of a generator differ from each other."""
import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1.tasks.base import Evaluation, Evaluator

DIVERSITY = 'diversity'


def diversity(samples, images):
    """The variance of samples over a batch, divided by that of images: a float32 scalar.

    The variance is the mean over all pixels and channels. It is half the mean squared distance
    between two members of the batch.

    Args:
      samples, images: uint8 [N, H, W, 3].
    """
    def variance(pixels):
        return tf.reduce_mean(tf.nn.moments(tf.cast(pixels, tf.float32), axes=[0])[1])
    return variance(samples) / tf.maximum(variance(images), 1e-3)


class DiversityEvaluator(Evaluator):
    """Measures `diversity` over a whole split, with one sample for each image."""

    def __init__(self, samples):
        """Takes the samples: uint8 [N, H, W, 3]."""
        self.fetches = samples

    def summarize(self, answers):
        made, real = _Variance(), _Variance()
        for samples, batch in answers:
            made.add(samples)
            real.add(batch['image'])
        return Evaluation(made.count, {DIVERSITY: made.result() / max(real.result(), 1e-3)})


class _Variance:
    """The mean variance of pixels over a stream of images; sums of integers, which are exact."""

    def __init__(self):
        self.count, self._sum, self._squares = 0, 0, 0

    def add(self, pixels):
        pixels = pixels.astype(np.int64)
        self.count += len(pixels)
        self._sum = self._sum + pixels.sum(axis=0)
        self._squares = self._squares + (pixels ** 2).sum(axis=0)

    def result(self):
        return float(np.mean(self._squares / self.count - (self._sum / self.count) ** 2))
