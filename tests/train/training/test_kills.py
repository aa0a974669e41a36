"""A run that ends at any change on the disk goes on as if nothing had been, bit for bit."""
import dataclasses
import shutil

import pytest

from ash_tf1 import input_pipelines
from ash_tf1.input_pipelines import Subset
from tests.train.training import killing

STEPS = 6
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
    assert places > 40
    for place in range(0, places, every):
        run_dir = fresh('killed')
        status, text = killing.in_child(
            lambda run_dir=run_dir, place=place: killing.train(settings, run_dir, resume, place))
        assert status == killing.KILLED, text
        has_begun = (run_dir / 'settings.json').exists()
        whole_run(settings, run_dir, resume=has_begun)
        assert killing.content(run_dir) == expected, 'killed at {}'.format(place)
        shutil.rmtree(str(run_dir))
