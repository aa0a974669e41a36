"""What the tests of the TensorFlow side share: slow sweeps, and a run of the miniature net."""
import contextlib
import gc
import inspect
import signal

import pytest

from tests.train.miniature import registered_tiny, tiny_dataset, tiny_settings, train_quietly


def pytest_configure():
    """Lets Ctrl-C reach the commands under test, also where a shell began the tests with `&`."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before pytest looks at the markers
def pytest_collection_modifyitems(items):
    """Marks the combinations of a sweep as slow that its `chosen` does not choose."""
    for item in items:
        for sweep in item.iter_markers('sweep'):
            chosen = sweep.kwargs['chosen']
            names = inspect.signature(chosen).parameters
            if not chosen(**{name: item.callspec.params[name] for name in names}):
                item.add_marker(pytest.mark.slow)


def pytest_collection_finish():
    """Keeps the garbage collector from what imports made, which stays until the end.

    To build graphs makes so many objects that with Python's own settings it looks through all of
    those again and again, for 15 % of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20000, 20, 20)


@pytest.fixture
def tiny():
    """Registers the miniatures for one test; gives the function that makes the data set."""
    with registered_tiny():
        yield tiny_dataset


@pytest.fixture(scope='session')
def tiny_run(tmp_path_factory):
    """Folder of a finished run of `tiny_settings`; not to be written to."""
    run_dir = tmp_path_factory.mktemp('runs') / 'tiny'
    with registered_tiny():
        train_quietly(tiny_settings(), run_dir, plot=True)
    return run_dir


@pytest.fixture
def before_step(monkeypatch):
    """Function (count, action): has an action done just before a training's count-th step.

    Without arguments it arranges for nothing, again.
    """
    from ash_tf1.training import loop
    prefetch = loop.prefetch

    def arrange(count=None, action=None):
        def batches(iterator):
            with contextlib.closing(prefetch(iterator)) as ahead:
                for number, batch in enumerate(ahead, 1):
                    if number == count:
                        action()
                    yield batch
        monkeypatch.setattr(loop, 'prefetch', batches)
    return arrange
