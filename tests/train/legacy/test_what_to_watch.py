"""The table at the end of docs/legacy.md, and what the page says about towers, is so.

What it says about conditions and loops is in tests/train/ops/test_any_graph.py, about tf.keras in
tests/train/ops/test_drop_in.py.
"""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1 import ASH, ops
from ash_tf1.nets import get_net
from ash_tf1.training.optimizer import decayed_variables

pytestmark = pytest.mark.fast

X = np.random.RandomState(0).randn(4, 6).astype(np.float32)


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def test_shares_of_towers_are_told_apart_by_name_scope():
    x = tf.placeholder(tf.float32, (4, 6))
    for i in range(2):
        with tf.name_scope('tower_%d' % i), tf.variable_scope('net', reuse=i > 0):
            ASH(x)
    for tower in ('tower_0', 'tower_1'):
        share, = ops.pass_shares(tower).items()
        assert share[0] == 'net' and share[1].op.name.startswith(tower + '/')
    first, second = ops.pass_shares()
    assert first == 'net' and second.startswith('tower_1/')


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
    assert [v.op.name for v in decayed_variables()] == ['net/dense/kernel']


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


@pytest.mark.parametrize('form', ['native', 'recompute', 'plain'])
def test_a_frozen_graph_holds_the_native_op_only_where_it_was_built_so(graph, native_built, form):
    if form == 'native' and not native_built:
        pytest.skip('native ASH is not built')
    y = tf.identity(tf.layers.dense(tf.placeholder(tf.float32, (4, 6)), 3,
                                    activation=lambda x: ASH(x, form)), 'y')
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        frozen = tf.graph_util.convert_variables_to_constants(session, graph.as_graph_def(),
                                                              [y.op.name])
    assert ('AshForward' in {node.op for node in frozen.node}) is (form == 'native')
