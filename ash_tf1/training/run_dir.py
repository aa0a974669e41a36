"""The folder of a run: its settings, its model, the files of its log, and its lock."""
import collections
import csv
import dataclasses
import fcntl
import glob
import io
import os
import socket
import stat

import tensorflow.compat.v1 as tf

from ash_distribution.commands import to_paste
from ash_tf1 import files, reading
from ash_tf1.records import make_record
from ash_tf1.tasks import get_task
from ash_tf1.training import checkpoints, extending
from ash_tf1.training.log_reading import ACTIVATIONS_FILE, METRICS_FILE, read_rows
from ash_tf1.training.settings import Settings

SETTINGS_FILE, MODEL_FILE, LOCK_FILE = 'settings.json', 'model.json', '.lock'
PICTURES_FOLDER = 'pictures'
FOLDERS = (checkpoints.BEST_FOLDER, PICTURES_FOLDER)  # in that of a run
DEFAULT_TASK = 'classification'  # for a model.json that names no task
# Settings that change no weight. A resumed run needs the same data set, but it may have been moved.
RESUMABLE_WITH_ANOTHER = ('data_dir', 'log_every', 'eval_batch_size', 'save_every', 'keep')


def load_settings(run_dir):
    """The `Settings` of a run. Settings without a validation share come from a run without one.

    Raises:
      ValueError: the file is missing, is not JSON, or does not hold settings.
    """
    return _record(run_dir, SETTINGS_FILE, lambda values: make_record(
        Settings, dict({'validation_share': 0.0}, **values)))


def load_model(run_dir):
    """The `Task` and `ModelSpec` of a run or of an imported checkpoint, from its `model.json`.

    Raises:
      ValueError: the file is missing, is not JSON, or does not hold a model.
    """
    def model(values):
        task = get_task(values.pop('task', DEFAULT_TASK))
        return task, make_record(task.spec_type, values)
    return _record(run_dir, MODEL_FILE, model)


def save_model(folder, task, spec):
    """Writes the `model.json` that `load_model` reads."""
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
        return reading.read_json(path)
    except FileNotFoundError:
        raise ValueError('{} is no folder of a training run: it has no {}'.format(
            run_dir, name)) from None
    except ValueError as error:
        raise ValueError('{} does not hold the {} of a run: {}'.format(
            path, name.partition('.')[0], str(error).replace(path + ': ', ''))) from None


def replacing(run_dir, name):
    """As `files.replacing`, for a file in the folder of a run."""
    return files.replacing(os.path.join(run_dir, name))


class RunDir:
    """The folder of a running run. Close it when the run is over.

    Attributes:
      path: path of the folder.
      resumed_from: prefix of the checkpoint that the run resumes from; None for a new run.
      step: step of that checkpoint, or 0.
    """

    def __init__(self, path, settings, task, spec, resume, may_differ=()):
        """Makes the folder, or checks that it fits. If it does not fit, nothing in it changes.

        Args:
          path: path of the folder.
          settings: the `Settings`.
          task: the `Task`.
          spec: the `ModelSpec`.
          resume: whether to go on with the run in the folder.
          may_differ: names of settings that a resumed run may have otherwise.

        Raises:
          ValueError: for a new run: the folder holds a run already. To resume: the folder holds no
            run, or another one. In both cases: another process writes to the folder.
        """
        if not path or set(str(path)) & set('*?[]\\'):
            raise ValueError('the folder of a run needs a name without *, ?, [, ] and \\, because '
                             'TensorFlow reads these as a pattern; got {!r}'.format(str(path)))
        self.path = path
        if resume:
            _check_resumable(path, settings, task, spec, may_differ)
            _check_folders(path)
        else:
            _check_free(path)
        os.makedirs(path, exist_ok=True)
        self._lock = _lock(path)
        try:
            self._open(settings, task, spec, resume)
        except BaseException:
            self.close()
            raise

    def _open(self, settings, task, spec, resume):
        for folder in (self.path, self.file(PICTURES_FOLDER)):
            files.remove_partials(folder)
        if resume:
            self.resumed_from = checkpoints.find_latest(self.path)
        else:
            _check_free(self.path)
            self.resumed_from = None
            save_model(self.path, task, spec)
        files.write_json(self.file(SETTINGS_FILE), dataclasses.asdict(settings))
        self.step = checkpoints.step_of(self.resumed_from) if self.resumed_from else 0

    def close(self):
        """Releases the lock, so that another process may write to the folder."""
        os.close(self._lock)

    def file(self, name):
        """The path of a file in the folder."""
        return os.path.join(self.path, name)

    def keep_rows(self, name, columns, keep):
        """Makes a CSV file, or drops the rows of it for which `keep` is false."""
        rows = [row for row in read_rows(self.file(name), columns) if keep(row)]
        text = io.StringIO(newline='')
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows(rows)
        with replacing(self.path, name) as temporary, \
                open(temporary, 'w', newline='', encoding='utf-8') as handle:
            handle.write(text.getvalue())

    def append_rows(self, name, columns, rows):
        """Appends rows to a CSV file in one write. A row is a dict with some of the columns."""
        text = io.StringIO(newline='')
        csv.DictWriter(text, columns).writerows(rows)
        files.append(self.file(name), text.getvalue())

    def summary_writer(self):
        """The writer of TensorBoard's events."""
        return tf.summary.FileWriter(self.path, filename_suffix='.ash')


def _lock(path):
    """Takes the lock of a folder. The system releases it when the process ends, also by a crash.

    Returns:
      The file descriptor that holds the lock.

    Raises:
      ValueError: another process holds the lock. The message says which, as the lock file does.
    """
    # What a link led to would lose its content below.
    descriptor = os.open(os.path.join(path, LOCK_FILE),
                         os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError('{}: not a regular file'.format(os.path.join(path, LOCK_FILE)))
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 200).decode('utf-8', 'replace')
        os.close(descriptor)
        raise ValueError('{} is being written by another process: {}'.format(
            path, ' '.join(holder.split()) or 'it has not said which')) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, 'process {} on {}\n'.format(os.getpid(), socket.gethostname()).encode())
    return descriptor


def _check_free(path):
    """Raises ValueError if a folder holds a run, or what a run would replace or take for its own.
    """
    if os.path.exists(os.path.join(path, SETTINGS_FILE)) or glob.glob(
            os.path.join(glob.escape(path), checkpoints.PREFIX + '*')):
        raise ValueError('{} holds a run already: give another folder, or go on with it: {}'
                         .format(path, to_paste('train', '--resume', '--run-dir', path)))
    for name in ('checkpoint', METRICS_FILE, ACTIVATIONS_FILE, *FOLDERS):
        if os.path.lexists(os.path.join(path, name)):
            raise ValueError('{} has {}, as the folder of a run, but no {}: give another '
                             'folder'.format(path, name, SETTINGS_FILE))


def _check_folders(path):
    """Raises ValueError if a folder of a run leads to another one, where files would be removed."""
    for name in FOLDERS:
        if os.path.islink(os.path.join(path, name)):
            raise ValueError('{} is a link: a run goes on in its own folder alone'.format(
                os.path.join(path, name)))


def _check_resumable(path, settings, task, spec, may_differ):
    """Raises ValueError, naming what differs, if a folder holds no run or another one."""
    before, (old_task, old_spec) = load_settings(path), load_model(path)
    if 'validation_share' not in _read_json(path, SETTINGS_FILE):
        raise ValueError('{} was trained by an earlier version, which drew images in another '
                         'order: it can be evaluated and exported, but not resumed'.format(path))
    pairs = [(before, settings)] + [(old_spec, spec)] * (old_task is task)
    for old_record, record in pairs:
        for field in dataclasses.fields(record):
            old, new = getattr(old_record, field.name), getattr(record, field.name)
            if old != new and field.name not in RESUMABLE_WITH_ANOTHER + tuple(may_differ):
                raise ValueError('{} was trained with {} {!r}: it cannot be resumed with {!r}{}'
                                 .format(path, field.name, old, new, _to_extend(path, settings)
                                         if field.name in ('epochs', 'steps') else ''))


def _to_extend(path, settings):
    return '; if that is longer, lengthen the run: ' + extending.command(path, settings)
