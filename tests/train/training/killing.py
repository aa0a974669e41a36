"""Runs in child processes that end, as by a crash, at any change that they make on the disk."""
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
from tests.train.miniature import registered_tiny, tiny_dataset

FORKS = multiprocessing.get_context('forkserver')
FORKS.set_forkserver_preload([__name__])
KILLED, FULL = 9, 28  # exit statuses of a child: killed, and the disk was full
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


def in_child(function, *arguments, **options):
    """Calls a function of a module in a process of its own.

    That is forked from one which has imported this module and never runs a session: the threads of
    TensorFlow, which the tests before have started in this one, do not come along in a fork.

    Returns:
      (exit status, what it printed or raised).
    """
    reading, writing = FORKS.Pipe(duplex=False)
    child = FORKS.Process(target=_call, args=(writing, function, arguments, options))
    child.start()
    writing.close()
    with os.fdopen(os.dup(reading.fileno()), errors='replace') as output:
        text = output.read()
    reading.close()
    child.join()
    return child.exitcode, text


def _call(writing, function, arguments, options):
    status = 1
    try:
        os.dup2(writing.fileno(), 1)
        os.dup2(writing.fileno(), 2)
        compute_in_one_thread()
        status = function(*arguments, **options) or 0
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)


def _six_steps(data_dir=None):
    """The miniature data set, cut to three steps an epoch, with the log's rows across them."""
    whole = tiny_dataset()
    return dataclasses.replace(whole, train=Subset(whole.train, range(24)))


def train(settings, run_dir, resume=False, last=None, stop_at=None, extend=False):
    """A run, for `in_child`: prints how many places between changes it passed.

    Args:
      settings, run_dir, resume, extend: as for `training.train`.
      last: number of the place at which the process ends; None for none.
      stop_at: number of the batch before which the process gets SIGTERM; None for none.
    """
    changes = Changes(last)
    files.change = changes
    plotting.plot_learning_curve = lambda run_dir, metrics: None
    if stop_at is not None:
        _signal_before(stop_at)
    with registered_tiny():
        input_pipelines.DATASETS['tiny'] = _six_steps
        training.train(settings, str(run_dir), resume, progress=False, report=lambda line: None,
                       extend=extend)
    os.write(1, '\n{} places\n'.format(changes.count).encode())


def train_on_a_small_disk(settings, run_dir, limit):
    """A run that ends when a file becomes larger than `limit` bytes; FULL if it says so."""
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
