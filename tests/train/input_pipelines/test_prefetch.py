"""Prefetching by a thread: order, errors, how far ahead it works, and its end."""
import gc
import os
import subprocess
import sys
import threading
import time
import traceback

import pytest

from ash_tf1.input_pipelines import loading
from ash_tf1.input_pipelines.loading import prefetch

PATIENCE = 5.0  # seconds until a thread that should have ended counts as leaked


def producers():
    return [thread for thread in threading.enumerate() if thread.name == 'prefetch']


def wait_until(condition):
    deadline = time.time() + PATIENCE
    while not condition():
        assert time.time() < deadline, f'still not so after {PATIENCE} s'
        time.sleep(0.002)


def in_time(function, *arguments):
    """Calls a function that would hang, not fail, where the code is wrong."""
    outcome = []

    def call():
        try:
            outcome.append((function(*arguments), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert outcome, f'still not done after {PATIENCE} s'
    value, error = outcome[0]
    if error is not None:
        raise error
    return value


@pytest.fixture(autouse=True)
def no_thread_is_left():
    assert not producers()
    yield
    wait_until(lambda: not producers())


@pytest.mark.parametrize('depth', [1, 2, 4, 100])
@pytest.mark.parametrize('count', [0, 1, 50])
def test_items_come_once_and_in_order(depth, count):
    assert list(prefetch(iter(range(count)), depth)) == list(range(count))


def test_items_may_be_none_or_exceptions():
    items = [None, StopIteration(), ValueError('an item'), ()]
    assert list(prefetch(items)) == items


@pytest.mark.parametrize('depth', [1, 3])
def test_work_is_done_ahead_but_not_further_than_depth(depth):
    made = []

    def source():
        for i in range(100):
            made.append(i)
            yield i

    items = prefetch(source(), depth)
    assert made == []  # nothing happens before the first item is asked for
    for taken in range(1, 4):
        next(items)
        ahead = taken + depth
        wait_until(lambda ahead=ahead: len(made) >= ahead)
        time.sleep(0.02)
        assert len(made) == ahead
    in_time(items.close)


def test_work_is_done_in_another_thread():
    threads = list(prefetch(threading.current_thread() for _ in range(2)))
    assert threading.current_thread() not in threads
    assert all(thread.daemon for thread in threads)


@pytest.mark.parametrize('error', [KeyError('lost'), KeyboardInterrupt(), MemoryError()])
def test_an_error_comes_out_in_its_place_with_its_traceback(error):
    def source_that_breaks():
        yield 1
        yield 2
        raise error

    items = prefetch(source_that_breaks())
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(type(error)) as caught:
        in_time(next, items)
    assert caught.value is error
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert 'source_that_breaks' in names
    assert list(items) == []


def test_an_iterable_that_cannot_start_is_an_error_too():
    class Broken:
        def __iter__(self):
            raise RuntimeError('cannot start')

    with pytest.raises(RuntimeError, match='cannot start'):
        next(prefetch(Broken()))


@pytest.mark.parametrize('taken', [1, 5])
def test_close_ends_the_thread_and_the_work(taken):
    made = []

    def source():
        while True:
            made.append(None)
            yield len(made)

    items = prefetch(source(), depth=2)
    for _ in range(taken):
        next(items)
    in_time(items.close)
    assert not producers()  # at once: close waits for the thread
    before = len(made)
    time.sleep(0.02)
    assert len(made) == before <= taken + 2


def test_close_waits_for_the_item_in_the_making():
    started, finished = threading.Event(), []

    def source():
        yield 0
        started.set()
        time.sleep(0.1)
        finished.append(True)
        yield 1

    items = prefetch(source())
    next(items)
    assert started.wait(PATIENCE)
    in_time(items.close)
    assert finished
    assert not producers()


def test_a_forgotten_generator_ends_its_thread():
    items = prefetch(iter(int, 1))
    next(items)
    assert len(producers()) == 1
    del items
    gc.collect()
    wait_until(lambda: not producers())


def test_an_error_in_the_consumer_ends_the_thread():
    def consume():
        for _ in prefetch(iter(int, 1)):
            raise OverflowError

    with pytest.raises(OverflowError):
        consume()
    gc.collect()
    wait_until(lambda: not producers())


def test_a_generator_that_outlives_the_program_does_not_hang_it():
    # The parent package is left out because it imports TensorFlow, which takes seconds.
    script = '''
import sys, types
sys.modules['ash_tf1'] = types.ModuleType('ash_tf1')
sys.modules['ash_tf1'].__path__ = [sys.argv[1]]
from ash_tf1.input_pipelines.loading import prefetch
items = prefetch(iter(int, 1))
next(items)
sys.exit(3)
'''
    package = os.path.dirname(os.path.dirname(loading.__file__))
    ended = subprocess.run([sys.executable, '-c', script, package], timeout=4 * PATIENCE,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert (ended.returncode, ended.stdout) == (3, b'')


def test_close_closes_the_iterator_too():
    closed = []

    def source():
        try:
            while True:
                yield 0
        finally:
            closed.append(threading.current_thread().name)

    iterator = source()  # held here, so that only a call of close can end it
    items = prefetch(iterator)
    next(items)
    in_time(items.close)
    assert closed == ['prefetch']


def test_a_generator_that_was_never_used_starts_no_thread():
    prefetch(iter(int, 1)).close()
    assert not producers()


def test_depth_is_checked_by_the_call():
    with pytest.raises(ValueError, match='depth must be at least 1, got 0'):
        prefetch([], depth=0)
