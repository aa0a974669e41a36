"""A run that ends at any change on the disk goes on as if nothing had been, bit for bit."""
import dataclasses
import re
import shutil

import pytest

from tests.train.miniature import tiny_gan_settings, tiny_settings
from tests.train.training import killing

SETTINGS = tiny_settings(epochs=2, log_every=2)
EVERY = 3  # of the places, in CI; `make test-all` takes each of them


def whole_run(settings, run_dir, **how):
    status, text = killing.in_child(killing.train, settings, run_dir, **how)
    assert status == 0, text
    return int(re.search(r'^(\d+) places$', text, re.MULTILINE).group(1))


def start(kind, tmp_path):
    """(settings, folder to begin from or None, whether it is resumed) of a kind of run."""
    if kind == 'from scratch':
        return SETTINGS, None, False
    if kind == 'generation':
        return tiny_gan_settings(epochs=2, keep=1, keep_every=1), None, False
    if kind == 'init_from':
        whole_run(SETTINGS, tmp_path / 'initial')
        settings = dataclasses.replace(SETTINGS, init_from=str(tmp_path / 'initial'), seed=1)
        return settings, None, False
    whole_run(SETTINGS, tmp_path / 'stopped', stop_at=5)
    assert (tmp_path / 'stopped' / 'model.ckpt-5.interval.json').exists()
    return SETTINGS, tmp_path / 'stopped', True


@pytest.mark.parametrize('kind, every', [
    ('from scratch', 13),
    *(pytest.param(kind, EVERY, marks=pytest.mark.slow)
      for kind in ('from scratch', 'resumed', 'init_from')),
    pytest.param('generation', 3 * EVERY, marks=pytest.mark.slow),
    *(pytest.param(kind, 1, marks=pytest.mark.full_size, id='each place, ' + kind)
      for kind in ('from scratch', 'resumed', 'init_from', 'generation'))])
def test_a_run_killed_at_any_change_ends_as_if_nothing_had_been(kind, every, tmp_path):
    settings, begun, resume = start(kind, tmp_path)

    def fresh(name):
        if begun is not None:
            shutil.copytree(str(begun), str(tmp_path / name))
        return tmp_path / name
    places = whole_run(settings, fresh('whole'), resume=resume)
    expected = killing.content(tmp_path / 'whole')
    assert {'best/model.ckpt-6.index', 'best/model.ckpt-3.index',
            'pictures/samples-epoch-0002.png'} & set(expected)
    assert places > 30
    for place in range(0, places, every):
        run_dir = fresh('killed')
        status, text = killing.in_child(killing.train, settings, run_dir, resume, last=place)
        assert status == killing.KILLED, text
        has_begun = (run_dir / 'settings.json').exists()
        whole_run(settings, run_dir, resume=has_begun)
        assert killing.content(run_dir) == expected, 'killed at {}'.format(place)
        shutil.rmtree(str(run_dir))


@pytest.mark.parametrize('limit', [
    1500, pytest.param(6000, marks=pytest.mark.slow), pytest.param(40000, marks=pytest.mark.slow)])
def test_a_full_disk_ends_a_run_in_one_line_and_it_goes_on_when_there_is_room(
        tmp_path, limit):
    """A limit of a file's size stands for a disk: the CSV, the index, or the data are too large."""
    whole_run(SETTINGS, tmp_path / 'whole')
    status, text = killing.in_child(killing.train_on_a_small_disk, SETTINGS, tmp_path / 'run',
                                    limit)
    assert status == killing.FULL, text
    whole_run(SETTINGS, tmp_path / 'run', resume=(tmp_path / 'run' / 'settings.json').exists())
    assert killing.content(tmp_path / 'run') == killing.content(tmp_path / 'whole')


def test_a_run_that_began_with_other_weights_goes_on_without_them(tmp_path):
    """Killed before its first checkpoint it needs them; after it they may be gone."""
    settings, _, _ = start('init_from', tmp_path)
    whole_run(settings, tmp_path / 'whole')
    for place, gone in ((6, False), (30, True)):
        run_dir = tmp_path / 'run{}'.format(place)
        status, text = killing.in_child(killing.train, settings, run_dir, last=place)
        assert status == killing.KILLED, text
        assert (run_dir / 'model.ckpt-0.index').exists() == gone
        initial = tmp_path / 'initial'
        if gone:
            initial.rename(tmp_path / 'gone')
        else:
            initial.rename(tmp_path / 'away')
            status, text = killing.in_child(killing.train, settings, run_dir, resume=True)
            assert status == 1 and 'no checkpoint at {}'.format(initial) in text
            (tmp_path / 'away').rename(initial)
        whole_run(settings, run_dir, resume=True)
        assert killing.content(run_dir) == killing.content(tmp_path / 'whole')


@pytest.mark.slow
def test_a_run_saved_between_its_epochs_goes_on_from_there(tmp_path):
    whole_run(SETTINGS, tmp_path / 'whole')
    saving = dataclasses.replace(SETTINGS, save_every='2', keep=3)
    places = whole_run(saving, tmp_path / 'saving')
    expected = killing.content(tmp_path / 'saving')
    assert {'model.ckpt-{}.index'.format(step) for step in (3, 5, 6)} <= set(expected)
    for name, content in killing.content(tmp_path / 'whole').items():
        assert expected.get(name, content) == content
    for place in range(30, places, 12):
        run_dir = tmp_path / 'killed'
        status, text = killing.in_child(killing.train, saving, run_dir, last=place)
        assert status == killing.KILLED, text
        whole_run(saving, run_dir, resume=True)
        assert killing.content(run_dir) == expected
        shutil.rmtree(str(run_dir))
