"""The layers by themselves. What they compute is `ops`' own, to the last bit."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1 import ops
from ash_tf1.keras import ASH, Swish

LAYERS = tf.keras.layers
pytestmark = [pytest.mark.fast, pytest.mark.usefixtures('new_session')]


def values(shape, dtype, seed=0):
    return (1 + np.random.RandomState(seed).randn(*shape)).astype(dtype)


@pytest.mark.parametrize('implementation', sorted(ops.IMPLEMENTATIONS))
@pytest.mark.parametrize('shape', [(4, 7), (4, 5, 3), (2, 6, 5, 3)])
@pytest.mark.parametrize('dtype', ['float16', 'float32', 'float64'])
def test_ash_is_that_of_ops(dtype, shape, implementation):
    inputs = tf.keras.Input(shape[1:], dtype=dtype)
    layer = ASH(implementation)
    y = layer(inputs)
    layer.set_weights([np.array([0.7]), np.array([1.3])])
    expected = ops.apply_ash(inputs, tf.constant([0.7], layer.z_k.dtype),
                             tf.constant([1.3], layer.z_k.dtype), implementation=implementation)
    assert y.dtype == inputs.dtype and y.shape.as_list() == [None] + list(shape[1:])
    session, feeds = tf.keras.backend.get_session(), {inputs: values(shape, dtype)}
    ours, theirs = session.run([y, expected], feeds)
    np.testing.assert_array_equal(ours, theirs)
    gradients = [session.run(tf.gradients(value, inputs)[0], feeds) for value in (y, expected)]
    np.testing.assert_array_equal(*gradients)


@pytest.mark.parametrize('dtype, stored', [('float16', 'float32'), ('float32', 'float32'),
                                           ('float64', 'float64')])
def test_the_weights_are_those_of_ops(dtype, stored):
    layer = ASH(name='act')
    layer(tf.keras.Input((3,), dtype=dtype))
    with tf.variable_scope('ops'):
        ops.ASH(tf.zeros([2, 3], dtype))
    session = tf.keras.backend.get_session()
    session.run(tf.global_variables_initializer())
    assert [w.name for w in layer.trainable_weights] == ['act/z_k:0', 'act/alpha:0']
    for ours, theirs in zip(layer.weights, tf.trainable_variables('ops/')):
        assert ours.shape.as_list() == [1]
        assert ours.dtype.base_dtype.name == theirs.dtype.base_dtype.name == stored
        assert session.run(ours) == session.run(theirs)


@pytest.mark.parametrize('dtype', ['float16', 'float32', 'float64'])
def test_swish_is_that_of_ops(dtype):
    inputs = tf.keras.Input((5, 3), dtype=dtype)
    layer = Swish()
    y = layer(inputs)
    ours, theirs = tf.keras.backend.get_session().run(
        [y, ops.swish(inputs)], {inputs: values((2, 5, 3), dtype)})
    assert y.dtype == inputs.dtype and not layer.weights
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize('layer', [ASH('plain', name='a', trainable=False), ASH(dtype='float64'),
                                   Swish(name='s')], ids=lambda layer: layer.name)
def test_a_layer_is_made_again_from_its_config(layer):
    config = layer.get_config()
    again = type(layer).from_config(config)
    assert again.get_config() == config
    assert again.trainable == layer.trainable
    assert tf.keras.layers.deserialize(
        {'class_name': type(layer).__name__, 'config': config}).get_config() == config
    if isinstance(layer, ASH):
        assert again.implementation == layer.implementation


@pytest.mark.parametrize('layer', [ASH, Swish])
def test_shapes_and_masks_pass_through(layer):
    layer = layer()
    assert layer.compute_output_shape((None, 7, 3)).as_list() == [None, 7, 3]
    inputs = tf.keras.Input((4, 3))
    masked = layer(LAYERS.Masking()(inputs))
    pooled = LAYERS.GlobalAveragePooling1D()(masked)  # of what is not masked only
    x = values((2, 4, 3), 'float32')
    x[:, 2:] = 0
    y, mean = tf.keras.Model(inputs, [masked, pooled]).predict(x)
    np.testing.assert_allclose(mean, y[:, :2].mean(axis=1), rtol=1e-6)
    assert abs(mean - y.mean(axis=1)).max() > 0.1


def test_a_layer_called_twice_shares_its_parameters():
    layer = ASH()
    inputs = tf.keras.Input((3,))
    model = tf.keras.Model(inputs, layer(layer(inputs)))
    assert len(model.weights) == 2


def test_it_trains():
    """A loss that falls by at least a tenth in 20 steps, by z_k and alpha too."""
    rng = np.random.RandomState(0)
    model = tf.keras.Sequential([LAYERS.Dense(8, input_shape=(6,)), ASH(), LAYERS.Dense(2)])
    model.compile('sgd', 'mse')
    before = model.layers[1].get_weights()
    x, y = rng.randn(16, 6), rng.randn(16, 2)
    losses = [model.train_on_batch(x, y) for _ in range(20)]
    assert losses[-1] < 0.9 * losses[0]
    assert all(new != old for new, old in zip(model.layers[1].get_weights(), before))


@pytest.mark.parametrize('layer, make, message', [
    (ASH, lambda: tf.keras.Input((3,), dtype='int32'), 'float16, float32 or float64, got int32'),
    (Swish, lambda: tf.keras.Input((3,), dtype='int32'), 'float16, float32 or float64, got int32'),
    (ASH, lambda: tf.keras.Input(()), r'known rank of 2 or more, batch first; got shape \(\?,\)'),
    (ASH, lambda: tf.placeholder(tf.float32), 'known rank of 2 or more'),
    (ASH, lambda: [tf.keras.Input((3,)), tf.keras.Input((3,))], 'takes one tensor, got 2'),
    (Swish, lambda: [tf.keras.Input((3,)), tf.keras.Input((3,))], 'takes one tensor, got 2'),
])
def test_bad_inputs_raise(layer, make, message):
    with pytest.raises(ValueError, match="layer 'it' .*" + message):
        layer(name='it')(make())


def test_an_unknown_implementation_raises():
    with pytest.raises(ValueError, match="unknown implementation 'fast'; known are auto, native"):
        ASH(implementation='fast')
