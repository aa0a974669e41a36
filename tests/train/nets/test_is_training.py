"""is_training as a tf.placeholder(tf.bool): what Python's True and False give, in each family."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1 import ops
from ash_tf1.nets.densenet import DenseKind, densenet
from ash_tf1.nets.dropout import keyed_dropout
from ash_tf1.nets.resnet import CIFAR_STEM, Block, resnet_v1, resnet_v2
from ash_tf1.nets.vgg import vgg_11
from ash_tf1.nets.wide_resnet import wide_blocks
from ash_tf1.sessions import session_config

pytestmark = pytest.mark.slow

IMAGES = np.random.RandomState(0).randn(8, 8, 8, 3).astype('float32')
BLOCKS = (Block(1, 8, 1, bottleneck=False),)


def build(family, images, is_training, dropout_rate=0.0):
    """Logits [8, 4] of a thin net in the scope 'net', whose variables are reused."""
    common = dict(num_classes=4, activation_fn=ops.ASH, is_training=is_training, scope='net',
                  reuse=tf.AUTO_REUSE)
    if family == 'resnet_v1':
        return resnet_v1(images, BLOCKS, stem=CIFAR_STEM, **common)[0]
    if family == 'resnet_v2':
        return resnet_v2(images, BLOCKS, dropout_rate=dropout_rate, **common)[0]
    if family == 'wide_resnet':
        return resnet_v2(images, wide_blocks(10, 1), dropout_rate=dropout_rate, **common)[0]
    if family == 'densenet':
        return densenet(images, DenseKind(1, 4, 8, True, 0.5), dropout_rate=dropout_rate,
                        **common)[0]
    return vgg_11(images, **common)[0]


FAMILIES = ('resnet_v1', 'resnet_v2', 'wide_resnet', 'densenet', 'vgg')
WITH_DROPOUT = ('resnet_v2', 'wide_resnet', 'densenet')


@pytest.fixture(autouse=True)
def new_graph():
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        yield


def make_step(logits, updates):
    """Gradient descent on labels, with the updates of BatchNorm's averages."""
    loss = tf.reduce_mean(tf.square(logits - tf.one_hot(np.arange(8) % 4, 4)))
    with tf.control_dependencies(updates):
        return loss, tf.train.GradientDescentOptimizer(0.1).minimize(loss)


@pytest.mark.sweep(chosen=lambda family, v2: family == 'densenet' or not v2)
@pytest.mark.parametrize('v2', [False, True], ids=['v1', 'v2'])
@pytest.mark.parametrize('family', FAMILIES)
def test_training_and_evaluation_are_those_of_true_and_false(family, v2):
    before = tf.control_flow_v2_enabled()
    (tf.enable_control_flow_v2 if v2 else tf.disable_control_flow_v2)()
    try:
        images = tf.constant(IMAGES)
        placeholder = tf.placeholder(tf.bool)
        nets = []
        for is_training in (placeholder, True):
            old = len(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
            logits = build(family, images, is_training)
            updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)[old:]
            nets.append((logits,) + make_step(logits, updates))
        evaluation = build(family, images, False)
    finally:
        (tf.enable_control_flow_v2 if before else tf.disable_control_flow_v2)()
    results = []
    for (_, loss, step), feeds in zip(nets, ({placeholder: True}, {})):
        with tf.Session(config=session_config()) as session:
            session.run(tf.global_variables_initializer())
            losses = [session.run([loss, step], feeds)[0] for _ in range(4)]
            weights = session.run(tf.global_variables())
            found = session.run([nets[0][0], evaluation], {placeholder: False})
            np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-5)
        results.append([losses] + weights)
    assert results[0][0][-1] < results[0][0][0]
    for ours, expected in zip(*results):
        np.testing.assert_allclose(ours, expected, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize('family', WITH_DROPOUT)
def test_dropout_is_there_in_training_alone(family):
    placeholder = tf.placeholder(tf.bool)
    logits = build(family, tf.constant(IMAGES), placeholder, dropout_rate=0.5)
    without = build(family, tf.constant(IMAGES), placeholder)
    with tf.Session(config=session_config()) as session:
        session.run(tf.global_variables_initializer())
        evaluated = session.run([logits, without], {placeholder: False})
        trained = [session.run(logits, {placeholder: True}) for _ in range(2)]
    np.testing.assert_allclose(*evaluated, rtol=1e-5, atol=1e-6)
    assert not np.allclose(*trained)


@pytest.mark.parametrize('seed', [None, 0, 2 ** 32 - 1])
def test_dropout_drops_the_share_that_it_says(seed):
    tf.set_random_seed(seed)
    placeholder = tf.placeholder(tf.bool)
    step = tf.train.get_or_create_global_step()
    y = keyed_dropout(tf.ones([100, 100]), 0.3, placeholder)
    with tf.Session() as session:
        session.run(step.initializer)
        dropped = session.run(y, {placeholder: True})
        assert set(np.unique(dropped)) == {np.float32(0), np.float32(1 / np.float32(0.7))}
        assert abs(np.mean(dropped == 0) - 0.3) < 0.03
        assert (session.run(y, {placeholder: False}) == 1).all()


def dropped_units(seed, step, others_before=0):
    """Which units two layers drop at a step, in a session of its own."""
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(seed)
        for _ in range(others_before):
            tf.random.uniform([])
        counter = tf.train.get_or_create_global_step()
        layers = []
        for name in ('first', 'second'):
            with tf.variable_scope(name):
                layers += [keyed_dropout(tf.ones([40]), 0.5, True) for _ in range(2)]
        counter.load(step, session)
        return [tuple(values == 0) for values in session.run(layers)]


def test_what_is_dropped_depends_on_seed_layer_and_step_alone():
    units = dropped_units(seed=1, step=7)
    assert len(set(units)) == 4
    assert dropped_units(seed=1, step=7, others_before=3) == units
    assert not set(units) & set(dropped_units(seed=1, step=8))
    assert not set(units) & set(dropped_units(seed=2, step=7))


@pytest.mark.parametrize('make, message', [
    (lambda: tf.placeholder(tf.float32, [], name='p'), "got 'p:0', float32 of shape"),
    (lambda: tf.placeholder(tf.bool, [2], name='p'), "got 'p:0', bool of shape")])
@pytest.mark.parametrize('family', ['resnet_v2', 'densenet'])
def test_another_tensor_is_named(family, make, message):
    with pytest.raises(ValueError, match=message):
        build(family, tf.constant(IMAGES), make())
