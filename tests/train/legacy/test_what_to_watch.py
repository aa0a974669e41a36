"""The table at the end of docs/legacy.md, and what the page says about shares, is so."""
import functools

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1 import ASH, ops, training
from ash_tf1.nets import get_net

X = np.random.RandomState(0).randn(4, 6).astype(np.float32)
FORMS = ['native', 'recompute', 'plain']


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


@pytest.fixture(params=[False, True], ids=['control flow v1', 'control flow v2'])
def version_2(request):
    switch = {True: tf.enable_control_flow_v2, False: tf.disable_control_flow_v2}
    before = tf.control_flow_v2_enabled()
    switch[request.param]()
    yield request.param
    switch[before]()


def activation(form):
    if form == 'native':
        from ash_tf1 import native
        try:
            native.library()
        except native.Unavailable as reason:
            pytest.skip(str(reason))
    return functools.partial(ASH, implementation=form)


def in_cond(x, act):
    def branch():
        with tf.variable_scope('layer', reuse=tf.AUTO_REUSE):
            return act(x)
    return tf.cond(tf.reduce_sum(x) < 1e9, branch, lambda: x)


def in_loop(x, act):
    def body(i, y):
        with tf.variable_scope('layer', reuse=tf.AUTO_REUSE):
            return i + 1, act(y)
    return tf.while_loop(lambda i, y: i < 3, body, [0, x])[1]


def unrolled(x, act, times):
    with tf.variable_scope('layer', reuse=tf.AUTO_REUSE):
        for _ in range(times):
            x = act(x)
    return x


def values_and_gradients(y, x):
    sources = [x] + tf.trainable_variables()
    fetches = [y] + tf.gradients(tf.reduce_sum(y ** 2), sources)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        return session.run(fetches, {x: X})


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('wrap, times', [(in_cond, 1), (in_loop, 3)], ids=['cond', 'while_loop'])
def test_control_flow(version_2, wrap, times, form):
    """Against the same calls without control flow; 1e-5 of rounding."""
    act = activation(form)
    x = tf.placeholder(tf.float32, (4, 6))
    y = wrap(x, act)
    if version_2 and form == 'recompute':
        with pytest.raises((AssertionError, ValueError)):
            tf.gradients(y, x)
        return
    found = values_and_gradients(y, x)
    with tf.Graph().as_default():
        x = tf.placeholder(tf.float32, (4, 6))
        reference = values_and_gradients(unrolled(x, act, times), x)
    assert len(found) == len(reference) == 4
    for ours, expected in zip(found, reference):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)


def test_a_share_inside_control_flow_cannot_be_fetched(version_2):
    x = tf.placeholder(tf.float32, (4, 6))
    in_cond(x, activation('plain'))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        with pytest.raises(ValueError):
            session.run(ops.pass_shares(), {x: X})


def test_shares_of_towers_are_told_apart_by_name_scope():
    x = tf.placeholder(tf.float32, (4, 6))
    for i in range(2):
        with tf.name_scope('tower_%d' % i), tf.variable_scope('net', reuse=i > 0):
            ASH(x)
    assert ops.pass_shares('tower_0')['net'].op.name.startswith('tower_0/')
    assert ops.pass_shares()['net'].op.name.startswith('tower_1/')


def test_updates_of_a_tower_are_found_by_name_scope():
    images = tf.placeholder(tf.float32, (2, 8, 8, 3))
    for i in range(2):
        with tf.name_scope('tower_%d' % i), tf.variable_scope('net', reuse=i > 0):
            get_net('resnet_v2_8')(images, 10, ASH, is_training=True)
    assert len(tf.get_collection(tf.GraphKeys.UPDATE_OPS, 'tower_0/')) == 2 * 7
    assert len(tf.get_collection(tf.GraphKeys.UPDATE_OPS)) == 2 * 2 * 7


def test_a_list_of_variables_of_a_scope_holds_those_of_ash():
    with tf.variable_scope('net'):
        tf.layers.dense(tf.placeholder(tf.float32, (4, 6)), 3, activation=ASH, name='dense')
    assert [v.op.name for v in tf.trainable_variables('net')] == [
        'net/dense/kernel', 'net/dense/bias', 'net/dense/z_k', 'net/dense/alpha']
    assert [v.op.name for v in training.decayed_variables()] == ['net/dense/kernel']


@pytest.mark.parametrize('place, reached', [('scope', True), ('layer', False)])
def test_which_regularizers_reach_the_parameters(place, reached):
    penalty = tf.keras.regularizers.l2(0.1)
    with tf.variable_scope('net', regularizer=penalty if place == 'scope' else None):
        tf.layers.dense(tf.placeholder(tf.float32, (4, 6)), 3, activation=ASH, name='dense',
                        kernel_regularizer=penalty if place == 'layer' else None)
    losses = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
    assert any('/kernel/' in loss.op.name for loss in losses)
    for name in ('z_k', 'alpha'):
        assert any('/{}/'.format(name) in loss.op.name for loss in losses) is reached


def test_at_an_alpha_of_0_ash_is_half_of_x():
    y = ops.apply_ash(tf.constant(X), tf.constant([0.5]), tf.constant([0.0]))
    with tf.Session() as session:
        np.testing.assert_allclose(session.run(y), X / 2, rtol=1e-6)


@pytest.mark.parametrize('form', FORMS)
def test_a_frozen_graph_holds_the_native_op_only_where_it_was_built_so(graph, form):
    act = activation(form)
    y = tf.identity(tf.layers.dense(tf.placeholder(tf.float32, (4, 6)), 3, activation=act), 'y')
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        frozen = tf.graph_util.convert_variables_to_constants(session, graph.as_graph_def(),
                                                              [y.op.name])
    assert ('AshForward' in {node.op for node in frozen.node}) is (form == 'native')
