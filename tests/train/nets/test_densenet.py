"""The densely connected nets: values against NumPy, and what recomputation changes and does not."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1 import ops
from ash_tf1.nets.densenet import DenseKind, dense_kind, densenet
from ash_tf1.recomputation import recompute_in_backward
from ash_tf1.sessions import session_config

EPSILON = 1e-5
PLAIN = DenseKind(layers=2, growth=4, stem_depth=6, bottleneck=False, compression=1.0)
NARROW = DenseKind(layers=2, growth=4, stem_depth=8, bottleneck=True, compression=0.5)
SHAPE = (3, 12, 8, 3)


def random_values(variables):
    rng = np.random.RandomState(0)
    values = {}
    for v in variables:
        shape = v.shape.as_list()
        if v.op.name.endswith(('gamma', 'variance')):
            values[v.op.name] = rng.uniform(0.5, 1.5, shape)
        else:
            values[v.op.name] = rng.randn(*shape) / np.sqrt(max(1, np.prod(shape[:-1])))
    return values


def numpy_net(images, kind, values, is_training):
    """The net of the paper in float64."""
    def norm_relu(x, scope):
        v = {k: values['%s/BatchNorm/%s' % (scope, k)]
             for k in ('gamma', 'beta', 'moving_mean', 'moving_variance')}
        mean, variance = v['moving_mean'], v['moving_variance']
        if is_training:
            mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        return np.maximum((x - mean) / np.sqrt(variance + EPSILON) * v['gamma'] + v['beta'], 0)

    def conv(x, scope):
        kernel = values[scope + '/weights']
        reach = kernel.shape[0] // 2
        padded = np.pad(x, [(0, 0), (reach, reach), (reach, reach), (0, 0)], mode='constant')
        return sum(padded[:, i:i + x.shape[1], j:j + x.shape[2]] @ kernel[i, j]
                   for i in range(kernel.shape[0]) for j in range(kernel.shape[1]))

    net = conv(images, 'net/conv1')
    for i in (1, 2, 3):
        for j in range(1, kind.layers + 1):
            scope = 'net/block%d/layer_%d' % (i, j)
            new = conv(norm_relu(net, scope + '/preact'), scope + '/conv1')
            if kind.bottleneck:
                new = conv(norm_relu(new, scope + '/conv1'), scope + '/conv2')
            net = np.concatenate([net, new], axis=3)
        if i < 3:
            scope = 'net/transition%d' % i
            net = conv(norm_relu(net, scope + '/preact'), scope + '/conv1')
            net = (net[:, ::2, ::2] + net[:, 1::2, ::2] + net[:, ::2, 1::2]
                   + net[:, 1::2, 1::2]) / 4
    pooled = norm_relu(net, 'net/postnorm').mean((1, 2))
    return pooled @ values['net/logits/weights'] + values['net/logits/biases']


@pytest.mark.parametrize('is_training', [True, False])
@pytest.mark.parametrize('kind', [PLAIN, NARROW], ids=['plain', 'bc'])
def test_values_match_a_numpy_recomputation(new_graph, kind, is_training):
    images = np.random.RandomState(1).randn(*SHAPE)
    logits, _ = densenet(tf.constant(images, tf.float32), kind, 5, tf.nn.relu, is_training,
                         scope='net')
    values = random_values(tf.global_variables())
    with tf.Session() as session:
        for variable in tf.global_variables():
            variable.load(values[variable.op.name], session)
        result = session.run(logits)
    expected = numpy_net(images, kind, values, is_training)
    # 1e-5 of the largest: float32 through a dozen layers.
    assert np.abs(result - expected).max() <= 1e-5 * np.abs(expected).max()


class Step:
    """Loss, gradients and updated averages of one training step, and the memory that it took."""

    def __init__(self, kind, activation_fn, recompute, batch=4, side=8):
        with tf.Graph().as_default() as graph:
            images = tf.constant(np.random.RandomState(1).randn(batch, side, side, 3), tf.float32)
            logits, _ = densenet(images, kind, 5, activation_fn, True, scope='net',
                                 recompute=recompute)
            loss = tf.reduce_mean(tf.square(logits - 1))
            sources = tf.trainable_variables() + [images]
            gradients = tf.gradients(loss, sources)
            updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
            self.updates = len(updates)
            self.pass_shares = list(ops.pass_shares())
            self.variables = [v.op.name for v in tf.global_variables()]
            values = random_values(tf.global_variables())
            trace = tf.RunMetadata()
            with tf.Session(graph=graph, config=session_config()) as session:
                for variable in tf.global_variables():
                    variable.load(values[variable.op.name], session)
                # The first run of a graph allocates for itself, too.
                session.run([loss, gradients])
                options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
                self.loss, self.gradients = session.run([loss, gradients], options=options,
                                                        run_metadata=trace)
                session.run(updates)
                self.averages = session.run([v for v in tf.global_variables() if not v.trainable])
            self.peak = _peak_bytes(trace)


def _peak_bytes(trace):
    """The most that was allocated at a time, of what a run allocated and freed."""
    changes = sorted((record.alloc_micros, record.alloc_bytes)
                     for device in trace.step_stats.dev_stats for node in device.node_stats
                     for memory in node.memory for record in memory.allocation_records)
    return np.cumsum([size for _, size in changes]).max()


@pytest.mark.sweep(chosen=lambda kind, activation: (kind is PLAIN) == (activation == 'relu'))
@pytest.mark.parametrize('activation', ['relu', 'ash', 'prelu'])
@pytest.mark.parametrize('kind', [PLAIN, NARROW], ids=['plain', 'bc'])
def test_recomputation_changes_no_value(kind, activation):
    kept, recomputed = (Step(kind, ops.get_activation(activation, 'plain'), recompute)
                        for recompute in (False, True))
    assert recomputed.variables == kept.variables
    assert recomputed.updates == kept.updates  # averages move once a step, not twice
    assert recomputed.pass_shares == kept.pass_shares
    np.testing.assert_allclose(recomputed.loss, kept.loss, rtol=1e-6)
    for ours, theirs in zip(recomputed.gradients, kept.gradients):
        # The same sums, in the same precision; a thread may add them in another order.
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * np.abs(theirs).max())
    for ours, theirs in zip(recomputed.averages, kept.averages):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.slow
def test_recomputation_saves_memory():
    kind = dense_kind(40, 12, bottleneck=False)
    kept, recomputed = (Step(kind, tf.nn.relu, recompute, batch=16, side=32).peak
                        for recompute in (False, True))
    assert recomputed < 0.6 * kept  # 0.41 of it, measured; the more layers, the less


def test_the_caller_may_change_its_list_of_inputs(new_graph):
    inputs = [tf.constant([[1.0, 2.0]])]
    outputs = recompute_in_backward(lambda *tensors: tf.square(tf.concat(tensors, 1)), inputs)
    first = inputs[0]
    inputs.append(tf.constant([[5.0]]))
    with tf.Session() as session:
        np.testing.assert_array_equal(session.run(tf.gradients(outputs, first)[0]), [[2, 4]])


def test_a_reused_scope_gets_its_gradients_too(new_graph):
    def scaled(x):
        return x * tf.get_variable('scale', [], initializer=tf.constant_initializer(3.0))

    with tf.variable_scope('once'):
        recompute_in_backward(scaled, [tf.constant([1.0, 2.0])])
    with tf.variable_scope('once', reuse=True):
        outputs = recompute_in_backward(scaled, [tf.constant([4.0, 5.0])])
    scale, = tf.trainable_variables()
    gradient, = tf.gradients(tf.reduce_sum(outputs), scale)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert session.run(gradient) == 9
