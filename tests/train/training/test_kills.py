"""A run that ends at any change on the disk goes on as if nothing had been, bit for bit."""
import dataclasses
import resource
import shutil
import signal

import pytest

from ash_tf1 import input_pipelines
from ash_tf1.input_pipelines import Subset
from tests.train.training import killing

FULL = 28  # exit status of a child whose disk was full
EVERY = 3  # of the places; each of them is for `pytest -m slow`


@pytest.fixture(scope='module')
def settings(registered_tiny, tiny_settings):
    """Two epochs of three steps, with the log's rows across them."""
    with registered_tiny(), pytest.MonkeyPatch.context() as patch:
        whole = input_pipelines.DATASETS['tiny']()
        patch.setitem(input_pipelines.DATASETS, 'tiny', lambda data_dir: dataclasses.replace(
            whole, train=Subset(whole.train, range(24))))
        yield tiny_settings(epochs=2, log_every=2)


def whole_run(settings, run_dir, **how):
    status, text = killing.in_child(lambda: killing.train(settings, run_dir, **how))
    assert status == 0, text
    return int(text.split()[-1])


def start(kind, settings, tmp_path):
    """(settings, folder to begin from or None, whether it is resumed) of a kind of run."""
    if kind == 'from scratch':
        return settings, None, False
    if kind == 'init_from':
        whole_run(settings, tmp_path / 'initial')
        return dataclasses.replace(settings, init_from=str(tmp_path / 'initial'),
                                   seed=1), None, False
    whole_run(settings, tmp_path / 'stopped', stop_at=5)
    assert (tmp_path / 'stopped' / 'model.ckpt-5.interval.json').exists()
    return settings, tmp_path / 'stopped', True


@pytest.mark.parametrize('kind, every', [
    ('from scratch', EVERY), ('resumed', EVERY), ('init_from', 2 * EVERY),
    *(pytest.param(kind, 1, marks=pytest.mark.full_size, id='each place, ' + kind)
      for kind in ('from scratch', 'resumed', 'init_from'))])
def test_a_run_killed_at_any_change_ends_as_if_nothing_had_been(kind, every, settings, tmp_path):
    settings, begun, resume = start(kind, settings, tmp_path)

    def fresh(name):
        if begun is not None:
            shutil.copytree(str(begun), str(tmp_path / name))
        return tmp_path / name
    places = whole_run(settings, fresh('whole'), resume=resume)
    expected = killing.content(tmp_path / 'whole')
    assert 'best/model.ckpt-6.index' in expected or 'best/model.ckpt-3.index' in expected
    assert places > 30
    for place in range(0, places, every):
        run_dir = fresh('killed')
        status, text = killing.in_child(
            lambda run_dir=run_dir, place=place: killing.train(settings, run_dir, resume, place))
        assert status == killing.KILLED, text
        has_begun = (run_dir / 'settings.json').exists()
        whole_run(settings, run_dir, resume=has_begun)
        assert killing.content(run_dir) == expected, 'killed at {}'.format(place)
        shutil.rmtree(str(run_dir))


@pytest.mark.parametrize('limit', [1500, 6000, 40000])
def test_a_full_disk_ends_a_run_in_one_line_and_it_goes_on_when_there_is_room(
        settings, tmp_path, limit):
    """A limit of a file's size stands for a disk: the CSV, the index, or the data are too large."""
    whole_run(settings, tmp_path / 'whole')

    def on_a_small_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            killing.train(settings, tmp_path / 'run')
        except OSError as error:
            line, = str(error).splitlines()
            assert str(tmp_path / 'run') in line
            return FULL
    status, text = killing.in_child(on_a_small_disk)
    assert status == FULL, text
    whole_run(settings, tmp_path / 'run', resume=(tmp_path / 'run' / 'settings.json').exists())
    assert killing.content(tmp_path / 'run') == killing.content(tmp_path / 'whole')


def test_a_run_that_began_with_other_weights_goes_on_without_them(settings, tmp_path):
    """Killed before its first checkpoint it needs them; after it they may be gone."""
    settings, _, _ = start('init_from', settings, tmp_path)
    whole_run(settings, tmp_path / 'whole')
    for place, gone in ((6, False), (30, True)):
        run_dir = tmp_path / 'run{}'.format(place)
        status, text = killing.in_child(
            lambda run_dir=run_dir, place=place: killing.train(settings, run_dir, last=place))
        assert status == killing.KILLED, text
        assert (run_dir / 'model.ckpt-0.index').exists() == gone
        initial = tmp_path / 'initial'
        if gone:
            initial.rename(tmp_path / 'gone')
        else:
            initial.rename(tmp_path / 'away')
            status, text = killing.in_child(
                lambda run_dir=run_dir: killing.train(settings, run_dir, resume=True))
            assert status == 1 and 'no checkpoint at {}'.format(initial) in text
            (tmp_path / 'away').rename(initial)
        whole_run(settings, run_dir, resume=True)
        assert killing.content(run_dir) == killing.content(tmp_path / 'whole')
