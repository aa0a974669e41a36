"""Gradients of gradients, and gradients by tapes that record in a graph."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from ash_tf1 import ops
from ash_tf1.kernels.statistics import mean_over

SHAPE = (3, 2, 2, 2)


@pytest.fixture(autouse=True)
def new_graph():
    with tf.Graph().as_default():
        yield


def norm(x, is_training):
    return slim.batch_norm(x, is_training=is_training, scale=True, scope='norm', epsilon=1e-3)


def penalty(gradient):
    return tf.reduce_sum(tf.square(gradient) * tf.range(1.0, 3.0))


def loss_of(y):
    return tf.reduce_sum(tf.square(y) * tf.range(1.0, 3.0) + y)


class Points:
    """What BatchNorm takes, what it gives, and the loss."""

    def __init__(self, implementation, is_training, between=tf.identity):
        self.x = tf.placeholder(tf.float32, SHAPE)
        self.normalized = norm(self.x, is_training)
        with tf.variable_scope('layer'):
            self.loss = loss_of(ops.ASH(between(self.normalized), implementation))


VALUE = np.random.RandomState(0).randn(*SHAPE).astype('float32')


def slopes(session, scalar, tensor, value, delta=1e-2):
    """Central differences of a scalar for the elements of a tensor that is fed."""
    result = np.zeros(value.shape)
    for i in np.ndindex(*value.shape):
        low, high = value.copy(), value.copy()
        low[i] -= delta
        high[i] += delta
        result[i] = np.subtract(*(session.run(scalar, {tensor: side})
                                  for side in (high, low))) / (2 * delta)
    return result


@pytest.mark.parametrize('between', [lambda x: x, tf.identity], ids=['direct', 'identity'])
@pytest.mark.parametrize('is_training', [True, False])
@pytest.mark.parametrize('implementation', ops.IMPLEMENTATIONS)
def test_for_what_batch_norm_gives(implementation, is_training, between):
    """The gradient of ASH's gradient for BatchNorm's own output, against differences of it."""
    points = Points(implementation, is_training, between)
    first, = tf.gradients(points.loss, points.normalized)
    second, = tf.gradients(penalty(first), points.normalized)
    assert second is not None
    # The same with a map that is fed in BatchNorm's place: nothing is computed again there.
    fed = tf.placeholder(tf.float32, SHAPE)
    with tf.variable_scope('layer', reuse=True):
        reference, = tf.gradients(loss_of(ops.ASH(fed, 'plain')), fed)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        normalized, result = session.run([points.normalized, second], {points.x: VALUE})
        expected = slopes(session, penalty(reference), fed, normalized)
    np.testing.assert_allclose(result, expected, rtol=0, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize('is_training', [True, False])
@pytest.mark.parametrize('implementation', ops.IMPLEMENTATIONS)
def test_for_what_batch_norm_takes(implementation, is_training):
    points = Points(implementation, is_training)
    penalty_of_x = penalty(tf.gradients(points.loss, points.x)[0])
    second, = tf.gradients(penalty_of_x, points.x)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        result = session.run(second, {points.x: VALUE})
        expected = slopes(session, penalty_of_x, points.x, VALUE)
    np.testing.assert_allclose(result, expected, rtol=0, atol=5e-3 * np.abs(expected).max())


@pytest.mark.sweep(chosen=lambda always, due: always != due)
@pytest.mark.parametrize('due', [True, False])
@pytest.mark.parametrize('always', [True, False])
@pytest.mark.parametrize('implementation', ops.IMPLEMENTATIONS)
def test_inside_a_condition(implementation, always, due):
    """A penalty that is computed in some steps only, beside one of every step or alone."""
    losses, feeds = [], {}
    for form in (implementation, 'plain'):
        x = tf.placeholder(tf.float32, [None] + list(SHAPE[1:]))
        feeds[x] = VALUE
        with tf.variable_scope('net', reuse=tf.AUTO_REUSE):
            normalized = norm(x, True)
            y = ops.ASH(normalized, form)

        def lazy(y=y, normalized=normalized):
            return penalty(tf.gradients(loss_of(y), normalized)[0])
        total = tf.cond(tf.placeholder_with_default(due, []), lazy, lambda: 0.0)
        losses.append(tf.gradients(total + loss_of(y) + (lazy() if always else 0.0), x)[0])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        ours, expected = session.run(losses, feeds)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize('version', ['V2', 'V3'])
@pytest.mark.parametrize('implementation', ['native', 'recompute'])
def test_ash_of_the_gradient_of_batch_norm(implementation, version):
    """Which is no BatchNorm, and is not computed again."""
    results = []
    for form in (implementation, 'plain'):
        x = tf.constant(VALUE)
        op = getattr(tf.raw_ops, 'FusedBatchNorm' + version)(
            x=x, scale=[1.0, 2.0], offset=[0.0, 1.0], mean=[], variance=[], is_training=True)
        slope, = tf.gradients(loss_of(op[0]), x)
        y = ops.apply_ash(slope, [0.3], [0.9], implementation=form)
        results.append(tf.gradients(loss_of(y), slope)[0])
    with tf.Session() as session:
        ours, expected = session.run(results)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize('is_training', [True, False])
@pytest.mark.parametrize('implementation', ops.IMPLEMENTATIONS)
def test_tapes_in_a_graph_have_the_gradients_of_both_orders(implementation, is_training):
    """As tf.gradients has them for the plain form."""
    results = []
    for form in (implementation, 'plain'):
        x = tf.constant(VALUE)
        with tf.variable_scope('net', reuse=tf.AUTO_REUSE), tf.GradientTape() as second:
            second.watch(x)
            with tf.GradientTape() as first:
                first.watch(x)
                y = ops.ASH(norm(x, is_training), form)
                loss = loss_of(y)
            gradient = first.gradient(loss, x)
            value = penalty(gradient)
        results.append([gradient, second.gradient(value, x)])
    with tf.variable_scope('net', reuse=True):
        x = tf.constant(VALUE)
        gradient, = tf.gradients(loss_of(ops.ASH(norm(x, is_training), 'plain')), x)
        results.append([gradient, tf.gradients(penalty(gradient), x)[0]])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        ours, plain, expected = session.run(results)
    for found in (ours, plain):
        for one, other in zip(found, expected):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-4 * np.abs(other).max())


@pytest.mark.parametrize('implementation', ['native', 'recompute'])
@pytest.mark.parametrize('extreme', [1e30, 3e38])
def test_a_tape_in_a_graph_has_a_finite_gradient_where_the_gate_overflows(implementation, extreme):
    x = tf.constant([[extreme, -extreme, 1.0, -100.0]])
    with tf.variable_scope('layer'), tf.GradientTape() as tape:
        tape.watch(x)
        y = ops.ASH(x, implementation)
    gradient = tape.gradient(y, x)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert np.isfinite(session.run(gradient)).all()


@pytest.mark.parametrize('implementation', ['native', 'recompute'])
def test_what_is_kept_for_second_order_is_no_map(implementation):
    """The handle by which a gradient finds BatchNorm's output is empty when the graph runs."""
    points = Points(implementation, True)
    tf.gradients(points.loss, points.x)
    handles = [op.outputs[0] for op in tf.get_default_graph().get_operations()
               if op.type == 'Slice' and 'input_handle' in op.name]
    assert len(handles) == 1
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert session.run(handles[0], {points.x: VALUE}).size == 0


@pytest.mark.parametrize('implementation', ops.IMPLEMENTATIONS)
def test_no_number_of_elements_is_counted_in_int32(implementation):
    """In gradients of both orders; maps of 2^31 elements are too large for a test."""
    x = tf.placeholder(tf.float32, [None, None, None, 4])
    with tf.variable_scope('layer'):
        y = ops.ASH(x, implementation)
    sources = [x] + tf.trainable_variables('layer')
    tf.gradients(tf.gradients(y, sources), sources)
    counts = [op for op in tf.get_default_graph().get_operations() if op.type in ('Size', 'Prod')]
    assert counts
    assert [op.name for op in counts if op.outputs[0].dtype == tf.int32] == []


def test_the_gradient_of_a_mean_counts_beyond_int32():
    """2^33 elements, said to the graph in place of the map's own size."""
    x = tf.placeholder(tf.float32, [None, None, 2])
    gradient, = tf.gradients(mean_over(x, [1, 2]), x)
    sizes = {op.inputs[0].op.type: op.outputs[0]
             for op in tf.get_default_graph().get_operations() if op.type == 'Size'}
    assert set(sizes) == {'Placeholder', 'Mean'}
    with tf.Session() as session:
        result = session.run(gradient, {x: np.ones([1, 3, 2]), sizes['Placeholder']: 2 ** 33,
                                        sizes['Mean']: 1})
    np.testing.assert_array_equal(result, np.full([1, 3, 2], 2.0 ** -33))
