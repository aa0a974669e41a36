"""Runs in child processes that end, as by a crash, at any change that they make on the disk."""
import csv
import os
import signal
import traceback

from ash_tf1 import files, training
from ash_tf1.sessions import compute_in_one_thread
from ash_tf1.training import plotting

KILLED = 9
# Not compared: what has times in it, and who wrote last.
TIMES = ('images_per_second',)
PASSED_OVER = ('.lock', 'settings.json')


class Changes:
    """Takes the place of `files.change`; ends the process before or after the n-th change."""

    def __init__(self, last=None):
        self.last, self.count, self.names = last, 0, []

    def __call__(self, what, path):
        self.names.append('{} {}'.format(what, os.path.basename(path)))
        return self

    def __enter__(self):
        self._pass()

    def __exit__(self, *error):
        self._pass()

    def _pass(self):
        if self.count == self.last:
            os._exit(KILLED)
        self.count += 1


def in_child(function, *arguments):
    """Calls a function in a forked process; its exit status, and what it printed or raised.

    The parent must not have run a session: TensorFlow's threads do not come along.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            os.dup2(writing, 1)
            os.dup2(writing, 2)
            compute_in_one_thread()
            status = function(*arguments) or 0
        except BaseException:
            os.write(writing, traceback.format_exc().encode())
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, errors='replace') as output:
        text = output.read()
    return os.WEXITSTATUS(os.waitpid(child, 0)[1]), text


def train(settings, run_dir, resume=False, last=None, stop_at=None):
    """A run, for `in_child`: prints the number of places between changes that it passed.

    Args:
      settings, run_dir, resume: as for `training.train`.
      last: number of the place at which the process ends; None for none.
      stop_at: number of the batch before which the process gets SIGTERM; None for none.
    """
    changes = Changes(last)
    files.change = changes
    plotting.plot_learning_curve = lambda run_dir, metrics: None
    if stop_at is not None:
        _signal_before(stop_at)
    training.train(settings, str(run_dir), resume, progress=False, report=lambda line: None)
    os.write(1, ' {}'.format(changes.count).encode())


def _signal_before(number):
    from ash_tf1.training import loop
    step, seen = loop._step, []

    def counted(*arguments):
        seen.append(1)
        if len(seen) == number:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(*arguments)
    loop._step = counted


def content(run_dir):
    """What a run left, by relative path: bytes, and rows of CSV files without times."""
    found = {}
    for path in sorted(run_dir.rglob('*')):
        name = str(path.relative_to(str(run_dir)))
        if path.is_dir() or 'tfevents' in name or name in PASSED_OVER:
            continue
        if name.endswith('.csv'):
            with open(str(path), newline='') as handle:
                found[name] = [{key: value for key, value in row.items() if key not in TIMES}
                               for row in csv.DictReader(handle)]
        elif name.rpartition('/')[2] != 'checkpoint':  # that has the names of the others
            found[name] = path.read_bytes()
    return found
