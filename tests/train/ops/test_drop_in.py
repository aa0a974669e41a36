"""ASH where code that exists has an activation: what each way of building layers makes of it."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from ash_tf1 import ASH, ops


@pytest.fixture(autouse=True)
def new_graph():
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        yield


def contrib_layers():
    from tensorflow import contrib  # seconds of imports, for one test
    return contrib.layers


def layer_functions(x):
    x = tf.layers.conv2d(x, 4, 3, activation=ASH, name='conv')
    return tf.layers.dense(tf.layers.flatten(x), 5, activation=ASH)


def one_layer_object_twice(x):
    layer = tf.layers.Conv2D(3, 3, padding='same', activation=ASH, name='shared')
    return layer(layer(x))


def slim_layers(x):
    x = slim.conv2d(x, 4, 3, activation_fn=ASH, scope='conv')
    return slim.fully_connected(slim.flatten(x), 5, activation_fn=ASH)


def slim_arg_scope(x):
    with slim.arg_scope([slim.conv2d, slim.fully_connected], activation_fn=ASH,
                        normalizer_fn=slim.batch_norm):
        x = slim.conv2d(x, 4, 3, scope='conv')
        return slim.fully_connected(slim.flatten(x), 5, scope='dense')


def slim_repeat_and_stack(x):
    with slim.arg_scope([slim.conv2d, slim.fully_connected], activation_fn=ASH):
        x = slim.repeat(x, 2, slim.conv2d, 4, 3, scope='block')
        return slim.stack(slim.flatten(x), slim.fully_connected, [5, 3], scope='head')


def contrib(x):
    layers = contrib_layers()
    x = layers.conv2d(x, 4, 3, activation_fn=ASH, normalizer_fn=layers.batch_norm, scope='conv')
    return layers.fully_connected(layers.flatten(x), 5, activation_fn=ASH)


def raw_ops(x):
    """Calls its function twice on shared weights, as towers of several GPUs do."""
    def tower(x):
        with tf.variable_scope('layer', reuse=tf.AUTO_REUSE):
            weights = tf.get_variable('weights', [3, 3, 3, 4])
            return ASH(tf.nn.conv2d(x, weights, 1, 'SAME'))
    return tower(x[:2]) + tower(x[2:])


CODE = {
    layer_functions: ['conv', 'dense'],
    one_layer_object_twice: ['shared'],
    slim_layers: ['conv', 'fully_connected'],
    slim_arg_scope: ['conv', 'dense'],
    slim_repeat_and_stack: ['block/block_1', 'block/block_2', 'head/head_1', 'head/head_2'],
    contrib: ['conv', 'fully_connected'],
    raw_ops: ['layer'],
}


@pytest.mark.parametrize('build', CODE, ids=lambda build: build.__name__)
def test_each_layer_has_its_parameters_in_its_scope_and_trains_them(build):
    """The loss has to fall, and every z_k and alpha to move: 20 steps of descent on one batch."""
    rng = np.random.RandomState(0)
    x = tf.constant(rng.randn(4, 8, 8, 3).astype(np.float32))
    y = build(x)
    parameters = {v.op.name: v for v in tf.trainable_variables()
                  if v.op.name.rsplit('/')[-1] in ('z_k', 'alpha')}
    assert sorted(parameters) == sorted(
        scope + '/' + name for scope in CODE[build] for name in ('z_k', 'alpha'))
    loss = tf.reduce_mean(tf.square(y - rng.randn(*y.shape.as_list()).astype(np.float32)))
    step = tf.train.GradientDescentOptimizer(0.05).minimize(loss)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        before, values = session.run([loss, parameters])
        for _ in range(20):
            session.run(step)
        after, trained = session.run([loss, parameters])
    assert after < 0.95 * before
    for name, value in values.items():
        assert value.shape == (1,)
        assert trained[name] != value, name


TWICE = {
    'z_k': [ops.ASH, ops.leaky_ash],
    'alpha': [lambda x: ops.fixed_ash(x, k=10), ops.prelu],
    'beta': [ops.swish_beta],
}


@pytest.mark.parametrize('name, activation', [
    (name, activation) for name, activations in TWICE.items() for activation in activations])
@pytest.mark.parametrize('scope', ['', 'net/layer'])
def test_a_second_call_in_a_scope_says_how_to_go_on(scope, name, activation):
    x = tf.zeros([2, 3])
    full_name = scope + '/' + name if scope else name
    with tf.variable_scope(scope):
        activation(x)
        with pytest.raises(ValueError) as error:
            activation(x)
    message = str(error.value)
    assert message.startswith('Variable {} already exists'.format(full_name))
    for way in ("`with tf.variable_scope('NAME'): ASH(x)`", "ash_tf1.scoped_ash('NAME')",
                'reuse=tf.AUTO_REUSE',
                'ash_tf1.keras.ASH'):
        assert way in message
    with tf.variable_scope(scope, reuse=tf.AUTO_REUSE):
        activation(x)
    with tf.variable_scope('NAME'):
        activation(x)
    assert full_name in [v.op.name for v in tf.trainable_variables()]


KERAS_LAYERS = {
    'Dense': lambda activation: tf.keras.layers.Dense(3, activation=activation),
    'Conv1D': lambda activation: tf.keras.layers.Conv1D(3, 2, activation=activation),
    'Activation': tf.keras.layers.Activation,
    'Lambda': tf.keras.layers.Lambda,
    'LSTM': lambda activation: tf.keras.layers.LSTM(3, activation=activation),
    'Dense in TimeDistributed': lambda activation: tf.keras.layers.TimeDistributed(
        tf.keras.layers.Dense(3, activation=activation)),
    'RNN': lambda activation: tf.keras.layers.RNN(tf.keras.layers.GRUCell(3, activation)),
}


@pytest.mark.parametrize('layer', KERAS_LAYERS)
@pytest.mark.parametrize('make', [
    lambda: ops.ASH, lambda: lambda x: 2.0 * ops.ASH(x), lambda: ops.get_activation('f_ash_10'),
    lambda: ops.scoped_ash('gate'), lambda: ops.swish_beta],
    ids=['ASH', 'lambda', 'fixed_ash', 'scoped_ash', 'swish_beta'])
def test_keras_layers_are_refused_at_once(layer, make):
    """They neither initialise nor train variables that a function makes."""
    made = KERAS_LAYERS[layer](make())
    with pytest.raises(ValueError, match=r"layer '\w+' is a tf.keras .*ash_tf1\.keras\.ASH\(\)"):
        made(tf.keras.Input((4, 5)))


def test_layers_and_cells_that_open_a_scope_are_not():
    """They are Keras layers too; and so is what calls ASH by code of its own."""
    x = tf.ones([2, 5, 4])
    tf.layers.Dense(3, activation=ASH)(x)
    tf.layers.Conv1D(3, 2, activation=ASH)(x)
    tf.nn.dynamic_rnn(tf.nn.rnn_cell.BasicRNNCell(3, activation=ASH), x, dtype=tf.float32)

    class Own(tf.keras.layers.Layer):
        def call(self, inputs):
            with tf.variable_scope('own'):
                return ASH(inputs)
    Own()(x)
    assert sorted(v.op.name for v in tf.trainable_variables() if v.op.name.endswith('z_k')) == [
        'conv1d/z_k', 'dense/z_k', 'own/z_k', 'rnn/basic_rnn_cell/z_k']


@pytest.mark.parametrize('make, message', [
    (lambda: tf.get_variable('z_k', [2]), 'specified shape'),
    (lambda: None, 'does not exist, or was not created')])
def test_other_errors_of_variables_are_not_changed(make, message):
    make()
    with tf.variable_scope('', reuse=True), pytest.raises(ValueError, match=message) as error:
        ops.ASH(tf.zeros([2, 3]))
    assert 'ash_tf1' not in str(error.value).split('Originally')[0]
