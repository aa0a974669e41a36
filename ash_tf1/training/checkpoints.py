"""The checkpoints of a run. If the process ends while it writes one, the older ones remain."""
import os
import re

import tensorflow.compat.v1 as tf

from ash_tf1 import checkpoint, files
from ash_tf1.reading import read_json
from ash_tf1.training.log_reading import METRICS_FILE, read_rows

PREFIX, BEST_FOLDER = 'model.ckpt', 'best'
_SCRATCH = '.partial-checkpoint'
_FILE = re.compile(re.escape(PREFIX) + r'-(\d+)\.(index|data-\d{5}-of-\d{5}|interval\.json)')
_GLOBAL_STEP = 'global_step'


def step_of(prefix):
    """The step of a checkpoint, from its name.

    Raises:
      ValueError: the name does not end in a step.
    """
    digits = prefix.rpartition('-')[2]
    if not digits.isdecimal():
        raise ValueError('{} is no checkpoint of a run: its name does not end in a step'.format(
            prefix))
    return int(digits)


def find_latest(folder):
    """The latest checkpoint in a run's folder; None if the run has not written one yet.

    Raises:
      ValueError: the checkpoint is missing although the run has logged steps, or the step in its
        name is not its global step.
    """
    if not os.path.exists(os.path.join(folder, 'checkpoint')) and not _was_under_way(folder):
        return None
    # Not one of another folder, although the file `checkpoint` may name it.
    prefix = checkpoint.find_checkpoint(os.path.join(folder, os.path.basename(
        checkpoint.find_checkpoint(folder))))
    step = step_of(prefix)
    for _, value in checkpoint.read_variables(prefix, checkpoint.list_variables(prefix),
                                              {_GLOBAL_STEP: _GLOBAL_STEP}):
        if value.shape or value != step:
            raise ValueError('the checkpoint at {} holds {} {}: it was renamed'.format(
                prefix, _GLOBAL_STEP, value))
    return prefix


def _was_under_way(folder):
    """Whether the log in a folder has at least one row, so that the run has done steps."""
    return bool(read_rows(os.path.join(folder, METRICS_FILE)))


def best_of(run_dir):
    """The step of the best checkpoint in the folder of a run; None if there is none."""
    return max(_listed(os.path.join(run_dir, BEST_FOLDER)), default=None)


class Checkpoints:
    """The latest checkpoints of a run, and the best one in a folder of its own.

    A checkpoint may have the open interval of the log beside it. That is the metrics of the steps
    since the last row of the log. The next row averages over them too.
    """

    def __init__(self, folder, resumed_from, keep, keep_every=0):
        """Adds the ops that save the variables of the current graph.

        Args:
          folder: folder of the run.
          resumed_from: prefix of the checkpoint that the run resumes from; None for a new run.
          keep: how many of the latest checkpoints stay.
          keep_every: those of a multiple of this step stay too; 0 for none.
        """
        self._keep, self._keep_every = keep, keep_every
        self._folder, self._best_folder = folder, os.path.join(folder, BEST_FOLDER)
        self._resumed_from = resumed_from
        self.saver = tf.train.Saver(save_relative_paths=True)

    def clean(self):
        """Removes the parts of unfinished checkpoints that a process left when it ended early."""
        for folder in (self._folder, self._best_folder):
            files.remove_folder(os.path.join(folder, _SCRATCH))
            files.remove_partials(folder)
            _remove_all_but(folder, _listed(folder))

    def restore(self, session):
        """Restores the checkpoint that the run resumes from."""
        checkpoint.restore(session, self._resumed_from, self.saver)

    def open_interval(self, names):
        """The open interval that was saved with the checkpoint that the run resumes from.

        Args:
          names: names of the metrics of a step.

        Returns:
          A list of dicts: name -> value.

        Raises:
          ValueError: its file is damaged.
        """
        path = '{}.interval.json'.format(self._resumed_from)
        if not self._resumed_from or not os.path.lexists(path):
            return []
        steps = read_json(path)
        if not isinstance(steps, list) or not all(
                isinstance(step, dict) and sorted(step) == sorted(names) and
                all(type(value) in (int, float) for value in step.values()) for step in steps):
            raise ValueError('{} does not hold a list of steps, with {} of each'.format(
                path, ', '.join(sorted(names))))
        return steps

    def best_step(self):
        """The step of the best checkpoint; None if there is none."""
        return best_of(self._folder)

    def save(self, session, step, open_interval=()):
        """Saves all variables, and then removes all checkpoints but those that stay."""
        self._save(session, self._folder, step, self._keep, list(open_interval), self._keep_every)

    def save_best(self, session, step):
        """Saves all variables as the best checkpoint, and then removes the previous best one."""
        self._save(session, self._best_folder, step, 1, [])

    def _save(self, session, folder, step, keep, open_interval, keep_every=0):
        scratch = os.path.join(folder, _SCRATCH)
        files.remove_folder(scratch)
        os.makedirs(scratch)
        name = '{}-{}'.format(PREFIX, step)
        try:
            # Without the graph: a net is rebuilt from model.json, never from an untrusted graph.
            with files.change('save', name):
                self.saver.save(session, os.path.join(scratch, PREFIX), global_step=step,
                                write_meta_graph=False, write_state=False)
        except tf.errors.OpError as error:
            files.remove_folder(scratch)
            raise OSError('the checkpoint of step {} cannot be written to {}: {}'.format(
                step, folder, error.message.splitlines()[0])) from None
        if open_interval:
            files.write_json(os.path.join(scratch, name + '.interval.json'), open_interval)
        # The index comes last, because without it there is no checkpoint.
        for part in sorted(os.listdir(scratch), key=lambda part: part.endswith('.index')):
            files.move(os.path.join(scratch, part), os.path.join(folder, part))
        files.remove_folder(scratch)
        steps = [other for other in _listed(folder) if other != step] + [step]
        steps = [other for number, other in enumerate(steps, keep - len(steps))
                 if number >= 0 or keep_every and other and other % keep_every == 0]
        _write_state(folder, steps)
        _remove_all_but(folder, steps)


def _listed(folder):
    """The steps of the checkpoints that a folder's file `checkpoint` lists, the latest last."""
    return [step_of(prefix) for prefix in checkpoint.listed_checkpoints(folder)]


def _write_state(folder, steps):
    names = ['{}-{}'.format(PREFIX, step) for step in steps]
    # With a relative folder TensorFlow would take the names for relative to the current folder.
    state = tf.train.generate_checkpoint_state_proto(os.path.abspath(folder), names[-1], names)
    files.write_text(os.path.join(folder, 'checkpoint'), str(state))


def _remove_all_but(folder, steps):
    """Removes all checkpoints of a run in a folder except those of the given steps."""
    for name in sorted(os.listdir(folder) if os.path.isdir(folder) else (), reverse=True):
        found = _FILE.fullmatch(name)
        if found and int(found.group(1)) not in steps:
            files.remove(os.path.join(folder, name))
