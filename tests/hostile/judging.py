"""Runs a case in a child with limits, and judges it by the one rule that holds for all of them.

A command ends with 0 and the right answer; or with 1 or 2 and at most three lines on stderr, which
name the input and hold no traceback. In its folder, in its current folder, which is the same, and
in that of temporary files nothing outside what it is to write has changed.
"""
import argparse
import atexit
import functools
import hashlib
import os
import resource
import shutil
import signal
import stat
import sys
import tempfile
import time
import traceback
import zlib
from typing import Any, Callable, NamedTuple

SECONDS, GIGABYTES = 60, 6
TEMPORARY = 'tmp'  # folder for temporary files, in that of a case


class Case(NamedTuple):
    """A hostile input and what is done with it.

    Attributes:
      kind, name: of the case; the name is its own within its kind.
      make: function (folder, rng) -> (argv, about): writes the input into an empty folder and gives
        the arguments; `about` is what `right` needs to know.
      run: function (argv) -> exit status, as a command's main.
      right: function (stdout, about) -> whether what exit status 0 came with is right.
      names: what a refusal must name at least one of.
      writes: paths in the folder that may change where the exit status is 0.
      leaves: those that may change where it is another.
    """

    kind: str
    name: str
    make: Callable
    run: Callable
    right: Callable = lambda out, about: True
    names: Any = ('input',)
    writes: Any = ()
    leaves: Any = ()


def faults(case, folder, seed):
    """What is wrong with how a case ended: a list of words, empty where nothing is."""
    import numpy as np
    os.makedirs(os.path.join(folder, TEMPORARY))
    with open(os.path.join(folder, 'precious.txt'), 'w') as handle:
        handle.write('precious')
    argv, about = case.make(folder, np.random.RandomState(seed))
    before, start = listing(folder), time.monotonic()
    status, out, err = in_child(lambda: case.run(argv), folder)
    found = [] if time.monotonic() - start < SECONDS else ['it took too long']
    changed = _changed(before, listing(folder), case.writes if status == 0 else case.leaves)
    if changed:
        found.append('it changed {}'.format(changed))
    if status == 0:
        if not case.right(out, about):
            found.append('its answer is wrong: {:.300}'.format(out))
    elif status in (1, 2):
        # argparse prints how a command is used before its one line.
        lines = err[err.index(': error: ') if err.startswith('usage: ') else 0:].splitlines()
        # What verify_onnx.py says of a model that fails is no refusal, and on stdout.
        if 'Traceback' in err or len(lines) > 3 or not (lines or status == 1 and out):
            found.append('it did not say one line: {:.600}'.format(err))
        elif lines and not any(name in err for name in case.names):
            found.append('it did not name the input: {:.300}'.format(err))
        elif any(not mark.isprintable() for line in lines for mark in line):
            found.append('it showed control characters: {!r:.300}'.format(err))
    else:
        found.append('it ended with {}: {:.300}'.format(status, err))
    shutil.rmtree(folder)
    return found


def listing(folder):
    """What a folder holds, at any depth: path in it -> kind and rights, and the content's SHA-256.

    Files that only claim to be huge are known by their size.
    """
    found = {}
    for home, folders, names in os.walk(folder):
        for name in folders + names:
            path = os.path.join(home, name)
            status = os.lstat(path)
            content = ''
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                content = status.st_size
                if status.st_size < 2 ** 30:
                    with open(path, 'rb') as handle:
                        content = hashlib.sha256(handle.read()).hexdigest()
            found[os.path.relpath(path, folder)] = status.st_mode, content
    return found


def _changed(before, after, allowed):
    """The paths that are new, gone or different, but for those that are allowed and their parts."""
    return sorted(path for path in set(before) | set(after) if before.get(path) != after.get(path)
                  and not any((path + '/').startswith(one + '/') for one in allowed))


@functools.lru_cache(maxsize=None)
def made(function):
    """The folder that a function (folder) has filled, once, in a process of its own.

    That is for what needs a session: its threads must not be in the process that forks the others.
    """
    folder = tempfile.mkdtemp(prefix='hostile-made-')
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.mkdir(os.path.join(folder, TEMPORARY))
    status, out, err = in_child(lambda: function(folder) or 0, folder, 10 * SECONDS)
    if status:
        raise RuntimeError('{} ended with {}: {}'.format(function.__name__, status, out + err))
    return folder


def reading(function):
    """What runs a function of a path as a command of the TensorFlow side does."""
    def run(argv):
        from ash_tf1.commands import running
        parser = argparse.ArgumentParser(prog='reading')
        parser.add_argument('path')
        return running.run(parser, lambda args: function(args.path) and 0 or 0, argv)
    return run


def in_child(function, folder, seconds=SECONDS):
    """(exit status or -signal, stdout, stderr) of a function in a child process."""
    logs = [folder + '.out', folder + '.err']
    child = os.fork()
    if not child:
        _child(function, folder, logs)
    deadline, status = time.monotonic() + seconds, None
    while status is None:
        ended, code = os.waitpid(child, os.WNOHANG)
        if ended:
            status = -os.WTERMSIG(code) if os.WIFSIGNALED(code) else os.WEXITSTATUS(code)
        elif time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            deadline += seconds
        else:
            time.sleep(0.002)
    texts = []
    for log in logs:
        with open(log, encoding='utf-8', errors='surrogateescape') as handle:
            texts.append(handle.read())
        os.remove(log)
    return (status, *texts)


def _child(function, folder, logs):
    status = 99
    try:
        os.chdir(folder)
        tempfile.tempdir = os.environ['TMPDIR'] = os.path.join(folder, TEMPORARY)
        for stream, log in zip((1, 2), logs):
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
        sys.stdout = open(1, 'w', closefd=False)
        # As Python has it; 3.7 alone keeps lines back if it is no terminal.
        sys.stderr = open(2, 'w', 1, closefd=False, errors='backslashreplace')
        limit = int(GIGABYTES * 1e9)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        status = function()
    except SystemExit as stop:
        status = stop.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 98)


def judge(cases, scratch, every=1):
    """Judges every n-th case; yields (case, faults)."""
    for number, case in enumerate(cases):
        if number % every == 0:
            seed = zlib.crc32('{} {}'.format(case.kind, case.name).encode())
            yield case, faults(case, os.path.join(scratch, str(number)), seed)
