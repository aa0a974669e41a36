"""Runs in child processes that end, as by a crash, at any change that they make on the disk.

They train on 24 images of the miniature data set: three steps an epoch, by eight.
"""
import csv
import dataclasses
import multiprocessing
import os
import resource
import signal
import traceback

from ash_tf1 import files, input_pipelines, training
from ash_tf1.input_pipelines import Subset
from ash_tf1.sessions import compute_in_one_thread
from ash_tf1.training import plotting
from tests.train import conftest

_CONTEXT = multiprocessing.get_context('forkserver')
_CONTEXT.set_forkserver_preload([__name__])
KILLED, FULL = 9, 28  # exit statuses
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
    """Calls a function of this module in a process of its own; its exit status and what it wrote.

    The process is forked from one that has imported TensorFlow and has run no session: the threads
    of a session would not come along.
    """
    reading, writing = _CONTEXT.Pipe(duplex=False)
    child = _CONTEXT.Process(target=_in_child, args=(writing, function, arguments))
    child.start()
    writing.close()
    with os.fdopen(os.dup(reading.fileno()), errors='replace') as output:
        text = output.read()
    reading.close()
    child.join()
    return child.exitcode, text


def _in_child(writing, function, arguments):
    status = 1
    try:
        os.dup2(writing.fileno(), 1)
        os.dup2(writing.fileno(), 2)
        writing.close()
        compute_in_one_thread()
        with conftest._registered():
            whole = input_pipelines.DATASETS['tiny']()
            input_pipelines.DATASETS['tiny'] = lambda data_dir: dataclasses.replace(
                whole, train=Subset(whole.train, range(24)))
            status = function(*arguments) or 0
    except BaseException:
        os.write(1, traceback.format_exc().encode())
    finally:
        os._exit(status)


def train(settings, run_dir, resume=False, last=None, stop_at=None):
    """A run, for `in_child`: writes the number of places between changes that it passed.

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
    os.write(1, '\nplaces: {}\n'.format(changes.count).encode())


def train_on_a_small_disk(settings, run_dir, limit):
    """A run whose files cannot be larger than a limit, in bytes; its error must be one line."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        train(settings, run_dir)
    except OSError as error:
        line, = str(error).splitlines()
        assert str(run_dir) in line
        return FULL


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
