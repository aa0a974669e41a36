"""How well a net does on a split: the same count in training, in the command and before export."""
import os
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf
from tqdm import tqdm

from ash_tf1 import checkpoint, config
from ash_tf1.classifier import build_classifier, pixels_placeholder
from ash_tf1.input_pipelines import load_dataset
from ash_tf1.input_pipelines.batching import ordered_batches
from ash_tf1.sessions import session_config


class Evaluation(NamedTuple):
    """What a net answered on a split of N examples, and how that compares with the labels."""

    loss: float              # mean cross-entropy in nats
    predictions: np.ndarray  # int64 [N], the likeliest class of each example
    labels: np.ndarray       # int64 [N]
    in_top5: np.ndarray      # bool [N], whether the label is among the five likeliest

    @property
    def count(self):
        return len(self.labels)

    @property
    def correct(self):
        return int(np.sum(self.predictions == self.labels))

    @property
    def top1(self):
        return self.correct / self.count

    @property
    def top5(self):
        return float(np.mean(self.in_top5))

    def class_accuracies(self, num_classes):
        """Share of correct answers per class, float [num_classes]; NaN for an absent class."""
        counts = np.bincount(self.labels, minlength=num_classes)
        hits = np.bincount(self.labels[self.predictions == self.labels], minlength=num_classes)
        return np.divide(hits, counts, out=np.full(num_classes, np.nan), where=counts > 0)


class Evaluator:
    """The ops that evaluate a classifier, added to the current graph."""

    def __init__(self, pixels, labels, classifier):
        """Takes the placeholders uint8 [N, H, W, 3] and int64 [N], and the `Classifier`."""
        self._feeds = pixels, labels
        logits = classifier.logits
        self._fetches = (
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits),
            tf.argmax(logits, axis=1),
            tf.nn.in_top_k(logits, labels, min(5, logits.shape[1].value)))

    def __call__(self, session, split, batch_size, progress=False):
        """Runs a whole `Split` and returns its `Evaluation`."""
        batches = ordered_batches(split, batch_size)
        parts = []
        with tqdm(total=len(split.labels), desc='evaluate', unit='image', leave=False,
                  disable=None if progress else True) as bar:
            for batch in batches:
                parts.append(session.run(self._fetches, dict(zip(self._feeds, batch))))
                bar.update(len(batch[1]))
        losses, predictions, in_top5 = map(np.concatenate, zip(*parts))
        return Evaluation(float(np.mean(losses, dtype=np.float64)), predictions, split.labels,
                          in_top5)


def evaluate(run_dir, checkpoint_path=None, data_dir=None, split='test', batch_size=500,
             progress=True):
    """Evaluates a checkpoint of a training run on a split of its data set.

    Args:
      run_dir: folder of the run, as `training.train` wrote it.
      checkpoint_path: a folder or prefix as for `checkpoint.find_checkpoint`, relative to run_dir
        where it exists there; the run's latest by default.
      data_dir: where the data set is; where it was in training by default.
      split: 'test' or 'train'.
      batch_size: images a step; changes no result.
      progress: whether a terminal shows a progress bar.

    Returns:
      (`Evaluation`, `ModelSpec`, checkpoint prefix).

    Raises:
      ValueError: a file is missing or does not fit; the message names it.
    """
    spec = config.load(run_dir, config.MODEL_FILE, config.ModelSpec)
    settings = config.load(run_dir, config.SETTINGS_FILE, config.Settings)
    prefix = checkpoint.find_checkpoint(resolve(run_dir, checkpoint_path))
    dataset = load_model_dataset(spec, data_dir or settings.data_dir)
    with tf.Graph().as_default():
        pixels = pixels_placeholder(spec)
        labels = tf.placeholder(tf.int64, (None,), name='labels')
        evaluator = Evaluator(pixels, labels, build_classifier(pixels, spec, is_training=False))
        with tf.Session(config=session_config()) as session:
            checkpoint.restore(session, prefix)
            return evaluator(session, getattr(dataset, split), batch_size, progress), spec, prefix


def load_model_dataset(spec, data_dir):
    """Loads the data set that a net was trained on.

    Args:
      spec: the `ModelSpec`.
      data_dir: as for `load_dataset`; empty for a data set that needs none.

    Returns:
      A `Dataset`.

    Raises:
      ValueError: a file is wrong, or its classes or image size are not those of the net.
    """
    dataset = load_dataset(spec.dataset, data_dir or None)
    shape = tuple(dataset.test.images.shape[1:])
    if dataset.labels != spec.labels or shape != spec.input_shape:
        raise ValueError('the net was trained on images {} with the {} labels {}; data set {} has '
                         'images {} and {} labels {}'.format(
                             spec.input_shape, spec.num_classes, _some(spec.labels), spec.dataset,
                             shape, len(dataset.labels), _some(dataset.labels)))
    return dataset


def _some(labels):
    return ', '.join(labels[:10]) + (', ...' if len(labels) > 10 else '')


def resolve(run_dir, checkpoint_path):
    """The path of a checkpoint given by a user: inside the run's folder, if it is there."""
    inside = os.path.join(run_dir, checkpoint_path or '')
    if any(os.path.exists(inside + ending) for ending in ('', '.index')):
        return inside
    return checkpoint_path or run_dir
