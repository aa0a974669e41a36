"""A child process with limits."""
import os
import resource
import sys
import time

import numpy as np
import pytest

from ash_tf1 import files
from ash_tf1.converting import containment


def aborts_with_a_word():
    sys.stderr.write('F file.cc:1] Check failed: 1 == 2 \n')
    sys.stderr.flush()
    os.abort()


def raises(error):
    raise error


@pytest.mark.parametrize('function, error, message', [
    (lambda: raises(ValueError('bad name')), ValueError, '^bad name$'),
    (lambda: raises(RuntimeError('no number')), RuntimeError, '^no number$'),
    (lambda: raises(FileNotFoundError('no such file')), ValueError, '^no such file$'),
    (lambda: raises(KeyError('shape')), RuntimeError, "^KeyError: 'shape'$"),
    (aborts_with_a_word, RuntimeError, r'ended the process \(SIGABRT\): F file.cc:1. Check failed'),
    (lambda: os._exit(7), RuntimeError, r'ended the process \(exit status 7\)$'),
    (lambda: time.sleep(60), RuntimeError, '^it took more than 1 seconds: give it more'),
    (lambda: np.ones(2 * 10 ** 9, 'u1'), RuntimeError, 'more memory than 1 GB: give it more')])
def test_whatever_ends_the_child_is_one_error(function, error, message, capfd):
    start = time.monotonic()
    with pytest.raises(error, match=message):
        containment.call(function, seconds=1 if 'took more' in message else 30, gigabytes=1)
    assert time.monotonic() - start < 20
    assert capfd.readouterr().err == ''


@pytest.mark.parametrize('limits, message', [
    ((0, 1), '--time-limit must be above 0, got 0'), ((9, -1), '--memory-limit must be .* -1'),
    ((float('nan'), 1), '--time-limit must be above 0, got nan')])
def test_a_limit_that_is_none_is_refused(limits, message):
    with pytest.raises(ValueError, match=message):
        containment.call(os.getpid, *limits)


def test_a_lower_limit_that_holds_already_stays():
    def limited():
        resource.setrlimit(resource.RLIMIT_DATA, (10 ** 9, 10 ** 9))
        containment.call(lambda: np.ones(2 * 10 ** 9, 'u1'), 30, 8)
    with pytest.raises(RuntimeError, match='more memory than 1 GB'):
        containment.call(limited, 60, 8)


def test_what_it_returns_comes_back_and_what_it_says_where_that_is_wanted(capfd):
    def function():
        sys.stderr.write('said\n')
        return os.getpid()
    assert containment.call(function, 30, 4) not in (None, os.getpid())
    assert capfd.readouterr().err == ''
    containment.call(function, 30, 4, verbose=True)
    assert capfd.readouterr().err == 'said\n'


def test_a_folder_that_is_not_made_leaves_none_above_it(tmp_path):
    (tmp_path / 'there').mkdir()
    for path in ('new/newer/folder', 'there/folder'):
        with pytest.raises(KeyError):
            with files.replacing_folder(str(tmp_path / path)) as fresh:
                open(os.path.join(fresh, 'file'), 'w').close()
                raise KeyError
    assert [path.name for path in tmp_path.rglob('*')] == ['there']
    with files.replacing_folder(str(tmp_path / 'new/newer/folder')):
        pass
    assert (tmp_path / 'new/newer/folder').is_dir()
