"""Interrupted runs: where they go on, what a crash costs, and what is not resumed.

Two runs of the same steps agree to float32 rounding that 15 steps on 2 threads have had time to
enlarge: 1e-4 relative, 1e-5 absolute.
"""
import fcntl
import itertools
import json
import os
import shutil
import signal
import socket
import threading

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1.checkpoint import find_checkpoint
from ash_tf1.ops import resolve
from ash_tf1.training import hooks, loop
from ash_tf1.training.plan import Plan
from ash_tf1.training.run_dir import load_settings, read_rows
from tests.train.miniature import contents, read_weights, tiny_settings, train_quietly

pytestmark = pytest.mark.fast

SIGNALS = hooks.StopOnSignal.SIGNALS


@pytest.fixture
def run_copy(tiny_run, tmp_path):
    """A finished run that may be spoilt."""
    shutil.copytree(str(tiny_run), str(tmp_path / 'copy'))
    return tmp_path / 'copy'


def crash():
    raise RuntimeError('lost power')


def assert_same_run(actual, expected, step=15):
    prefix = 'model.ckpt-{}'.format(step)
    assert find_checkpoint(str(actual)) == str(actual / prefix)
    weights, wanted = read_weights(actual / prefix), read_weights(expected / prefix)
    assert sorted(weights) == sorted(wanted)  # the optimiser's momenta and the step included
    for name in wanted:
        np.testing.assert_allclose(weights[name], wanted[name], rtol=1e-4, atol=1e-5,
                                   err_msg=name)
    for name in ('metrics.csv', 'activations.csv'):
        rows, wanted = read_rows(str(actual / name)), read_rows(str(expected / name))
        assert len(rows) == len(wanted)
        for row, other in zip(rows, wanted):
            assert list(row) == list(other)
            for key in set(row) - {'images_per_second'}:
                if key in ('split', 'layer') or not other[key]:
                    assert row[key] == other[key]
                else:
                    assert float(row[key]) == pytest.approx(float(other[key]), rel=1e-4, abs=1e-5)


def test_a_signal_in_mid_epoch_loses_nothing(tiny, tiny_run, tmp_path, before_step):
    before = [signal.getsignal(each) for each in SIGNALS]
    before_step(7, lambda: os.kill(os.getpid(), signal.SIGTERM))
    result = train_quietly(tiny_settings(), tmp_path)
    assert (result.step, result.total_steps, result.signal) == (7, 15, signal.SIGTERM)
    assert [signal.getsignal(each) for each in SIGNALS] == before
    assert find_checkpoint(str(tmp_path)) == str(tmp_path / 'model.ckpt-7')
    assert int(read_rows(str(tmp_path / 'metrics.csv'))[-1]['step']) == 7

    before_step()
    result = train_quietly(tiny_settings(), tmp_path, resume=True)
    assert (result.step, result.signal) == (15, None)
    assert_same_run(tmp_path, tiny_run)


def test_a_moved_run_goes_on_and_keeps_as_many_checkpoints(tiny, tiny_run, tmp_path, before_step):
    """Also where its files `checkpoint` name the paths of another machine."""
    before_step(7, lambda: os.kill(os.getpid(), signal.SIGTERM))
    train_quietly(tiny_settings(), tmp_path / 'run')
    (tmp_path / 'run').rename(tmp_path / 'moved')
    for folder in (tmp_path / 'moved', tmp_path / 'moved' / 'best'):
        state = (folder / 'checkpoint').read_text()
        (folder / 'checkpoint').write_text(state.replace('"model', '"/home/somebody/run/model'))

    before_step()
    train_quietly(tiny_settings(), tmp_path / 'moved', resume=True)
    assert_same_run(tmp_path / 'moved', tiny_run)
    for pattern in ('*.ckpt*', 'best/*.ckpt*'):
        mine, whole = (sorted(path.name for path in run.glob(pattern))
                       for run in (tmp_path / 'moved', tiny_run))
        assert mine == whole != []


def test_a_crash_costs_only_the_steps_since_the_checkpoint(tiny, tiny_run, tmp_path, before_step):
    handlers = [signal.getsignal(each) for each in SIGNALS]
    before_step(8, crash)
    with pytest.raises(RuntimeError, match='lost power'):
        train_quietly(tiny_settings(), tmp_path)
    assert [signal.getsignal(each) for each in SIGNALS] == handlers
    assert int(read_rows(str(tmp_path / 'metrics.csv'))[-1]['step']) == 7

    before_step()
    train_quietly(tiny_settings(), tmp_path, resume=True)
    assert_same_run(tmp_path, tiny_run)


def test_a_run_that_crashed_before_any_checkpoint_begins_again(tiny, tmp_path, before_step):
    settings = tiny_settings(activation='relu', epochs=1)
    before_step(3, crash)
    with pytest.raises(RuntimeError, match='lost power'):
        train_quietly(settings, tmp_path)
    before_step()
    assert train_quietly(settings, tmp_path, resume=True).step == 5
    rows = read_rows(str(tmp_path / 'metrics.csv'))
    assert [int(row['step']) for row in rows] == [1, 2, 3, 4, 5, 5]


def test_tensorflow_finds_the_checkpoints_of_a_run_in_a_relative_folder(tiny, tmp_path,
                                                                        monkeypatch):
    monkeypatch.chdir(tmp_path)
    train_quietly(tiny_settings(activation='relu', epochs=1), os.path.join('runs', 'run'))
    for folder in ('runs/run', 'runs/run/best'):
        assert tf.train.latest_checkpoint(folder) == os.path.join(folder, 'model.ckpt-5')


def test_a_finished_run_is_resumed_to_no_effect(tiny, tiny_run, run_copy, tmp_path):
    # Where the data lies is the one thing that may have changed.
    settings = tiny_settings(data_dir=str(tmp_path), implementation=resolve('auto'))
    result = train_quietly(settings, run_copy, resume=True)
    assert load_settings(str(run_copy)) == settings
    assert (result.step, result.total_steps, result.signal) == (15, 15, None)
    assert_same_run(run_copy, tiny_run)
    assert not (run_copy / 'model.ckpt-5.index').exists()


def test_what_a_kill_left_amid_a_checkpoint_is_removed(tiny, tiny_run, run_copy):
    """Parts of a new one, and an old one whose removal was under way."""
    for name in ('model.ckpt-8.data-00000-of-00001', 'model.ckpt-8.interval.json',
                 'best/model.ckpt-1.index', 'best/model.ckpt-1.data-00000-of-00001',
                 '.partial-checkpoint/model.ckpt-15.data-00000-of-00001.tempstate77',
                 'best/.partial-checkpoint/model.ckpt-15.index',
                 'settings.partial-77.json', 'best/checkpoint.partial-77'):
        (run_copy / name).parent.mkdir(exist_ok=True)
        (run_copy / name).write_bytes(b'half of it')
    train_quietly(tiny_settings(), run_copy, resume=True)

    def names(folder):
        return {str(path.relative_to(str(folder))) for path in folder.rglob('*')
                if 'tfevents' not in path.name}
    assert names(run_copy) == names(tiny_run)


@pytest.fixture
def without_graph(monkeypatch):
    """For what is refused before the graph is used: saves the seconds of building it."""
    monkeypatch.setattr(loop, 'build_training_graph', lambda *args: None)


def test_a_folder_in_use_is_refused_untouched(tiny, tiny_run, without_graph):
    before = contents(tiny_run)
    with pytest.raises(ValueError, match='holds a run already') as error:
        train_quietly(tiny_settings(), tiny_run)
    assert str(tiny_run) in str(error.value)
    assert contents(tiny_run) == before


@pytest.mark.parametrize('change', [
    dict(learning_rate=0.2), dict(activation='relu'), dict(net='tiny_deeper'), dict(seed=1),
    dict(batch_size=4), dict(epochs=4), dict(step_at=(0.5,)), dict(augmentation='none'),
    dict(validation_share=0.2),
], ids=lambda change: '{}'.format(*change))
def test_another_setting_cannot_be_resumed(tiny, tiny_run, without_graph, change):
    before = contents(tiny_run)
    (name, value), = change.items()
    with pytest.raises(ValueError, match='trained with {} '.format(name)) as error:
        train_quietly(tiny_settings(**change), tiny_run, resume=True)
    assert repr(value) in str(error.value)
    assert repr(getattr(tiny_settings(), name)) in str(error.value)
    assert contents(tiny_run) == before


def test_a_run_of_an_earlier_version_is_not_resumed(tiny, run_copy, without_graph):
    record = json.loads((run_copy / 'settings.json').read_text())
    del record['validation_share']
    (run_copy / 'settings.json').write_text(json.dumps(record))
    before = contents(run_copy)
    with pytest.raises(ValueError, match='earlier version.* evaluated and exported, but not'):
        train_quietly(load_settings(str(run_copy)), run_copy, resume=True)
    assert contents(run_copy) == before


def test_one_process_writes_a_run(tiny, run_copy, without_graph):
    """What is held is dropped by the system with its process, whatever the file says."""
    (run_copy / '.lock').write_text('process 1 on elsewhere')
    held = os.open(str(run_copy / '.lock'), os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(ValueError, match='written by another process: process 1 on elsewhere'):
        train_quietly(tiny_settings(), run_copy, resume=True)
    os.close(held)
    with pytest.raises(ValueError, match='No variables'):  # of no graph: it came that far
        train_quietly(tiny_settings(), run_copy, resume=True)
    assert (run_copy / '.lock').read_text() == 'process {} on {}\n'.format(
        os.getpid(), socket.gethostname())


def test_a_renamed_checkpoint_is_not_gone_on_from(tiny, run_copy, without_graph):
    for path in run_copy.glob('model.ckpt-15.*'):
        path.rename(run_copy / path.name.replace('15', '12'))
    (run_copy / 'checkpoint').write_text('model_checkpoint_path: "model.ckpt-12"\n')
    with pytest.raises(ValueError, match='model.ckpt-12 holds global_step 15: it was renamed'):
        train_quietly(tiny_settings(), run_copy, resume=True)


def test_a_best_checkpoint_without_its_evaluation_is_named(tiny, run_copy):
    best = find_checkpoint(str(run_copy / 'best')).rpartition('-')[2]
    for path in (run_copy / 'best').glob('model.ckpt-*'):
        path.rename(run_copy / 'best' / path.name.replace('-' + best + '.', '-7.'))
    (run_copy / 'best' / 'checkpoint').write_text('model_checkpoint_path: "model.ckpt-7"\n'
                                                  'all_model_checkpoint_paths: "model.ckpt-7"\n')
    with pytest.raises(ValueError, match='best checkpoint of step 7, and its log no evaluation'):
        train_quietly(tiny_settings(), run_copy, resume=True)


def test_data_that_end_early_are_an_error(tiny, tmp_path, monkeypatch):
    whole = Plan.batches
    monkeypatch.setattr(Plan, 'batches', lambda *args: itertools.islice(whole(*args), 7))
    with pytest.raises(RuntimeError, match='the data ended at step 7 of 15'):
        train_quietly(tiny_settings(activation='relu'), tmp_path)


@pytest.mark.parametrize('number', [signal.SIGHUP, signal.SIGUSR1])
def test_a_closed_terminal_and_a_queues_warning_stop_a_run_as_sigterm_does(
        tiny, tmp_path, before_step, number):
    before_step(2, lambda: os.kill(os.getpid(), number))
    result = train_quietly(tiny_settings(activation='relu'), tmp_path)
    assert (result.step, result.signal) == (2, number)


def test_only_a_run_can_be_resumed(tiny, tmp_path, without_graph):
    with pytest.raises(ValueError, match='no folder of a training run'):
        train_quietly(tiny_settings(), tmp_path / 'none', resume=True)
    assert not (tmp_path / 'none').exists()


@pytest.mark.parametrize('damage', ['no state file', 'no latest index'])
def test_a_run_that_lost_its_checkpoint_is_not_begun_anew(tiny, run_copy, without_graph, damage):
    (run_copy / {'no state file': 'checkpoint',
                 'no latest index': 'model.ckpt-15.index'}[damage]).unlink()
    before = contents(run_copy)
    with pytest.raises(ValueError, match='checkpoint'):
        train_quietly(tiny_settings(), run_copy, resume=True)
    assert contents(run_copy) == before


def test_a_damaged_checkpoint_cannot_be_resumed(tiny, run_copy):
    path = run_copy / 'model.ckpt-15.data-00000-of-00001'
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match='model.ckpt-15 is damaged'):
        train_quietly(tiny_settings(), run_copy, resume=True)


def test_a_run_is_not_resumed_on_other_data(tiny, run_copy, without_graph):
    record = json.loads((run_copy / 'model.json').read_text())
    (run_copy / 'model.json').write_text(json.dumps(dict(record, labels=['a', 'b', 'c'])))
    with pytest.raises(ValueError, match='labels'):
        train_quietly(tiny_settings(), run_copy, resume=True)


def test_checkpoints_of_another_program_are_not_taken_for_the_runs_own(
        tiny, run_copy, without_graph):
    for name in ('settings.json', 'model.json'):
        (run_copy / name).unlink()
    with pytest.raises(ValueError, match='copy'):
        train_quietly(tiny_settings(), run_copy)


@pytest.mark.parametrize('change', [dict(net='lenet'), dict(activation='tanhh')], ids=str)
def test_a_typo_leaves_no_run_behind(tiny, tmp_path, change):
    with pytest.raises(ValueError, match='unknown'):
        train_quietly(tiny_settings(**change), tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


@pytest.fixture
def stop_hook():
    hook = hooks.StopOnSignal()
    yield hook
    hook.close()


def test_a_second_signal_goes_where_it_went_before(stop_hook, monkeypatch):
    arrived = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: arrived.append(number))
    try:
        stop_hook.begin()
        os.kill(os.getpid(), signal.SIGTERM)
        assert (stop_hook.received, arrived) == (signal.SIGTERM, [])
        os.kill(os.getpid(), signal.SIGTERM)
        assert arrived == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_under_nohup_a_closed_terminal_stops_nothing(stop_hook):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        stop_hook.begin()
        os.kill(os.getpid(), signal.SIGHUP)
        assert stop_hook.received is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_the_main_thread_signals_are_left_alone(stop_hook):
    before = [signal.getsignal(each) for each in SIGNALS]
    thread = threading.Thread(target=stop_hook.begin)
    thread.start()
    thread.join()
    assert [signal.getsignal(each) for each in SIGNALS] == before
    assert stop_hook.received is None
