"""Saving, insertion and export once more, under eager execution: the tests of the other files."""
import pytest

from tests.train.keras.eager import run_eagerly

SWITCHES = ['enable_eager_execution', 'enable_v2_behavior']


@pytest.mark.slow
@pytest.mark.parametrize('switch', SWITCHES)
def test_saving(tmp_path, switch):
    run_eagerly('test_saving', switch, """
for way in ('h5', 'tf', 'export_saved_model'):
    module.check({!r} + way, way)
""".format(str(tmp_path / 'model')))


@pytest.mark.slow
def test_insertion():
    run_eagerly('test_insertion', 'enable_v2_behavior', """
for net in module.NETS:
    module.test_it_is_the_model_built_by_hand(net, 'replace')
""")


def test_a_function_after_batch_norm():
    """Traced, as tf.function does, the gradient is built in a graph of its own."""
    run_eagerly('test_layers', 'enable_v2_behavior', """
import numpy as np
from ash_tf1 import ops
x = tf.constant(np.random.RandomState(0).randn(4, 5, 5, 3).astype('float32'))
def loss(x, form):
    value = tf.nn.fused_batch_norm(x, tf.ones([3]), tf.zeros([3]))[0]
    y = ops.apply_ash(value, tf.constant([0.3]), tf.constant([0.9]), implementation=form)
    return tf.reduce_sum(tf.square(y) * y)
gradients = []
for form in ('auto', 'recompute', 'plain'):
    for function in (loss, tf.function(loss)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x, form)
        gradients.append(tape.gradient(value, x).numpy())
for gradient in gradients:
    np.testing.assert_allclose(gradient, gradients[-1], rtol=1e-3, atol=1e-3)
""")


def test_export(tmp_path):
    run_eagerly('test_keras_export', 'enable_v2_behavior', """
module.check_recurrent({0!r} + '1')
module.check_two_inputs({0!r} + '2')
""".format(str(tmp_path / 'model')))


@pytest.mark.parametrize('switch', SWITCHES)
def test_layers(switch):
    """Values at once, without a model; the dtype stays, and errors are those of graph mode."""
    run_eagerly('test_layers', switch, """
import numpy as np
from ash_tf1 import ops
from ash_tf1.keras import ASH, Swish
for dtype in ('float16', 'float32', 'float64'):
    x = tf.constant(module.values((3, 5), dtype))
    assert Swish()(x).dtype == x.dtype
    np.testing.assert_array_equal(Swish()(x).numpy(), ops.swish(x).numpy())
    layer = ASH()
    y = layer(x)
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y.numpy(), ops.apply_ash(x, layer.z_k, layer.alpha).numpy())
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(tf.square(layer(x)))
    assert all(np.all(g.numpy()) for g in tape.gradient(loss, [x] + layer.trainable_weights))
for bad in (tf.constant([[1, 2]]), tf.constant([1.0, 2.0])):
    try:
        ASH()(bad)
    except ValueError as error:
        assert 'float64, got int32' in str(error) or 'rank of 2 or more' in str(error), error
    else:
        raise AssertionError(bad)
""")
