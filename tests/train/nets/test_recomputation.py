"""Blocks that are computed again in the backward pass: by the op's inputs and outputs alone."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1 import ops
from ash_tf1.nets.densenet import DenseKind, densenet
from ash_tf1.recomputation import recompute_in_backward
from ash_tf1.sessions import session_config

KIND = DenseKind(layers=1, growth=4, stem_depth=6, bottleneck=True, compression=0.5)
IMAGES = np.random.RandomState(1).randn(3, 8, 8, 3)


@pytest.fixture(autouse=True)
def new_graph():
    with tf.Graph().as_default():
        yield


def net(images, activation, recompute, use_resource=False, scope='net', reuse=None):
    """The loss of a small DenseNet in training."""
    with tf.variable_scope('', use_resource=use_resource):
        logits, _ = densenet(images, KIND, 5, activation, True, scope=scope, recompute=recompute,
                             reuse=reuse)
    return tf.reduce_mean(tf.square(logits - 1.0), name='loss')


def close(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


ACTIVATIONS = [('ash', 'native'), ('ash', 'recompute'), ('swish', 'auto'), ('prelu', 'auto')]


@pytest.mark.sweep(chosen=lambda implementation, use_resource:
                   implementation == 'native' or not use_resource)
@pytest.mark.parametrize('use_resource', [False, True], ids=['ref', 'resource'])
@pytest.mark.parametrize('name, implementation', ACTIVATIONS)
def test_gradients_are_those_of_the_net_that_keeps_everything(name, implementation, use_resource):
    images = tf.constant(IMAGES, tf.float32)
    activation = ops.get_activation(name, implementation)
    results = []
    for recompute in (True, False):
        loss = net(images, activation, recompute, use_resource, reuse=tf.AUTO_REUSE)
        results.append(tf.gradients(loss, [images] + tf.trainable_variables()))
    with tf.Session(config=session_config()) as session:
        session.run(tf.global_variables_initializer())
        close(*session.run(results))


@pytest.mark.sweep(chosen=lambda implementation, use_resource, beside:
                   implementation == 'native' and not beside
                   or beside and not use_resource)
@pytest.mark.parametrize('beside', [False, True], ids=['alone', 'beside'])
@pytest.mark.parametrize('use_resource', [False, True], ids=['ref', 'resource'])
@pytest.mark.parametrize('name, implementation', ACTIVATIONS)
def test_an_imported_net_has_its_gradients(name, implementation, use_resource, beside, tmp_path):
    images = tf.placeholder(tf.float32, [None, 8, 8, 3], name='images')
    activation = ops.get_activation(name, implementation)
    loss = net(images, activation, True, use_resource)
    gradients = tf.gradients(loss, [images] + tf.trainable_variables())
    prefix = str(tmp_path / 'model')
    with tf.Session(config=session_config()) as session:
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, prefix)
        expected = session.run(gradients, {images: IMAGES})
    with tf.Graph().as_default() as graph:
        if beside:
            new = net(tf.constant(IMAGES, tf.float32), tf.nn.elu, True, use_resource)
            tf.gradients(new, tf.trainable_variables())
        count = len(tf.trainable_variables())
        saver = tf.train.import_meta_graph(prefix + '.meta', import_scope='old')
        images = graph.get_tensor_by_name('old/images:0')
        gradients = tf.gradients(graph.get_tensor_by_name('old/loss:0'),
                                 [images] + tf.trainable_variables()[count:])
        with tf.Session(config=session_config()) as session:
            saver.restore(session, prefix)
            close(session.run(gradients, {images: IMAGES}), expected)


def in_a_loop(block, x):
    return tf.while_loop(lambda i, value: i < 3, lambda i, value: (i + 1, block(value)), [0, x])[1]


def in_a_condition(block, x):
    return tf.cond(tf.reduce_sum(x) > -1e9, lambda: block(x), lambda: x)


@pytest.mark.parametrize('construct', [in_a_loop, in_a_condition])
@pytest.mark.parametrize('v2', [False, True], ids=['v1', 'v2'])
def test_gradients_inside_control_flow(v2, construct):
    """Each iteration's block is copied from what that iteration took."""
    before = tf.control_flow_v2_enabled()
    (tf.enable_control_flow_v2 if v2 else tf.disable_control_flow_v2)()
    try:
        x = tf.constant(IMAGES[:, 0])
        weights = tf.get_variable('weights', [3, 3], tf.float64)

        def block(value):
            return tf.tanh(tf.tensordot(value, weights, 1)) + value

        results = []
        for function in (block, lambda value: recompute_in_backward(block, [value])):
            y = construct(function, x)
            results.append(tf.gradients(tf.reduce_sum(y * y), [x, weights]))
    finally:
        (tf.enable_control_flow_v2 if before else tf.disable_control_flow_v2)()
    with tf.Session(config=session_config()) as session:
        session.run(tf.global_variables_initializer())
        close(*session.run(results))


def test_a_tensor_that_is_no_input_gets_its_gradient_too():
    x, other = tf.constant([1.0, 2.0]), tf.constant([3.0, 4.0])
    y = recompute_in_backward(lambda x: x * tf.square(other), [x])
    with tf.Session(config=session_config()) as session:
        np.testing.assert_array_equal(session.run(tf.gradients(y, [x, other])),
                                      [[9, 16], [6, 16]])


def test_gradients_of_second_order():
    x = tf.constant([1.0, 2.0])
    y = recompute_in_backward(lambda x: x * tf.square(x), [x])
    first, = tf.gradients(y, x)
    with tf.Session(config=session_config()) as session:
        np.testing.assert_array_equal(session.run(tf.gradients(first, x)[0]), [6, 12])


@pytest.mark.parametrize('function, why', [
    (lambda x: tf.nn.dropout(x, rate=0.5), 'random'),
    (lambda x: tf.check_numerics(x, 'bad'), 'random, or does something besides'),
    (lambda x: tf.cond(tf.reduce_sum(x) > 0, lambda: x, lambda: -x), 'control flow')])
def test_what_would_not_be_the_same_again_is_refused(function, why):
    message = r'op .* cannot be computed again .* it is {}.*recompute=False'.format(why)
    with pytest.raises(ValueError, match=message):
        recompute_in_backward(function, [tf.constant([1.0, 2.0])])


def test_complex_tensors_have_their_gradients_too():
    x = tf.constant([1.0, 2.0])
    results = []
    for wrap in (lambda function, inputs: function(*inputs), recompute_in_backward):
        z = tf.complex(x, 2.0 * x)
        y = wrap(lambda z: tf.real(z * tf.conj(z)), [z])
        results.append(tf.gradients(y, x)[0])
    with tf.Session() as session:
        np.testing.assert_array_equal(session.run(results), [[10, 20]] * 2)
