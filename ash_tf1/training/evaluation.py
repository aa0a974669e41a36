"""Evaluates a net on a split, in the same way in training and for a checkpoint of a run."""
import os
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf
from tqdm import tqdm

from ash_tf1 import checkpoint
from ash_tf1.input_pipelines import load_dataset
from ash_tf1.input_pipelines.loading import ordered_batches, prefetch
from ash_tf1.ops import get_activation
from ash_tf1.sessions import session_config
from ash_tf1.tasks import Evaluation, ModelSpec
from ash_tf1.training import run_dir as run_dirs

SPLITS = ('train', 'validation', 'test')
BATCH_ELEMENTS = 3 * 2 ** 21  # limit for the largest array of a batch, if no batch size is given


class Evaluated(NamedTuple):
    """An evaluation, and the net and the checkpoint that were evaluated."""

    evaluation: Evaluation
    spec: ModelSpec
    prefix: str  # prefix of the checkpoint


def evaluate_split(session, graph, split, batch_size, progress=False):
    """Evaluates the net of a graph on a whole split.

    Args:
      session: a session of the graph.
      graph: a `TrainingGraph`, or another object with `feed(batch)` and an `evaluator`.
      split: the `Split`.
      batch_size: number of examples in a batch.
      progress: whether to show a progress bar, if stderr is a terminal.

    Returns:
      The task's `Evaluation`.
    """
    def answers():
        with tqdm(total=len(split), desc='evaluate', unit='example', leave=False,
                  disable=None if progress else True) as bar:
            for batch in prefetch(ordered_batches(split, batch_size), depth=2):
                yield session.run(graph.evaluator.fetches, graph.feed(batch)), batch
                bar.update(len(next(iter(batch.values()))))
    return graph.evaluator.summarize(answers())


class EvaluationGraph:
    """The ops that evaluate a net, added to the current graph."""

    def __init__(self, task, spec):
        """Takes the `Task` and the `ModelSpec`."""
        self.feeds = task.feeds(spec)
        outputs = task.forward(self.feeds, spec, get_activation(spec.activation),
                               is_training=False)
        self.evaluator = task.evaluator(outputs, self.feeds)

    def feed(self, batch):
        """The feed_dict of a batch, which is a dict: key of examples -> array."""
        return {tensor: batch[key] for key, tensor in self.feeds.items()}


def evaluate(run_dir, checkpoint_path=None, data_dir=None, split='test', batch_size=None,
             progress=True, dataset=None, images=None):
    """Evaluates a checkpoint of a run or an import on a split of a data set, or on photos.

    Args:
      run_dir: folder of a run that `training.train` wrote, or of an import that
        `checkpoint_import.import_checkpoint` wrote.
      checkpoint_path: a folder or prefix as for `checkpoint.find_checkpoint`. If it exists in
        run_dir, it is taken relative to that. By default the latest checkpoint of run_dir.
      data_dir: path of the data set; by default its path in training.
      split: one of `SPLITS`.
      batch_size: examples per step; it changes no result. By default 500, or fewer for large
        images.
      progress: whether to show a progress bar, if stderr is a terminal.
      dataset: name of a data set that fits the net; by default the run's own.
      images: path of photos in folders, as for `Task.photos`, to use instead of a data set.

    Returns:
      An `Evaluated`.

    Raises:
      ValueError: a file is missing or does not fit; the message names it.
      OSError: a folder or file cannot be read.
    """
    task, spec = run_dirs.load_model(run_dir)
    prefix = checkpoint.find_checkpoint(resolve(run_dir, checkpoint_path))
    if images is None:
        data = find_split(load_model_dataset(task, spec, run_dir, dataset, data_dir), split)
    elif dataset or data_dir:
        raise ValueError('images are used instead of a data set: give one of the two')
    else:
        data = task.photos(spec, images)
    if batch_size is None:
        largest = max(np.size(value) for value in data[0].values())
        batch_size = max(16, min(500, BATCH_ELEMENTS // largest))
    with tf.Graph().as_default():
        graph = EvaluationGraph(task, spec)
        with tf.Session(config=session_config()) as session:
            checkpoint.restore_evaluated(session, prefix)
            return Evaluated(evaluate_split(session, graph, data, batch_size, progress), spec,
                             prefix)


def find_split(dataset, name):
    """The `Split` of a `Dataset` by its name in `SPLITS`; raises ValueError if it has none."""
    split = getattr(dataset, name)
    if split is None:
        raise ValueError('data set {} has no {} split{}'.format(
            dataset.name, name, ', because nothing was held out (validation_share 0)'
            if name == 'validation' else ''))
    return split


def load_model_dataset(task, spec, run_dir, dataset=None, data_dir=None):
    """Loads a data set for a net: the one that it was trained on, or another one that fits.

    Args:
      task: the `Task`.
      spec: the `ModelSpec`.
      run_dir: folder of the run. Its settings say where its data set is and which share of it was
        held out for validation.
      dataset: name of the data set; by default the net's own.
      data_dir: as for `load_dataset`; for the net's own data set by default its path in training.

    Returns:
      A `Dataset`.

    Raises:
      ValueError: a file is wrong, the data set does not fit the net, or the net has no data set of
        its own and none is given.
    """
    name = dataset or spec.dataset
    if not name:
        raise ValueError('{} has no data set of its own, because its weights were imported: give '
                         '--dataset, or --images'.format(run_dir))
    validation_share, options = None, ()
    if name == spec.dataset:
        settings = run_dirs.load_settings(run_dir)
        data_dir, validation_share = data_dir or settings.data_dir, settings.validation_share
        options = settings.dataset_options
    data = load_dataset(name, data_dir or None, validation_share, spec.image_size,
                        options)
    return task.prepare(spec, data)


def resolve(run_dir, checkpoint_path):
    """The path of a checkpoint that a user gave. If it exists inside run_dir, it is taken there."""
    inside = os.path.join(run_dir, checkpoint_path or '')
    if any(os.path.exists(inside + ending) for ending in ('', '.index')):
        return inside
    return checkpoint_path or run_dir
