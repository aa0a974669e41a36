"""A run that is lengthened equals one that was planned so long, bit for bit where it can."""
import dataclasses

import pytest

from ash_tf1.training import extending, loop
from ash_tf1.training.run_dir import load_settings
from ash_tf1.training.schedules import step_boundaries
from ash_tf1.training.settings import Settings
from tests.train.miniature import tiny_settings, train_quietly
from tests.train.training import killing

pytestmark = pytest.mark.fast

STEP = tiny_settings(epochs=2, log_every=2, schedule='step', step_at=(0.5,), learning_rate=0.05)


def runs(settings, run_dir, **how):
    status, text = killing.in_child(killing.train, settings, run_dir, **how)
    assert status == 0, text


@pytest.mark.parametrize('settings, longer, planned', [
    (STEP, dict(epochs=4), dict(epochs=4, step_at=(3 / 12,))),
    # 4 steps are no whole number of epochs of 3: only the weights of the run are then the same.
    (dataclasses.replace(STEP, epochs=0, steps=4), dict(steps=9), dict(steps=9, step_at=(2 / 9,))),
    pytest.param(dataclasses.replace(STEP, schedule='cosine'), dict(epochs=3, constant_rate=0.001),
                 dict(epochs=3, constant_rate=0.001, constant_from=6), marks=pytest.mark.slow),
], ids=['step', 'steps', 'cosine and a constant rate'])
def test_an_extended_run_equals_the_run_that_was_planned_so_long(
        tmp_path, settings, longer, planned):
    runs(settings, tmp_path / 'run')
    runs(dataclasses.replace(settings, **longer), tmp_path / 'run', resume=True, extend=True)
    planned = dataclasses.replace(settings, **planned)
    runs(planned, tmp_path / 'planned')
    mine, other = (killing.content(tmp_path / name) for name in ('run', 'planned'))
    if settings.steps:
        mine, other = ({name: content for name, content in each.items()
                        if name.startswith('model.ckpt-9.')} for each in (mine, other))
    assert mine == other and len(mine) > 1
    settings = [load_settings(str(tmp_path / name)) for name in ('run', 'planned')]
    assert settings[0] == settings[1]


@pytest.mark.slow
def test_a_run_killed_while_it_is_lengthened_is_resumed_as_usual(tmp_path):
    longer = dataclasses.replace(STEP, epochs=4)
    for name in ('whole', 'killed'):
        runs(STEP, tmp_path / name)
    runs(longer, tmp_path / 'whole', resume=True, extend=True)
    status, text = killing.in_child(killing.train, longer, tmp_path / 'killed', resume=True,
                                    extend=True, last=30)
    assert status == killing.KILLED, text
    settings = load_settings(str(tmp_path / 'killed'))
    assert settings.epochs == 4
    runs(settings, tmp_path / 'killed', resume=True)
    assert killing.content(tmp_path / 'killed') == killing.content(tmp_path / 'whole')


@pytest.mark.parametrize('shares', [(0.5, 0.75), (1 / 3, 2 / 3), (0.3, 0.6, 0.8), (0.001,), ()])
@pytest.mark.parametrize('old, new', [(15, 16), (64000, 96001), (7, 1000000)])
def test_boundaries_stay_where_they_are(shares, old, new):
    before = Settings(steps=old, step_at=shares)
    extended = extending.extend(before, dataclasses.replace(before, steps=new), 10, 'run')
    assert step_boundaries(extended, new) == step_boundaries(before, old)


def test_a_run_with_a_constant_rate_is_extended_again():
    before = Settings(steps=10, schedule='one_cycle')
    first = extending.extend(before, dataclasses.replace(
        before, steps=20, constant_rate=0.01), 5, 'run')
    again = extending.extend(first, dataclasses.replace(first, steps=0, epochs=6), 5, 'run')
    assert again == dataclasses.replace(before, steps=0, epochs=6, constant_rate=0.01,
                                        constant_from=10)
    with pytest.raises(ValueError, match='constant rate 0.01 from step 10 on.*not by 0.02'):
        extending.extend(first, dataclasses.replace(first, steps=30, constant_rate=0.02), 5, 'run')


@pytest.mark.parametrize('schedule', ['cosine', 'one_cycle'])
def test_a_schedule_that_ends_with_the_run_is_refused_with_the_command_to_paste(schedule):
    before = Settings(epochs=2, schedule=schedule)
    with pytest.raises(ValueError, match='schedule ends with the run') as error:
        extending.extend(before, dataclasses.replace(before, epochs=4), 5, 'my run')
    assert str(error.value).startswith('a {} schedule'.format(schedule))
    assert str(error.value).endswith(
        "train --extend --run-dir 'my run' --epochs 4 --constant-rate 0.001")


@pytest.mark.parametrize('changes, message', [
    (dict(epochs=2), '10 steps: --extend needs a larger length'),
    (dict(epochs=0, steps=9), 'got 9 steps'), (dict(epochs=3, step_at=(0.1,)), 'keeps the step_at'),
    (dict(epochs=3, constant_from=3, constant_rate=1.0), 'keeps the constant_from')], ids=str)
def test_what_is_no_extension_is_refused(changes, message):
    before = Settings(epochs=2)
    with pytest.raises(ValueError, match=message):
        extending.extend(before, dataclasses.replace(before, **changes), 5, 'run')


def test_the_refusal_of_another_length_names_the_command_to_paste(tiny, tiny_run, monkeypatch):
    monkeypatch.setattr(loop, 'build_training_graph', lambda *args: None)
    monkeypatch.setattr('sys.argv', ['/opt/bin/ash-train'])
    with pytest.raises(ValueError) as error:
        train_quietly(tiny_settings(epochs=6), tiny_run, resume=True)
    assert str(error.value).endswith('lengthen the run: /opt/bin/ash-train --extend --run-dir {} '
                                     '--epochs 6'.format(tiny_run))
