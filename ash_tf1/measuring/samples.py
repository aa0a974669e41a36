"""Samples of a run's generator at several epochs, and figures of them beside real images."""
import collections
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1 import checkpoint
from ash_tf1.input_pipelines.loading import ordered_batches
from ash_tf1.measuring import faces, frechet, neighbours
from ash_tf1.ops import get_activation
from ash_tf1.sessions import session_config
from ash_tf1.training import checkpoints, evaluation, run_dir

BATCH_SIZE = 100
SHOWN = 50        # samples of a grid
REAL_SEED = 2022  # of the real images that are looked at for faces


class Generator:
    """The generator of a run, from z to images. Close it after use.

    Attributes:
      spec: the `ModelSpec`.
    """

    def __init__(self, path):
        """Builds its graph; raises ValueError if the folder holds no run, or one without samples.
        """
        task, self.spec = run_dir.load_model(path)
        if task.samples(self.spec, 1) is None:
            raise ValueError('{} has a run of the task {}, which makes no images'.format(
                path, task.name))
        self._path, self._task = path, task
        with tf.Graph().as_default() as self._graph:
            self._interface = task.interface(self.spec, get_activation(self.spec.activation))
            self._session = tf.Session(config=session_config())

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._session.close()

    def prefix(self, epoch=None):
        """The checkpoint of the end of an epoch; by default the latest.

        Raises:
          ValueError: there is none; the message lists those that are there.
        """
        if epoch is None:
            return checkpoint.find_checkpoint(self._path)
        settings = run_dir.load_settings(self._path)
        step = epoch * (self.spec.training_images // settings.batch_size)
        there = {checkpoints.step_of(prefix): prefix
                 for prefix in checkpoint.listed_checkpoints(self._path)}
        if step not in there:
            raise ValueError('{} has no checkpoint of epoch {:g}, step {:g}; its steps are {} '
                             '(--keep-every keeps them)'.format(
                                 self._path, epoch, step, ', '.join(map(str, sorted(there)))))
        return there[step]

    def __call__(self, prefix, count):
        """The samples of the first `count` fixed z by a checkpoint: uint8 [count, H, W, 3]."""
        feeds, _ = self._task.samples(self.spec, count)
        with self._graph.as_default():
            checkpoint.restore_evaluated(self._session, prefix)
        images, = self._interface.outputs.values()
        return np.concatenate([self._session.run(images, {
            tensor: feeds[key][first:first + BATCH_SIZE]
            for key, tensor in self._interface.inputs.items()})
            for first in range(0, count, BATCH_SIZE)])


class Real(NamedTuple):
    """The real images that samples are held against."""

    train: np.ndarray       # uint8 [N, H, W, 3], those that the generator was trained on
    validation: np.ndarray  # uint8 [M, H, W, 3], others; None where there are none


def load_real(path, data_dir=None):
    """Loads the `Real` images of a run; raises as `evaluation.load_model_dataset`."""
    task, spec = run_dir.load_model(path)
    dataset = evaluation.load_model_dataset(task, spec, path, data_dir=data_dir)
    return Real(*(None if split is None else np.concatenate(
        [batch['image'] for batch in ordered_batches(split, BATCH_SIZE)])
        for split in (dataset.train, dataset.validation)))


class Measures:
    """Measures sets of images beside real ones.

    Args:
      real: the `Real` images.
      features: function of images to features [N, D], for the Frechet distance to the training
        images; None to leave it out.
      face_count: in how many images faces are looked for; 0 to leave it out.
    """

    def __init__(self, real, features=None, face_count=0):
        self._real, self._features, self._face_count = real, features, face_count
        self._trained = frechet.fit(features(real.train)) if features else None

    def of_samples(self, images):
        """Figures of samples: an ordered dict, name -> number."""
        found = self._figures(images, images[:self._face_count])
        distances = neighbours.nearest(images[:SHOWN], self._real.train).distances
        found['nearest'] = float(np.median(distances))
        return found

    def of_real(self):
        """The same figures of real images: of those that no generator was trained on if there are
        any. Faces are looked for in training images, since there may be more of these.
        """
        images, train = self._real.validation, self._real.train
        drawn = np.random.RandomState(REAL_SEED).permutation(len(train))[:self._face_count]
        found = self._figures(images, train[drawn])
        if images is not None:
            found['nearest'] = float(np.median(
                neighbours.nearest(images[:SHOWN], train).distances))
        return found

    def _figures(self, images, looked_at):
        found = collections.OrderedDict()
        if self._features and images is not None:
            found['frechet'] = frechet.distance(frechet.fit(self._features(images)), self._trained)
        if self._face_count:
            found['faces'] = float(faces.find(looked_at).mean())
        return found
