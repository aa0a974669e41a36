"""The folder of a run: what is in it, and the only functions that write there."""
import collections
import csv
import dataclasses
import glob
import os

import tensorflow.compat.v1 as tf

from ash_tf1 import checkpoint, files
from ash_tf1.records import make_record
from ash_tf1.tasks import get_task
from ash_tf1.training.settings import Settings

SETTINGS_FILE, MODEL_FILE = 'settings.json', 'model.json'
CHECKPOINT_PREFIX, BEST_FOLDER = 'model.ckpt', 'best'
DEFAULT_TASK = 'classification'  # of a model.json that names none
# Settings that change no weight. What the data set is must be the same, where it is need not.
RESUMABLE_WITH_ANOTHER = ('data_dir', 'log_every', 'eval_batch_size')


def load_settings(run_dir):
    """The `Settings` of a run. A run that says nothing of a validation split held out nothing.

    Raises:
      ValueError: the file is missing, is not JSON, or does not hold settings.
    """
    return _record(run_dir, SETTINGS_FILE, lambda values: make_record(
        Settings, dict({'validation_share': 0.0}, **values)))


def load_model(run_dir):
    """What a run trains, or what an import brought: its `Task` and `ModelSpec`.

    Raises:
      ValueError: the file is missing, is not JSON, or does not hold a model.
    """
    def model(values):
        task = get_task(values.pop('task', DEFAULT_TASK))
        return task, make_record(task.spec_type, values)
    return _record(run_dir, MODEL_FILE, model)


def save_model(folder, task, spec):
    """Writes what `load_model` reads."""
    values = collections.OrderedDict(task=task.name)
    values.update(dataclasses.asdict(spec))
    files.write_json(os.path.join(folder, MODEL_FILE), values)


def _record(run_dir, name, make):
    path = os.path.join(run_dir, name)
    values = _read_json(run_dir, name)
    try:
        if not isinstance(values, dict):
            raise ValueError('it is no JSON object')
        return make(values)
    except (TypeError, ValueError) as error:
        raise ValueError('{} does not hold the {} of a run: {}'.format(
            path, name.partition('.')[0], error)) from None


def _read_json(run_dir, name):
    path = os.path.join(run_dir, name)
    try:
        return files.read_json(path)
    except FileNotFoundError:
        raise ValueError('{} is no folder of a training run: it has no {}'.format(
            run_dir, name)) from None
    except ValueError as error:
        raise ValueError('{} does not hold the {} of a run: {}'.format(
            path, name.partition('.')[0], str(error).replace(path + ': ', ''))) from None


def replacing(run_dir, name):
    """As `files.replacing`, for a file in the folder of a run."""
    return files.replacing(os.path.join(run_dir, name))


def read_rows(path):
    """The rows of a CSV file as dictionaries of strings; none where the file is missing."""
    if not os.path.exists(path):
        return []
    with open(path, newline='') as handle:
        return list(csv.DictReader(handle))


class RunDir:
    """The folder of a run that is under way.

    Attributes:
      path: of the folder.
      resumed_from: prefix of the checkpoint that the run goes on from; None where it begins.
      step: of that checkpoint, or 0.
    """

    def __init__(self, path, settings, task, spec, resume):
        """Makes the folder, or checks that it fits; nothing in it changes where this raises.

        Args:
          path: of the folder.
          settings: the `Settings`.
          task: the `Task`.
          spec: the `ModelSpec`.
          resume: whether a run in the folder is to go on.

        Raises:
          ValueError: the folder holds a run, or to resume none or another one.
        """
        if set(str(path)) & set('*?[]\\'):
            raise ValueError('TensorFlow takes *, ?, [, ] and \\ in the name of a checkpoint for a '
                             'pattern; give a folder without them, not {}'.format(path))
        self.path = path
        if resume:
            _check_resumable(path, settings, task, spec)
            self.resumed_from = checkpoint.find_checkpoint(path) if _checkpoints(path) else None
        else:
            if os.path.exists(os.path.join(path, SETTINGS_FILE)) or _checkpoints(path):
                raise ValueError('{} holds a run already: go on with it by --resume, or give '
                                 'another folder'.format(path))
            self.resumed_from = None
            save_model(path, task, spec)
        files.write_json(os.path.join(path, SETTINGS_FILE), dataclasses.asdict(settings))
        self.step = step_of(self.resumed_from) if self.resumed_from else 0

    def file(self, name):
        """The path of a file in the folder."""
        return os.path.join(self.path, name)

    def begin_rows(self, name, columns):
        """Makes a CSV file, or drops those of its rows that the run will write again."""
        kept = [row for row in read_rows(self.file(name)) if int(row['step']) <= self.step]
        with replacing(self.path, name) as temporary, \
                open(temporary, 'w', newline='') as handle:
            writer = csv.DictWriter(handle, columns)
            writer.writeheader()
            writer.writerows(kept)

    def append_row(self, name, columns, row):
        """Appends a dict of some of the columns to a CSV file."""
        with open(self.file(name), 'a', newline='') as handle:
            csv.DictWriter(handle, columns).writerow(row)

    def summary_writer(self):
        """The writer of TensorBoard's events."""
        return tf.summary.FileWriter(self.path, filename_suffix='.ash')


class Checkpoints:
    """The checkpoints of a run: the latest two, and the best one in a folder of its own."""

    def __init__(self, run_dir):
        """Adds the ops that save the variables of the current graph for a `RunDir`."""
        self._run_dir = run_dir
        self._latest = run_dir.file(CHECKPOINT_PREFIX)
        self._best = run_dir.file(os.path.join(BEST_FOLDER, CHECKPOINT_PREFIX))
        self.saver = tf.train.Saver(max_to_keep=2, save_relative_paths=True)
        self._best_saver = tf.train.Saver(max_to_keep=1, save_relative_paths=True)
        # Each saver goes on counting, and removing, where that of the run before stopped.
        for saver, prefix in ((self.saver, self._latest), (self._best_saver, self._best)):
            if run_dir.resumed_from:
                saver.recover_last_checkpoints(
                    checkpoint.listed_checkpoints(os.path.dirname(prefix)))

    def restore(self, session):
        """Restores the checkpoint that the run goes on from."""
        checkpoint.restore(session, self._run_dir.resumed_from, self.saver)

    def save(self, session, step):
        """Saves all variables, and removes the oldest checkpoint but two."""
        self._save(self.saver, session, self._latest, step)

    def save_best(self, session, step):
        """Saves all variables in place of the best checkpoint."""
        os.makedirs(os.path.dirname(self._best), exist_ok=True)
        self._save(self._best_saver, session, self._best, step)

    @staticmethod
    def _save(saver, session, prefix, step):
        # Without the graph: a net is rebuilt from model.json, never from an untrusted graph file.
        saver.save(session, prefix, global_step=step, write_meta_graph=False)


def step_of(prefix):
    """The step at which a run wrote a checkpoint, by its name."""
    return int(prefix.rpartition('-')[2])


def _checkpoints(path):
    """What there is of checkpoints in a run's folder, whole or not."""
    return glob.glob(os.path.join(glob.escape(path), CHECKPOINT_PREFIX + '*'))


def _check_resumable(path, settings, task, spec):
    """Raises ValueError, naming what differs, where a folder holds no run or another one."""
    before, (old_task, old_spec) = load_settings(path), load_model(path)
    if 'validation_share' not in _read_json(path, SETTINGS_FILE):
        raise ValueError('{} was trained by an earlier version, which drew images in another '
                         'order: it can be evaluated and exported, but not resumed'.format(path))
    pairs = [(before, settings)] + [(old_spec, spec)] * (old_task is task)
    for old_record, record in pairs:
        for field in dataclasses.fields(record):
            old, new = getattr(old_record, field.name), getattr(record, field.name)
            if old != new and field.name not in RESUMABLE_WITH_ANOTHER:
                raise ValueError('{} was trained with {} {!r}: it cannot be resumed with {!r}'
                                 .format(path, field.name, old, new))
