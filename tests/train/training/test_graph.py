"""The graph of a training run: what one step changes, and what it begins with."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1 import ops
from ash_tf1.tasks import TASKS
from ash_tf1.training import graph as training_graph
from ash_tf1.training.optimizer import decayed_variables
from tests.train.miniature import tiny_settings

TASK = TASKS['classification']

KERNELS = {'tiny/conv1/weights', 'tiny/block1/unit_1/conv1/weights',
           'tiny/block1/unit_1/conv2/weights', 'tiny/logits/weights'}


@pytest.fixture
def one_step(tiny):
    """Function of a weight decay: variables before and after a step, and the stem's output."""
    def run(weight_decay):
        settings = tiny_settings(weight_decay=weight_decay, schedule='cosine')
        dataset = tiny()
        with tf.Graph().as_default() as graph, tf.Session() as session:
            tf.set_random_seed(3)
            ops = training_graph.build_training_graph(TASK, TASK.spec(settings, dataset),
                                                      settings, 10)
            decayed = {v.op.name for v in decayed_variables()}
            session.run(tf.global_variables_initializer())
            variables = {v.op.name: v for v in tf.global_variables()}
            before = session.run(variables)
            feeds = ops.feed(dataset.train.batch(range(8)))
            stem, step, _ = session.run(
                [graph.get_tensor_by_name('tiny/conv1/Conv2D:0'), ops.step, ops.train_ops], feeds)
            assert step == 1
            return decayed, before, session.run(variables), stem
    return run


def test_weight_decay_pulls_kernels_and_nothing_else(one_step):
    decayed, before, without, _ = one_step(0.0)
    _, same, decaying, _ = one_step(0.5)
    assert decayed == KERNELS
    trained = {name for name in before if name + '/Momentum' in before}
    assert KERNELS < trained
    assert {name.rsplit('/', 1)[1] for name in trained - KERNELS} == {
        'z_k', 'alpha', 'beta', 'gamma', 'biases'}
    for name in trained:
        np.testing.assert_array_equal(before[name], same[name])
        pull = -0.1 * 0.5 * before[name] if name in KERNELS else np.zeros_like(before[name])
        np.testing.assert_allclose(decaying[name] - without[name], pull, rtol=1e-4, atol=1e-6,
                                   err_msg=name)
        assert not np.array_equal(without[name], before[name]), name


def test_a_step_moves_the_moving_averages_by_the_batchs_moments(one_step):
    _, before, after, stem = one_step(0.0)
    scope = 'tiny/block1/unit_1/preact/BatchNorm/'
    np.testing.assert_allclose(after[scope + 'moving_mean'], 0.1 * stem.mean((0, 1, 2)),
                               rtol=1e-4, atol=1e-6)
    # The fused op divides by n - 1 here.
    np.testing.assert_allclose(after[scope + 'moving_variance'],
                               0.9 + 0.1 * stem.var((0, 1, 2), ddof=1), rtol=1e-4)
    for name in before:
        if 'moving' in name:
            assert not np.array_equal(after[name], before[name]), name


def test_the_weights_at_the_start_depend_on_the_seed_and_their_names_alone(tiny):
    """So that activations, and forms of one, are compared from the same weights."""
    def initial(**changes):
        settings = tiny_settings(**changes)
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(settings.seed)
            training_graph.build_training_graph(TASK, TASK.spec(settings, tiny()), settings, 10)
            session.run(tf.global_variables_initializer())
            kernels = decayed_variables()
            return dict(zip([v.op.name for v in kernels], session.run(kernels)))

    ash, relu, plain, other = (initial(**changes) for changes in (
        {}, {'activation': 'relu'}, {'implementation': 'plain'}, {'seed': 1}))
    assert set(ash) == set(relu) == KERNELS
    for name in KERNELS:
        np.testing.assert_array_equal(ash[name], relu[name])
        np.testing.assert_array_equal(ash[name], plain[name])
        assert not np.array_equal(ash[name], other[name])
    first, second = (ash['tiny/block1/unit_1/conv{}/weights'.format(i)] for i in (1, 2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize('clip_norm', [0.0, 1e-3, 1e3])
def test_a_larger_gradient_is_scaled_to_the_norm(tiny, clip_norm):
    """By what the first step of SGD, before there is any momentum, does to the weights."""
    settings = tiny_settings(clip_norm=clip_norm, schedule='step', learning_rate=0.5)
    data = tiny().train
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        graph = training_graph.build_training_graph(TASK, TASK.spec(settings, tiny()), settings,
                                                    10)
        penalty = sum(tf.nn.l2_loss(v) for v in decayed_variables())
        variables = tf.trainable_variables()
        gradients = tf.gradients(graph.losses['loss'] + settings.weight_decay * penalty, variables)
        session.run(tf.global_variables_initializer())
        feeds = graph.feed(data.batch(range(8)))
        before, gradients = session.run([variables, gradients], feeds)
        session.run(graph.train_ops, feeds)
        after = session.run(variables)
    norm = np.sqrt(sum(np.sum(np.square(gradient)) for gradient in gradients))
    assert 1e-3 < norm < 1e3
    scale = 1e-3 / norm if clip_norm == 1e-3 else 1.0
    for old, new, gradient in zip(before, after, gradients):
        np.testing.assert_allclose(new - old, -0.5 * scale * gradient, rtol=1e-3, atol=1e-6)


def test_a_net_that_does_not_share_its_variables_with_evaluation_is_refused(tiny, monkeypatch):
    """As with an activation that makes its variables by tf.Variable: they are made twice."""
    monkeypatch.setitem(ops.ACTIVATIONS, 'unshared', lambda x: x * tf.sigmoid(tf.Variable(1.0) * x))
    settings = tiny_settings(activation='unshared')
    with tf.Graph().as_default(), pytest.raises(
            ValueError, match='tiny with unshared .* evaluation/tiny/.*tf.get_variable'):
        training_graph.build_training_graph(TASK, TASK.spec(settings, tiny()), settings, 10)
