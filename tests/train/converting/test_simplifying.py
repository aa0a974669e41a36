"""Parts of a graph that constants switch off: branches not taken and dropout are removed.

Dropout that is on, and BatchNorm in training mode, are refused.
"""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from ash_tf1.converting import graphs, onnx_model


@pytest.fixture(autouse=True)
def new_graph():
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        yield


def old_dropout(x, keep_prob):
    """As TensorFlow had it before version 1.13."""
    return tf.div(x, keep_prob) * tf.floor(keep_prob + tf.random_uniform(tf.shape(x)))


def looped(x, keep_prob):
    """Dropout in a loop: the rate comes into it through an Enter op."""
    return tf.while_loop(lambda i, y: i < 3,
                         lambda i, y: (i + 1, tf.nn.dropout(tf.sin(y), keep_prob)), (0, x))[1]


DROPOUTS = {
    'nn': (lambda x, p: tf.nn.dropout(x, keep_prob=p), {'p': '1.0'}),
    'rate': (lambda x, p: tf.nn.dropout(x, rate=p), {'p': '0'}),
    'noise_shape': (lambda x, p: tf.nn.dropout(x, p, noise_shape=[3, 1]), {'p': '1'}),
    'before 1.13': (old_dropout, {'p': '1.0'}),
    'loop': (looped, {'p': '1.0'}),
    'layers': (lambda x, p: tf.layers.dropout(x, 0.5, training=p > 0.5), {'p': '0.0'}),
    'slim': (lambda x, p: slim.dropout(x, is_training=p > 0.5), {'p': '0.0'}),
}


@pytest.mark.parametrize('name', DROPOUTS)
def test_dropout_that_is_switched_off_is_removed(name):
    build, values = DROPOUTS[name]
    x = tf.placeholder(tf.float32, (3, 4), name='x')
    tf.identity(build(tf.cos(x), tf.placeholder(tf.float32, [], name='p')), name='y')
    graph_def = tf.get_default_graph().as_graph_def()
    with pytest.raises(ValueError, match=r'2 placeholders: .*p \(float32 \[\]\).*--set p='):
        graphs.cut(graph_def, outputs=['y'])
    part, (found,), _ = graphs.cut(graph_def, outputs=['y'], values=values)
    assert found.name == 'x:0'
    # With the random numbers goes the op that reads the shape for them.
    assert not {'RandomUniform', 'Shape'} & {node.op for node in part.node}
    assert name == 'loop' or 'Switch' not in {node.op for node in part.node}
    signature = onnx_model.Signature((('x', 'x:0'),), (('y', 'y:0'),))
    value = np.random.RandomState(0).randn(3, 4)
    expected = np.cos(value)
    for _ in range(3 if name == 'loop' else 0):
        expected = np.sin(expected)
    found, = onnx_model.run_frozen(part, signature, value)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize('name', DROPOUTS)
def test_dropout_in_a_batch_of_any_size_leaves_no_product(name):
    build, values = DROPOUTS[name]
    x = tf.placeholder(tf.float32, (None, 4), name='x')
    tf.identity(build(tf.cos(x), tf.placeholder(tf.float32, [], name='p')), name='y')
    part, _, _ = graphs.cut(tf.get_default_graph().as_graph_def(), outputs=['y'], values=values)
    left = {node.op for node in part.node}
    assert not {'RandomUniform', 'Shape'} & left
    assert ('Fill' in left) == (name == 'noise_shape')  # might be larger than x


@pytest.mark.parametrize('shape', [[3, 4], [2, 3, 4]])
def test_a_mask_larger_than_its_input_keeps_its_shape(shape):
    x = tf.placeholder(tf.float32, (None, 1), name='x')
    tf.identity(old_dropout(x, tf.placeholder(tf.float32, [], name='p')) * tf.floor(
        1.0 + tf.random_uniform(shape)), name='y')
    part, _, _ = graphs.cut(tf.get_default_graph().as_graph_def(), outputs=['y'],
                            values={'p': '1.0'})
    signature = onnx_model.Signature((('x', 'x:0'),), (('y', 'y:0'),))
    value = np.random.RandomState(0).randn(3, 1)
    found, = onnx_model.run_frozen(part, signature, value)
    np.testing.assert_allclose(found, np.broadcast_to(value, shape), rtol=1e-6)
    assert 'RandomUniform' not in {node.op for node in part.node}


@pytest.mark.parametrize('rate', ['0.3', '-1.0'])
def test_dropout_that_drops_is_refused(rate):
    x = tf.placeholder(tf.float32, (3, 4), name='x')
    tf.identity(tf.nn.dropout(x, rate=0.0 + tf.placeholder(tf.float32, [], name='p')), name='y')
    with pytest.raises(ValueError, match="op 'dropout/.*RandomUniform' draws random numbers"):
        graphs.cut(tf.get_default_graph().as_graph_def(), outputs=['y'], values={'p': '0.5'})


def test_random_numbers_that_are_no_dropout_stay_and_are_refused():
    x = tf.placeholder(tf.float32, (3, 4), name='x')
    noise = tf.random_uniform([3, 4], minval=-1.0)
    tf.identity(x * tf.cast(noise >= 0.0, tf.float32), name='y')
    with pytest.raises(ValueError, match='draws random numbers'):
        graphs.cut(tf.get_default_graph().as_graph_def(), outputs=['y'])


@pytest.mark.parametrize('text, expected', [('true', 3.0), ('FALSE', 40.0)])
def test_a_branch_that_is_not_taken_is_removed_with_all_it_holds(text, expected):
    x, flag = tf.placeholder(tf.float32, [], name='x'), tf.placeholder(tf.bool, [], name='flag')

    def loop(step):
        return tf.while_loop(lambda y: y < 30.0, lambda y: y + step, (x,))

    def nested():
        return tf.cond(tf.logical_not(flag), lambda: 2.0 * x,
                       lambda: tf.py_func(abs, [x], tf.float32))
    tf.identity(tf.cond(flag, lambda: 3.0 * x, lambda: 20.0 * nested() + 0.0 * loop(7.0)), 'y')
    part, _, _ = graphs.cut(tf.get_default_graph().as_graph_def(), outputs=['y'],
                            values={'flag': text})
    assert not {'Switch', 'PyFunc'} & {node.op for node in part.node if 'while' not in node.name}
    assert text != 'true' or not any('while' in node.name for node in part.node)
    signature = onnx_model.Signature((('x', 'x:0'),), (('y', 'y:0'),))
    assert onnx_model.run_frozen(part, signature, 1.0) == [expected]


def test_a_placeholder_with_a_default_has_its_default_unless_it_is_set():
    x = tf.placeholder(tf.float32, [2], name='x')
    factor = tf.placeholder_with_default(3.0, [], name='factor')
    tf.multiply(x, factor, name='y')
    graph_def = tf.get_default_graph().as_graph_def()
    signature = onnx_model.Signature((('x', 'x:0'),), (('y', 'y:0'),))
    for values, expected in (({}, 3.0), ({'factor:0': '4'}, 4.0)):
        part, inputs, _ = graphs.cut(graph_def, values=values)
        assert [tensor.name for tensor in inputs] == ['x:0']
        assert onnx_model.run_frozen(part, signature, [1, 2])[0].tolist() == [
            expected, 2 * expected]


@pytest.mark.parametrize('values, message', [
    ({'y': '1'}, "'y' is no placeholder that could be set; there are x, flag"),
    ({'flag': '1'}, "flag cannot be set to '1': it takes true or false"),
    ({'x': 'one'}, "x cannot be set to 'one': it takes one float32")])
def test_what_cannot_be_set_is_named(values, message):
    x, flag = tf.placeholder(tf.float32, [2], name='x'), tf.placeholder(tf.bool, [], name='flag')
    tf.cond(flag, lambda: x, lambda: 2.0 * x)
    tf.identity(x, name='y')
    with pytest.raises(ValueError, match=message):
        graphs.cut(tf.get_default_graph().as_graph_def(), outputs=['y'], values=values)


def norm(kind, x, training):
    if kind == 'fused':
        return tf.layers.batch_normalization(x, training=training)
    if kind == 'not fused':
        return tf.layers.batch_normalization(x, training=training, fused=False)
    if kind == 'dense':
        return tf.layers.batch_normalization(tf.layers.flatten(x), training=training)
    return slim.batch_norm(x, is_training=training)


@pytest.mark.parametrize('kind', ['fused', 'not fused', 'dense', 'slim'])
@pytest.mark.parametrize('switch', [False, True])
def test_batch_norm_in_training_mode_is_refused(kind, switch):
    x = tf.placeholder(tf.float32, (None, 4, 4, 3), name='x')
    training = tf.placeholder(tf.bool, [], name='training') if switch else True
    tf.identity(norm(kind, x, training), name='y')
    graph_def = tf.get_default_graph().as_graph_def()
    part = graphs.cut(graph_def, outputs=['y'], values={'training': 'true'} if switch else {},
                      variables=True)[0]
    with pytest.raises(ValueError, match="'.*' normalises by the statistics of the batch"):
        graphs.check_inference(part)
    if switch:
        graphs.check_inference(graphs.cut(graph_def, outputs=['y'], values={'training': 'false'},
                                          variables=True)[0])


def test_other_normalisations_are_no_training_mode():
    x = tf.placeholder(tf.float32, (None, 4, 4, 3), name='x')
    mean, variance = tf.nn.moments(x, [1, 2], keep_dims=True)
    y = tf.nn.batch_normalization(x, mean, variance, None, None, 1e-3)
    tf.identity(slim.layer_norm(norm('fused', y, False)), name='y')
    graphs.check_inference(tf.get_default_graph().as_graph_def())
