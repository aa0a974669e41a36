"""Moving averages of the weights: what they are, and that all that evaluates a net takes them."""
import os
import signal

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1.checkpoint import AVERAGE
from ash_tf1.converting import runs
from ash_tf1.sessions import session_config
from ash_tf1.tasks import TASKS
from ash_tf1.training import evaluation
from ash_tf1.training.graph import build_training_graph
from ash_tf1.training.run_dir import load_model, read_rows
from ash_tf1.training.settings import Settings
from tests.train.miniature import (
    read_weights,
    registered_tiny,
    tiny_gan_settings,
    tiny_settings,
    train_quietly,
)

DECAY = 0.8
TASK = TASKS['classification']


def of_net(weights):
    """The names of the variables of the net among those of a checkpoint."""
    return [name for name in weights if name + AVERAGE in weights]


@pytest.fixture(scope='module')
def averaged_run(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp('averaged') / 'run'
    with registered_tiny():
        train_quietly(tiny_settings(ema_decay=DECAY), run_dir)
    return run_dir


@pytest.mark.parametrize('gpus', [[], ['GPU']], ids=['as on a CPU', 'rewritten as on a GPU'])
def test_the_averages_are_those_of_the_definition(gpus, tiny, monkeypatch):
    """Computed anew by NumPy from the weights after each step; float32 sums, so 1e-6."""
    monkeypatch.setattr(tf.config.experimental, 'list_physical_devices', lambda kind: gpus)
    settings, dataset = tiny_settings(ema_decay=DECAY), tiny()
    with tf.Graph().as_default(), tf.Session(config=session_config()) as session:
        tf.set_random_seed(3)
        graph = build_training_graph(TASK, TASK.spec(settings, dataset), settings, 60)
        session.run(tf.global_variables_initializer())
        variables = {v.op.name: v for v in tf.global_variables()}
        names = [v.op.name for v in graph.net_variables]
        assert sorted(names) == sorted(of_net(variables))
        expected = {name: value for name, value in session.run(variables).items()
                    if name in names}
        decays = []
        for step in range(1, 51):
            session.run(graph.train_ops, graph.feed(dataset.train.batch(range(8))))
            decays.append(min(DECAY, (1 + step) / (10 + step)))
            after = session.run(variables)
            expected = {name: decays[-1] * value + (1 - decays[-1]) * after[name]
                        for name, value in expected.items()}
        assert decays[0] == 2 / 11 and decays[-1] == DECAY
        for name, value in expected.items():
            np.testing.assert_allclose(after[name + AVERAGE], value, rtol=1e-5, atol=1e-6,
                                       err_msg=name)
            assert not np.array_equal(after[name + AVERAGE], after[name]), name


def test_evaluation_and_export_take_the_averages(tiny, averaged_run):
    """The figures of the log, of evaluate and of an artifact are those of the same weights."""
    logged = read_rows(str(averaged_run / 'metrics.csv'))[-1]
    found = evaluation.evaluate(str(averaged_run), split='validation', progress=False)
    assert logged['split'] == 'validation'
    for name, value in found.evaluation.metrics.items():
        assert value == pytest.approx(float(logged[name]), rel=1e-5), name

    task, spec = load_model(str(averaged_run))
    weights = read_weights(found.prefix)
    frozen = runs.freeze(task, spec, found.prefix)
    constants = {node.name: tf.make_ndarray(node.attr['value'].tensor)
                 for node in frozen.graph_def.node if node.op == 'Const'}
    compared = set(constants) & set(of_net(weights))
    assert {'tiny/conv1/weights', 'tiny/logits/weights', 'tiny/logits/biases'} <= compared
    for name in compared:
        np.testing.assert_array_equal(constants[name], weights[name + AVERAGE], err_msg=name)


def test_the_log_has_the_averages_of_ash(tiny, averaged_run):
    weights = read_weights(averaged_run / 'model.ckpt-15')
    for row in read_rows(str(averaged_run / 'activations.csv'))[-3:]:
        for name in ('z_k', 'alpha'):
            assert float(row[name]) == pytest.approx(
                weights['{}/{}{}'.format(row['layer'], name, AVERAGE)][0], rel=1e-6)


def test_without_a_decay_a_checkpoint_has_no_averages(tiny_run):
    assert of_net(read_weights(tiny_run / 'model.ckpt-15')) == []


def test_a_run_begins_with_the_averages_of_another(tiny, averaged_run, tmp_path):
    settings = tiny_settings(init_from=str(averaged_run), learning_rate=1e-30, weight_decay=0.0,
                             epochs=0, steps=1, ema_decay=DECAY)
    train_quietly(settings, tmp_path / 'run')
    before = read_weights(averaged_run / 'model.ckpt-15')
    for step in (0, 1):
        after = read_weights(tmp_path / 'run' / 'model.ckpt-{}'.format(step))
        for name in of_net(before):
            if 'moving' not in name or step == 0:
                for end in ('', AVERAGE):
                    np.testing.assert_allclose(after[name + end], before[name + AVERAGE],
                                               rtol=1e-6, err_msg=name)


@pytest.mark.parametrize('settings', [
    tiny_settings, pytest.param(tiny_gan_settings, marks=pytest.mark.slow)])
def test_a_resumed_run_has_the_same_averages(settings, tiny, tmp_path, before_step):
    settings = settings(ema_decay=DECAY)
    train_quietly(settings, tmp_path / 'whole')
    before_step(4, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert train_quietly(settings, tmp_path / 'parts').step == 4
    before_step()
    step = train_quietly(settings, tmp_path / 'parts', resume=True).step
    whole, parts = (read_weights(tmp_path / name / 'model.ckpt-{}'.format(step))
                    for name in ('whole', 'parts'))
    assert of_net(whole)
    for name in whole:
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize('decay', [-0.1, 1.0])
def test_a_decay_is_a_share(decay):
    with pytest.raises(ValueError, match='ema_decay must be in'):
        Settings(ema_decay=decay)
