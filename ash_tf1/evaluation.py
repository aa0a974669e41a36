"""How well a net does on a split: the same count in training, in the command and before export."""
import functools
import os
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf
from tqdm import tqdm

from ash_tf1 import checkpoint, config
from ash_tf1.classifier import build_classifier, pixels_placeholder
from ash_tf1.input_pipelines import load_dataset
from ash_tf1.input_pipelines.batching import ordered_batches, prefetch
from ash_tf1.input_pipelines.images import find_labelled_images, image_batches
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

    def __call__(self, session, split, batch_size):
        """Runs a whole `Split` and returns its `Evaluation`."""
        return self.run(session, ordered_batches(split, batch_size), len(split.labels))

    def run(self, session, batches, count, progress=False):
        """Runs batches, uint8 [N, H, W, 3] and int64 [N], of `count` examples in all."""
        parts = []
        with tqdm(total=count, desc='evaluate', unit='image', leave=False,
                  disable=None if progress else True) as bar:
            for images, labels in batches:
                feeds = dict(zip(self._feeds, (images, labels)))
                parts.append(session.run(self._fetches, feeds) + (labels,))
                bar.update(len(labels))
        losses, predictions, in_top5, labels = map(np.concatenate, zip(*parts))
        return Evaluation(float(np.mean(losses, dtype=np.float64)), predictions, labels, in_top5)


def evaluate(run_dir, checkpoint_path=None, data_dir=None, split='test', batch_size=None,
             progress=True, dataset=None, images=None):
    """Evaluates a checkpoint of a run or an import on a split of a data set, or on photos.

    Args:
      run_dir: folder of the run, as `training.train` wrote it, or of the import, as
        `checkpoint_import.import_checkpoint` did.
      checkpoint_path: a folder or prefix as for `checkpoint.find_checkpoint`, relative to run_dir
        where it exists there; the run's latest by default.
      data_dir: where the data set is; where it was in training by default.
      split: 'test' or 'train'.
      batch_size: images a step; changes no result. By default 500, and fewer of large images.
      progress: whether a terminal shows a progress bar.
      dataset: name of a data set with the net's labels and image size; the run's own by default.
      images: in place of a data set, a folder with a folder of PNG or JPEG files for each class,
        named by its label. They are fitted as the `ModelSpec` says, and read as they are needed.

    Returns:
      (`Evaluation`, `ModelSpec`, checkpoint prefix).

    Raises:
      ValueError: a file is missing or does not fit; the message names it.
      OSError: a folder or file cannot be read.
    """
    spec = config.load(run_dir, config.MODEL_FILE, config.ModelSpec)
    prefix = checkpoint.find_checkpoint(resolve(run_dir, checkpoint_path))
    height, width, _ = spec.input_shape
    if batch_size is None:
        batch_size = max(16, min(500, 2 ** 21 // (height * width)))
    if images is None:
        data = getattr(load_model_dataset(spec, run_dir, dataset, data_dir), split)
        batches, count = ordered_batches(data, batch_size), len(data.labels)
    elif dataset or data_dir:
        raise ValueError('images stand for a data set: give one of the two')
    else:
        files = find_labelled_images(images, spec.labels)
        fit = functools.partial(spec.preprocessing.fit, height=height, width=width)
        batches, count = prefetch(image_batches(files, fit, batch_size), depth=2), len(files)
    with tf.Graph().as_default():
        pixels = pixels_placeholder(spec)
        labels = tf.placeholder(tf.int64, (None,), name='labels')
        evaluator = Evaluator(pixels, labels, build_classifier(pixels, spec, is_training=False))
        with tf.Session(config=session_config()) as session:
            checkpoint.restore(session, prefix)
            return evaluator.run(session, batches, count, progress), spec, prefix


def load_model_dataset(spec, run_dir, dataset=None, data_dir=None):
    """Loads a data set for a net: the one that it was trained on, or another of the same classes.

    Args:
      spec: the `ModelSpec`.
      run_dir: folder of the run, whose settings say where its data set is.
      dataset: name of the data set; the net's own by default.
      data_dir: as for `load_dataset`; where the net's own was in training by default.

    Returns:
      A `Dataset`.

    Raises:
      ValueError: a file is wrong, or its classes or image size are not those of the net; or the
        net has no data set of its own, and none is given.
    """
    name = dataset or spec.dataset
    if not name:
        raise ValueError('{} has no data set of its own, for its weights were imported: give '
                         '--dataset, or --images'.format(run_dir))
    if name == spec.dataset and not data_dir:
        data_dir = config.load(run_dir, config.SETTINGS_FILE, config.Settings).data_dir
    data = load_dataset(name, data_dir or None)
    shape = tuple(data.test.images.shape[1:])
    if data.labels != spec.labels or shape != spec.input_shape:
        raise ValueError('the net takes images {} and has the {} labels {}; data set {} has '
                         'images {} and {} labels {}'.format(
                             spec.input_shape, spec.num_classes, _some(spec.labels), name,
                             shape, len(data.labels), _some(data.labels)))
    return data


def _some(labels):
    return ', '.join(labels[:10]) + (', ...' if len(labels) > 10 else '')


def resolve(run_dir, checkpoint_path):
    """The path of a checkpoint given by a user: inside the run's folder, if it is there."""
    inside = os.path.join(run_dir, checkpoint_path or '')
    if any(os.path.exists(inside + ending) for ending in ('', '.index')):
        return inside
    return checkpoint_path or run_dir
