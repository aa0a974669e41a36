"""The published lines, on a whole Xception: the smallest images that it takes, and few classes."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1.keras import ASH, Swish, insert_layer_nonseq
from tests.train.keras.eager import run_eagerly

pytestmark = pytest.mark.slow

CLASSES = 3
ACTIVATIONS = 35


def images(count, seed=0):
    return np.random.RandomState(seed).uniform(-1, 1, (count, 71, 71, 3)).astype(np.float32)


def xception():
    return tf.keras.applications.xception.Xception(
        weights=None, input_shape=(71, 71, 3), classes=CLASSES)


@pytest.fixture(scope='module')
def models():
    """The net as Keras makes it, and with ASH for its activations, untrained. Read only."""
    tf.keras.backend.clear_session()
    tf.set_random_seed(0)
    model = xception()
    model.layers[-1].activation = None
    weights = tf.keras.backend.batch_get_value(model.weights)
    result = insert_layer_nonseq(model, '.*act', ASH)
    return model, weights, result


def test_every_activation_is_replaced_and_nothing_else(models, capsys):
    model, _, result = models
    expected = [layer.name + '_ash' if layer.name.endswith('_act') else layer.name
                for layer in model.layers]
    assert sorted(layer.name for layer in result.layers) == sorted(expected)
    replaced = [layer for layer in result.layers if isinstance(layer, ASH)]
    assert len(replaced) == ACTIVATIONS
    assert len(result.weights) == len(model.weights) + 2 * ACTIVATIONS
    result.summary()
    assert 'block1_conv1_act_ash (ASH)' in capsys.readouterr().out


def test_the_weights_are_the_old_ones_to_the_bit(models):
    model, weights, result = models
    new, now = map(tf.keras.backend.batch_get_value, (result.weights, model.weights))
    copied = {id(weight): value for weight, value in zip(result.weights, new)}
    count = 0
    for layer in model.layers:
        if layer.weights:
            for old, weight in zip(layer.weights, result.get_layer(layer.name).weights):
                position = next(i for i, each in enumerate(model.weights) if each is old)
                assert weights[position].tobytes() == now[position].tobytes()
                assert weights[position].tobytes() == copied[id(weight)].tobytes()
                count += 1
    assert count == len(weights)


def test_one_activation_by_swish(models):
    model, _, _ = models
    result = insert_layer_nonseq(model, 'block13_sepconv2_act', Swish)
    assert [layer.name for layer in result.layers if isinstance(layer, Swish)] == [
        'block13_sepconv2_act_swish']
    assert len(result.layers) == len(model.layers)


def train(model):
    """The loss on one batch has to halve in 4 steps."""
    x, y = images(4), np.eye(CLASSES)[[0, 1, 2, 0]]
    model.compile(tf.keras.optimizers.SGD(0.05), 'categorical_crossentropy')
    losses = [model.train_on_batch(x, y) for _ in range(4)]
    assert losses[-1] < losses[0] / 2


def test_it_trains():
    tf.keras.backend.clear_session()
    tf.set_random_seed(0)
    model = insert_layer_nonseq(xception(), '.*act', ASH)
    parameters = [w for layer in model.layers if isinstance(layer, ASH) for w in layer.weights]
    before = tf.keras.backend.batch_get_value(parameters)
    train(model)
    assert len(parameters) == 2 * ACTIVATIONS
    for weight, old, new in zip(parameters, before, tf.keras.backend.batch_get_value(parameters)):
        assert old != new, weight.name


def check_saving(path):
    """Run in eager mode, where saving does not take a minute: Keras asks for layer by layer."""
    tf.set_random_seed(0)
    model = insert_layer_nonseq(xception(), '.*act', ASH)
    model.save(path)
    loaded = tf.keras.models.load_model(path)
    assert sum(isinstance(layer, ASH) for layer in loaded.layers) == ACTIVATIONS
    for value, other in zip(model.get_weights(), loaded.get_weights()):
        np.testing.assert_array_equal(value, other)
    np.testing.assert_array_equal(loaded.predict(images(2)), model.predict(images(2)))
    train(loaded)


def test_it_is_saved_and_loaded(tmp_path):
    run_eagerly('test_xception', 'enable_eager_execution',
                'module.check_saving({!r})'.format(str(tmp_path / 'net.h5')))
