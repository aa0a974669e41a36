"""insert_layer_nonseq copies Lambda layers with their very functions, and changes no module."""
import sys
import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1.keras import ASH, insert_layer_nonseq
from tests.train.keras.weights import randomize

LAYERS = tf.keras.layers
pytestmark = pytest.mark.usefixtures('new_session')
SCRIPT = """
import tensorflow as tf
K = tf.keras
factor = 3.0
def scale(x):
    return factor * K.backend.square(x)
def build():
    inputs = K.Input((4,), name='x')
    x = K.layers.Activation('relu', name='act')(K.layers.Dense(4, name='dense')(inputs))
    return K.Model(inputs, K.layers.Lambda({}, name='scale')(x))
"""


@pytest.fixture(autouse=True)
def unchanged():
    """Checks that Keras's module of the Lambda layer has the names it had; gives it these again."""
    names = vars(sys.modules[LAYERS.Lambda.__module__])
    before = dict(names)
    yield
    changed = {name for name in set(before) | set(names) if
               before.get(name, 'none') is not names.get(name, 'none')}
    names.clear()
    names.update(before)
    assert not changed


def named(x):
    return x * 2.0


def closure():
    library, by = tf, np.float32(0.5)  # a module can be neither pickled nor copied
    return lambda x: library.square(x) - by


def of_shape(shape):
    return shape


def first_only(inputs, mask=None):
    return tf.equal(tf.range(tf.shape(inputs)[1]) + tf.zeros(tf.shape(inputs)[:2], tf.int32), 0)


def scaled(x, by):
    return x * by


class Doubling(LAYERS.Lambda):
    """A layer of one's own, registered nowhere."""


def net(*layers):
    x = inputs = tf.keras.Input((3, 4), name='x')
    x = LAYERS.Activation('relu', name='act')(LAYERS.Dense(4, name='dense')(x))
    for layer in layers:
        x = layer(x)
    return tf.keras.Model(inputs, x)


def inner(function):
    x = inputs = tf.keras.Input((4,), name='inner_x')
    return tf.keras.Model(inputs, LAYERS.Lambda(function, name='f')(LAYERS.Dense(4)(x)))


LAMBDAS = {
    'function': lambda: [LAYERS.Lambda(named)],
    'lambda': lambda: [LAYERS.Lambda(lambda x: x - 1.0)],
    'closure': lambda: [LAYERS.Lambda(closure(), name='one'), LAYERS.Lambda(closure(), name='two')],
    'builtin': lambda: [LAYERS.Lambda(abs)],
    'output_shape': lambda: [LAYERS.Lambda(named, output_shape=of_shape),
                             LAYERS.Lambda(named, output_shape=(3, 4))],
    'mask': lambda: [LAYERS.Lambda(named, mask=first_only), LAYERS.SimpleRNN(3)],
    'arguments': lambda: [LAYERS.Lambda(scaled, arguments={'by': np.arange(4, dtype=np.float32)})],
    'subclass': lambda: [Doubling(closure())],
    'wrapped': lambda: [LAYERS.TimeDistributed(LAYERS.Lambda(closure()))],
    'wrapped subclass': lambda: [LAYERS.TimeDistributed(Doubling(closure()))],
    'wrapped model': lambda: [LAYERS.TimeDistributed(inner(closure()))],
    'wrapped sequential': lambda: [LAYERS.TimeDistributed(
        tf.keras.Sequential([LAYERS.Lambda(closure()), LAYERS.Dense(2)]))],
    'nested': lambda: [inner(named), inner(closure())],
}


def functions(layer):
    """The functions, output shapes and masks of the Lambda layers in a layer, in order."""
    if isinstance(layer, LAYERS.Lambda):
        # Keras does not give the output shape back otherwise.
        return [layer.function, layer.mask, vars(layer)['_output_shape']]
    inside = layer.layers if isinstance(layer, tf.keras.Model) else [
        part for part in [getattr(layer, 'layer', None)] if part is not None]
    return [function for part in inside for function in functions(part)]


@pytest.mark.parametrize('name', sorted(LAMBDAS))
def test_a_copy_has_the_very_functions_and_computes_the_same(name):
    model = randomize(net(*LAMBDAS[name]()))
    values = np.random.RandomState(0).randn(2, 3, 4).astype(np.float32)
    before, expected = functions(model), model.predict(values)
    result = insert_layer_nonseq(model, 'act', lambda: LAYERS.ReLU())  # the same function
    assert len(before) >= 3
    for ours, theirs in zip(functions(result), before):
        assert ours is theirs or ours == theirs
    assert len(functions(result)) == len(before)
    np.testing.assert_array_equal(result.predict(values), expected)
    np.testing.assert_array_equal(model.predict(values), expected)


@pytest.mark.parametrize('function', ['scale', 'lambda x: factor * K.backend.square(x)'])
def test_a_script_with_a_name_of_keras_own_breaks_nothing(monkeypatch, function):
    script = types.ModuleType('script')
    exec(SCRIPT.format(function), vars(script))
    monkeypatch.setitem(sys.modules, 'script', script)
    model = script.build()
    values = np.ones((2, 4), np.float32)
    expected = model.predict(values)
    result = insert_layer_nonseq(model, 'act', lambda: LAYERS.ReLU())
    np.testing.assert_array_equal(result.predict(values), expected)
    LAYERS.Dense(3)(tf.keras.Input((4,)))  # needs the name K in Keras's module


def test_the_copy_has_arguments_of_its_own():
    model = net(LAYERS.Lambda(scaled, arguments={'by': 2.0}, name='scaled'))
    result = insert_layer_nonseq(model, 'act', ASH)
    result.get_layer('scaled').arguments['by'] = 3.0
    assert model.get_layer('scaled').arguments['by'] == 2.0


def test_reading_a_model_leaves_its_configs_as_they_were():
    model = net(LAYERS.Lambda(named, name='double'))
    before = model.get_layer('double').get_config()
    insert_layer_nonseq(model, 'act', ASH)
    assert model.get_layer('double').get_config() == before
    assert 'get_config' not in vars(model.get_layer('double'))
