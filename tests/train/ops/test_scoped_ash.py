"""`scoped_ash`: one pair of parameters, for code that calls one activation several times."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import ash_tf1
from ash_tf1 import ops

pytestmark = pytest.mark.fast


@pytest.fixture(autouse=True)
def new_graph():
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        yield


def names():
    return [v.op.name for v in tf.trainable_variables() if v.op.name.endswith(('z_k', 'alpha'))]


def cell(x):
    """A cell calls its activation twice a step."""
    activation = ash_tf1.scoped_ash('gate')
    outputs, _ = tf.nn.dynamic_rnn(tf.nn.rnn_cell.LSTMCell(3, activation=activation), x,
                                   dtype=tf.float32)
    return outputs


def unrolled_cell(x):
    activation = ash_tf1.scoped_ash('gate')
    outputs, _ = tf.nn.static_rnn(tf.nn.rnn_cell.LSTMCell(3, activation=activation),
                                  tf.unstack(x, axis=1), dtype=tf.float32)
    return tf.stack(outputs, axis=1)


def python_loop(x):
    activation = ash_tf1.scoped_ash('gate')
    for _ in range(3):
        x = activation(x)
    return x


def template(x):
    def block(x):
        activation = ash_tf1.scoped_ash('gate')
        return activation(x) + activation(2.0 * x)
    twice = tf.make_template('block', block)
    return twice(twice(x))


def other_scopes(x):
    activation = ash_tf1.scoped_ash('gate')
    with tf.variable_scope('a'):
        x = activation(x)
    with tf.variable_scope('b'), tf.name_scope('c'):
        return activation(x)


def graph_loop(x):
    activation = ash_tf1.scoped_ash('gate')
    return tf.while_loop(lambda i, value: i < 3, lambda i, value: (i + 1, activation(value)),
                         [0, x])[1]


CODE = [cell, unrolled_cell, python_loop, template, other_scopes, graph_loop]


@pytest.mark.parametrize('v2', [False, True], ids=['v1', 'v2'])
@pytest.mark.parametrize('build', CODE, ids=lambda build: build.__name__)
def test_there_is_one_pair_and_it_is_trained(build, v2):
    before = tf.control_flow_v2_enabled()
    (tf.enable_control_flow_v2 if v2 else tf.disable_control_flow_v2)()
    try:
        y = build(tf.constant(np.random.RandomState(0).randn(2, 4, 3).astype('float32')))
        scope = 'block/gate' if build is template else 'gate'
        assert names() == [scope + '/z_k', scope + '/alpha']
        pair = [v for v in tf.trainable_variables() if v.op.name in names()]
        gradients = tf.gradients(tf.reduce_sum(tf.square(y)), pair)
        shares = ops.pass_shares()
    finally:
        (tf.enable_control_flow_v2 if before else tf.disable_control_flow_v2)()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        values = session.run([gradients, shares])
        assert all(np.isfinite(value) and value != 0 for value in values[0])
    if build is python_loop:
        assert list(values[1]) == ['gate', 'scoped_ash_1', 'scoped_ash_2']


@pytest.mark.parametrize('arguments, same', [
    (dict(), ops.ASH), (dict(leak=0.1), lambda x: ops.leaky_ash(x, 0.1)),
    (dict(k=10), lambda x: ops.fixed_ash(x, 10)),
    (dict(implementation='plain'), ops.ASH)])
def test_it_is_the_activation_of_its_arguments(arguments, same):
    x = tf.random_normal([4, 5], seed=0)
    ours = ash_tf1.scoped_ash('ours', **arguments)(x)
    with tf.variable_scope('theirs'):
        theirs = same(x)
    assert len(names()) == (2 if 'k' in arguments else 4)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        np.testing.assert_allclose(*session.run([ours, theirs]), rtol=1e-5, atol=1e-6)


def test_two_of_a_name_are_never_shared_by_accident():
    ash_tf1.scoped_ash('gate')
    with pytest.raises(ValueError, match='Variable gate/z_k already exists'):
        ash_tf1.scoped_ash('gate')
    with tf.variable_scope('other'):
        ash_tf1.scoped_ash('gate')
    assert names() == ['gate/z_k', 'gate/alpha', 'other/gate/z_k', 'other/gate/alpha']
    with tf.variable_scope('', reuse=True):
        ash_tf1.scoped_ash('gate')
    assert len(names()) == 4


def test_double_precision_and_float16():
    wide = ash_tf1.scoped_ash('wide', dtype=tf.float64)
    assert wide(tf.zeros([2, 3], tf.float64)).dtype == tf.float64
    assert {v.dtype.base_dtype for v in tf.trainable_variables()} == {tf.float64}
    assert ash_tf1.scoped_ash('narrow')(tf.zeros([2, 3], tf.float16)).dtype == tf.float16


def test_in_another_graph_it_says_so():
    activation = ash_tf1.scoped_ash('gate')
    with tf.Graph().as_default(), pytest.raises(
            ValueError, match=r"scoped_ash\('gate'\) was called in another graph"):
        activation(tf.zeros([2, 3]))


def test_in_a_scope_with_a_partitioner():
    with tf.variable_scope('wide', partitioner=tf.fixed_size_partitioner(1)):
        activation = ash_tf1.scoped_ash('gate')
    y = activation(tf.ones([2, 3]))
    assert all(g is not None for g in tf.gradients(y, tf.trainable_variables()))


@pytest.mark.parametrize('arguments, message', [
    (dict(name=''), "name of a variable scope, got ''"),
    (dict(name='a', leak=1.0), r'leak must be in \[0, 1\), got 1.0'),
    (dict(name='a', k=0), r'in \(0, 100\), got 0'),
    (dict(name='a', dtype=tf.float16), 'must be float32 or float64, got float16'),
    (dict(name='a', implementation='fast'), "unknown implementation 'fast'")])
def test_bad_arguments_make_no_variables(arguments, message):
    with pytest.raises(ValueError, match=message):
        ash_tf1.scoped_ash(**arguments)
    assert not tf.global_variables()
