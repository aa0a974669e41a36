"""ASH in a graph: variables and scopes, static shapes, layers, pass shares, memory, errors."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

import ash_cases
from ash_cases import make_input
from ash_tf1 import ops

FAMILY = {'ash': ops.ASH, 'leaky_ash': ops.leaky_ash,
          'fixed_ash': lambda x, **kwargs: ops.fixed_ash(x, k=10, **kwargs)}


@pytest.fixture(autouse=True)
def new_graph():
    with tf.Graph().as_default():
        yield


def variables():
    """Name -> shape of all trained variables, in order of creation."""
    return {v.op.name: tuple(v.shape.as_list()) for v in tf.trainable_variables()}


@pytest.mark.parametrize('dtype, stored', [('float16', 'float32'), ('float32', 'float32'),
                                           ('float64', 'float64')])
def test_initial_values_and_the_value_they_give(dtype, stored):
    x = make_input('random', dtype)
    with tf.variable_scope('layer'):
        y = ops.ASH(tf.constant(x))
    z_k, alpha = tf.trainable_variables()
    assert variables() == {'layer/z_k': (1,), 'layer/alpha': (1,)}
    assert z_k.dtype.base_dtype.name == alpha.dtype.base_dtype.name == stored
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        values = session.run([z_k, alpha, y])
    assert values[0] == np.asarray(1e-3, stored)
    assert values[1] == 1
    tolerance = {'float16': 2e-3, 'float32': 2e-6, 'float64': 1e-12}[dtype]
    np.testing.assert_allclose(values[2], ash_cases.ash(x, values[0], 1).astype('float64'),
                               rtol=10 * tolerance, atol=tolerance)


@pytest.mark.parametrize('name, expected', [
    ('ash', ['layer/z_k', 'layer/alpha']), ('leaky_ash', ['layer/z_k', 'layer/alpha']),
    ('fixed_ash', ['layer/alpha'])])
def test_variables_of_the_family(name, expected):
    with tf.variable_scope('layer'):
        FAMILY[name](tf.zeros([2, 3]))
    assert list(variables()) == expected
    assert len(tf.global_variables()) == len(expected)


@pytest.mark.parametrize('implementation', ops.IMPLEMENTATIONS)
@pytest.mark.parametrize('name', sorted(FAMILY))
@pytest.mark.parametrize('shape', [[None, 3], [None, None], [None, None, None, 3], [2, 4, 5, 3]])
def test_static_shape_and_dtype_are_kept(name, shape, implementation):
    x = tf.placeholder(tf.float32, shape)
    y = FAMILY[name](x, implementation=implementation)
    assert y.shape.as_list() == shape
    assert y.dtype == x.dtype


@pytest.mark.parametrize('name', sorted(FAMILY))
def test_the_name_of_the_op(name):
    x = tf.placeholder(tf.float32, [None, 3])
    with tf.variable_scope('a'), tf.name_scope('outer'):
        assert FAMILY[name](x).op.name.startswith('a/outer/%s/' % name)
    with tf.variable_scope('b'):
        assert FAMILY[name](x, name='gate').op.name.startswith('b/gate/')


def test_two_layers_have_their_own_variables():
    x = tf.random_normal([4, 3, 3, 2], seed=0)
    for scope in ('one', 'two'):
        with tf.variable_scope(scope):
            x = ops.ASH(x)
    assert list(variables()) == ['one/z_k', 'one/alpha', 'two/z_k', 'two/alpha']
    gradients = tf.gradients(x, tf.trainable_variables())
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        values = np.concatenate(session.run(gradients))
    assert len(set(values)) == 4
    assert np.all(values != 0)


@pytest.mark.parametrize('reuse', [True, tf.AUTO_REUSE])
def test_a_scope_that_reuses_shares_its_variables(reuse):
    x = tf.random_normal([4, 3], seed=0)
    with tf.variable_scope('layer'):
        ops.ASH(x)
    with tf.variable_scope('layer', reuse=reuse):
        y = ops.ASH(x)
    assert list(variables()) == ['layer/z_k', 'layer/alpha']
    assert all(g is not None for g in tf.gradients(y, tf.trainable_variables()))


def test_a_scope_that_does_not_reuse_raises():
    with tf.variable_scope('layer'):
        ops.ASH(tf.zeros([2, 3]))
    with tf.variable_scope('layer'), pytest.raises(ValueError, match='layer/z_k already exists'):
        ops.ASH(tf.zeros([2, 3]))


@pytest.mark.parametrize('implementation', ops.IMPLEMENTATIONS)
def test_resource_variables(implementation):
    with tf.variable_scope('layer', use_resource=True):
        y = ops.ASH(tf.random_normal([4, 3], seed=0), implementation)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        gradients = session.run(tf.gradients(y, tf.trainable_variables()))
    assert [gradient.shape for gradient in gradients] == [(1,), (1,)]


@pytest.mark.parametrize('build, weights', [
    (lambda x: tf.layers.conv2d(x, 4, 3, activation=ops.ASH, name='layer'), ['kernel', 'bias']),
    (lambda x: tf.layers.dense(x, 4, activation=ops.ASH, name='layer'), ['kernel', 'bias']),
    (lambda x: slim.conv2d(x, 4, 3, activation_fn=ops.ASH, scope='layer'), ['weights', 'biases']),
    (lambda x: slim.fully_connected(x, 4, activation_fn=ops.ASH, scope='layer'),
     ['weights', 'biases'])])
def test_as_the_activation_of_a_layer_the_variables_are_the_layers(build, weights):
    y = build(tf.placeholder(tf.float32, [None, 8, 8, 3]))
    assert sorted(variables()) == sorted('layer/' + name for name in weights + ['z_k', 'alpha'])
    assert y.shape.as_list()[0] is None
    assert y.shape.as_list()[3] == 4


def test_pass_shares_name_the_layers_and_count_their_units():
    x = make_input('shifted', 'float32')
    tensor = tf.placeholder(tf.float32, [None, 6, 5, 8])
    with tf.variable_scope('block/unit_1'):
        y = ops.ASH(tensor)
    with tf.variable_scope('last'):
        ops.fixed_ash(y, k=10)
    shares = ops.pass_shares()
    assert list(shares) == ['block/unit_1', 'last']
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        first, last, y_value = session.run(list(shares.values()) + [y], {tensor: x})
    for value, layer_input, z_k in ((first, x, 1e-3), (last, y_value, 1.2815515655446004)):
        mean, sigma = ash_cases.statistics(layer_input)
        np.testing.assert_allclose(value, (layer_input >= mean + z_k * sigma).mean(), atol=1e-6)


def test_pass_shares_of_one_name_scope():
    x = tf.zeros([2, 3])
    for name in ('training', 'evaluation'):
        with tf.name_scope(name), tf.variable_scope('net', reuse=tf.AUTO_REUSE):
            ops.ASH(x)
    assert ops.pass_shares('evaluation')['net'].op.name.startswith('evaluation/')
    assert ops.pass_shares('training')['net'].op.name.startswith('training/')
    assert not ops.pass_shares('elsewhere')


def test_pass_shares_of_a_name_scope_that_is_entered_again():
    for name in ('one', 'two'):
        with tf.variable_scope(name, auxiliary_name_scope=False):
            ops.ASH(tf.zeros([2, 3]), name='same/')
    assert list(ops.pass_shares()) == ['one', 'two']


def test_pass_shares_of_a_name_scope_leave_out_its_namesakes():
    for name in ('net', 'net_1'):
        with tf.name_scope(name), tf.variable_scope(name):
            ops.ASH(tf.zeros([2, 3]))
    assert list(ops.pass_shares('net')) == ['net']


def traced_step(implementation, normalize=tf.identity):
    """Executed nodes of one training step of convolution, ASH, convolution; sizes of outputs."""
    x = tf.placeholder(tf.float32, [2, 8, 8, 4])
    weights = tf.get_variable('weights', [2, 3, 3, 4, 4])
    with tf.variable_scope('layer'):
        y = ops.ASH(normalize(tf.nn.conv2d(x, weights[0], 1, 'SAME')), implementation)
    loss = tf.nn.l2_loss(tf.nn.conv2d(y, weights[1], 1, 'SAME'))
    step = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    metadata = tf.RunMetadata()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(step, {x: np.random.RandomState(0).randn(2, 8, 8, 4)},
                    tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE,
                                  output_partition_graphs=True), metadata)
    sizes = {}
    for device in metadata.step_stats.dev_stats:
        for node in device.node_stats:
            for output in node.output:
                dims = output.tensor_description.shape.dim
                sizes[node.node_name, output.slot] = int(np.prod([d.size for d in dims]))
    return [node for graph in metadata.partition_graphs for node in graph.node], sizes


def kept_by_ash(nodes, sizes, scope='layer/ash/'):
    """Names of ASH's own feature maps that any node of the backward pass reads."""
    kept = set()
    for node in nodes:
        for edge in node.input:
            name, _, slot = edge.partition(':')
            if ('gradients/' in node.name and name.startswith(scope)
                    and sizes.get((name, int(slot or 0))) == 2 * 8 * 8 * 4):
                kept.add(name)
    return kept


@pytest.mark.parametrize('implementation, computes', [('native', 'Ash'), ('recompute', 'Exp')])
def test_the_exact_forms_keep_no_feature_map_but_the_output_for_the_backward_pass(implementation,
                                                                                  computes):
    """The graph optimiser must not merge what the backward pass recomputes with the forward's.

    The output is kept for the convolution above; the input, by the one below, is not ASH's.
    """
    nodes, sizes = traced_step(implementation)
    computing = [node.name for node in nodes if '/' + computes in node.name and node.op != 'Const']
    assert sorted(name.split('/')[0] for name in computing) == ['gradients', 'layer']
    assert len(kept_by_ash(nodes, sizes)) == 1


def test_the_plain_form_keeps_more():
    """So that the test above is known to see it."""
    assert len(kept_by_ash(*traced_step('plain'))) > 1


@pytest.mark.parametrize('implementation', ['native', 'recompute'])
def test_after_batch_norm_no_more_is_kept_than_a_relu_keeps(implementation):
    """That is, what BatchNorm took, which is the convolution's, and the activation's output."""
    nodes, sizes = traced_step(implementation, slim.batch_norm)
    assert len(kept_by_ash(nodes, sizes, 'layer/Conv2D')) == 1
    assert len(kept_by_ash(nodes, sizes, 'layer/ash/')) == 1
    assert not kept_by_ash(nodes, sizes, 'layer/BatchNorm/')


@pytest.mark.parametrize('is_training', [True, False])
@pytest.mark.parametrize('implementation', ['native', 'recompute'])
def test_after_batch_norm_the_gradients_are_those_of_the_plain_form(implementation, is_training):
    x = tf.constant(np.random.RandomState(0).randn(4, 5, 5, 3).astype('float32'))
    results = []
    for form in (implementation, 'plain'):
        with tf.variable_scope('net', reuse=tf.AUTO_REUSE):
            normalized = slim.batch_norm(x, is_training=is_training, scale=True, scope='norm')
            y = ops.ASH(tf.identity(normalized), form)
        loss = tf.reduce_sum(tf.square(y) * tf.range(3.0))
        results.append(tf.gradients(loss, [x] + tf.trainable_variables('net')))
    assert len(results[0]) == 5
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for ours, plain in zip(*session.run(results)):
            np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-4 * np.abs(plain).max())


@pytest.mark.parametrize('is_training', [True, False])
@pytest.mark.parametrize('implementation', ['native', 'recompute'])
def test_after_batch_norm_gradients_of_second_order_are_those_of_the_plain_form(implementation,
                                                                                is_training):
    """They see that the statistics are functions of what BatchNorm takes."""
    x = tf.constant(np.random.RandomState(0).randn(3, 3, 3, 2).astype('float32'))
    results = []
    for form in (implementation, 'plain'):
        with tf.variable_scope('net', reuse=tf.AUTO_REUSE):
            y = ops.ASH(slim.batch_norm(x, is_training=is_training, scale=True, scope='norm'), form)
        sources = [x] + tf.trainable_variables('net')
        first = tf.gradients(tf.reduce_sum(tf.square(y) * tf.range(1.0, 3.0)), sources)
        results.append(tf.gradients([tf.reduce_sum(tf.square(g)) for g in first], sources))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for ours, plain in zip(*session.run(results)):
            np.testing.assert_allclose(ours, plain, rtol=1e-3, atol=1e-3 * np.abs(plain).max())


@pytest.mark.parametrize('implementation', ['native', 'recompute'])
def test_in_a_loop_the_gradients_are_those_of_the_plain_form(implementation):
    """Whose backward pass begins in another frame, and gets the layer's input from a stack."""
    x = tf.constant(np.random.RandomState(0).randn(2, 4, 4, 3).astype('float32'))
    scale, offset = tf.ones([3]), tf.zeros([3])
    results = []
    for form in (implementation, 'plain'):
        def body(i, value, form=form):
            value = tf.nn.fused_batch_norm(value, scale, offset)[0]
            return i + 1, value + ops.apply_ash(value, [0.3], [0.9], implementation=form)
        y = tf.while_loop(lambda i, value: i < 3, body, [0, x])[1]
        results.append(tf.gradients(tf.reduce_sum(tf.square(y) * y), x))
    with tf.Session() as session:
        (ours,), (plain,) = session.run(results)
    np.testing.assert_allclose(ours, plain, rtol=1e-3, atol=1e-4 * np.abs(plain).max())


@pytest.mark.parametrize('name', sorted(FAMILY))
@pytest.mark.parametrize('make, message', [
    (lambda: tf.placeholder(tf.int32, [None, 3]), 'float16, float32 or float64, got int32'),
    (lambda: tf.placeholder(tf.uint8, [None, 8, 8, 3]), 'float16, float32 or float64, got uint8'),
    (lambda: tf.placeholder(tf.float32, [None]), 'rank of 2 or more'),
    (lambda: tf.placeholder(tf.float32, []), 'rank of 2 or more'),
    (lambda: tf.placeholder(tf.float32), 'known rank')])
def test_bad_inputs_raise(name, make, message):
    with pytest.raises(ValueError, match=message):
        FAMILY[name](make())


@pytest.mark.parametrize('name', sorted(FAMILY))
def test_an_unknown_implementation_raises(name):
    with pytest.raises(ValueError, match="unknown implementation 'fast'; known are auto, native"):
        FAMILY[name](tf.zeros([2, 3]), implementation='fast')


@pytest.mark.parametrize('leak', [-0.01, 1.0, 2.0, float('nan')])
def test_a_leak_out_of_range_raises(leak):
    with pytest.raises(ValueError, match=r'leak must be in \[0, 1\), got %r' % leak):
        ops.leaky_ash(tf.zeros([2, 3]), leak=leak)


@pytest.mark.parametrize('k', [0, 100, -1, 100.5, float('nan')])
def test_a_share_out_of_range_raises(k):
    with pytest.raises(ValueError, match=r'in \(0, 100\), got %r' % k):
        ops.fixed_ash(tf.zeros([2, 3]), k=k)
    with pytest.raises(ValueError, match=r'in \(0, 100\), got %r' % k):
        ops.z_score(k)
    assert not variables()
