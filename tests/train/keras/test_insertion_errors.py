"""What insert_layer_nonseq refuses, with one ValueError that says why, and nothing changed."""
import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1.keras import ASH, Swish, insert_layer_nonseq

LAYERS = tf.keras.layers
pytestmark = pytest.mark.usefixtures('new_session')


def small_model():
    inputs = tf.keras.Input((4,), name='x')
    x = LAYERS.Dense(4, name='block1_conv1')(inputs)
    x = LAYERS.Activation('relu', name='block1_conv1_act')(x)
    x = LAYERS.Add(name='add')([x, inputs])
    return tf.keras.Model(inputs, LAYERS.Activation('relu', name='block1_conv2_act')(x))


class Subclassed(tf.keras.Model):
    def call(self, inputs):
        return inputs


ONE = ASH()


@pytest.mark.parametrize('arguments, message', [
    (dict(model='net'), "model must be a tf.keras model, got 'net'"),
    (dict(model=LAYERS.Dense(3)), 'model must be a tf.keras model, got <'),
    (dict(model=Subclassed(name='mine')), r"'mine' \(Subclassed\) is neither functional nor"),
    (dict(model=tf.keras.Sequential([LAYERS.Dense(3)], name='open')),
     "'open' has no input yet: give its first layer an input_shape"),
    (dict(position='instead'), "'before', 'after', 'replace', got 'instead'"),
    (dict(layer_regex='(act'), r"'\(act' is no regular expression: missing \)"),
    (dict(layer_regex=3), '3 is no regular expression'),
    (dict(layer_regex='block1_conv1_acts'),
     r"'block1_conv1_acts' matches the start of none of the 5 layer names; the nearest are "
     r"'block1_conv1_act', "),
    (dict(layer_regex='act'), "none of the 5 layer names.*act'"),
    (dict(insert_layer_factory=lambda: None),
     "gave no tf.keras layer for 'block1_conv1_act': None"),
    (dict(insert_layer_factory=lambda: tf.nn.relu), 'gave no tf.keras layer'),
    (dict(insert_layer_factory=lambda: ASH), 'gave no tf.keras layer .*class'),
    (dict(insert_layer_factory=ASH()), 'must be a function or a class'),
    (dict(insert_layer_factory='ASH'), "must be a function or a class .*got 'ASH'"),
    (dict(insert_layer_factory=lambda: ONE),
     "gave the layer 'ash.*' for 'block1_conv2_act', which is in use already"),
    (dict(insert_layer_name=''), "must be a name or None, got ''"),
    (dict(insert_layer_name=['a', 'b']), 'must be a name or None'),
    (dict(layer_regex='x'), "layer 'x' is an input of the model"),
    (dict(layer_regex='.*', position='before'), "layer 'x' is an input of the model"),
    (dict(layer_regex='add'), "layer 'add_ash' takes one tensor, got 2"),
])
def test_bad_arguments(arguments, message):
    good = dict(model=small_model(), layer_regex='.*act', insert_layer_factory=ASH)
    with pytest.raises(ValueError, match=message):
        insert_layer_nonseq(**dict(good, **arguments))


def test_a_layer_of_another_model_is_not_taken():
    other = small_model()
    for layer in (other.layers[1], LAYERS.Dense(4)):
        layer(tf.keras.Input((4,)))
        with pytest.raises(ValueError, match='in use already'):
            insert_layer_nonseq(small_model(), 'block1_conv1_act', lambda layer=layer: layer)
        assert 'act' not in layer.name


def test_an_output_that_is_gone_is_named():
    inputs = tf.keras.Input((4, 3))
    _, hidden = LAYERS.SimpleRNN(3, return_state=True, name='rnn')(inputs)
    with pytest.raises(ValueError, match="output 1 of layer 'rnn' is in use, but .* gives only 1"):
        insert_layer_nonseq(tf.keras.Model(inputs, hidden), 'rnn', Swish)


class NoConfig(LAYERS.Layer):
    def __init__(self, size):
        super().__init__(name='silent')
        self.size = size


class WrongConfig(LAYERS.Layer):
    def __init__(self, size):
        super().__init__(name='silent')

    def get_config(self):
        return {'breadth': 3}


class OtherWeights(LAYERS.Dense):
    """Whose config does not tell all that its weights depend on."""

    def get_config(self):
        return dict(super().get_config(), units=5)


@pytest.mark.parametrize('layer, message', [
    (NoConfig(3), r"'silent' \(NoConfig\) cannot be copied by its get_config\(\): "),
    (WrongConfig(3), r"'silent' \(WrongConfig\) cannot be copied .*breadth"),
    (OtherWeights(4, name='wide'), r"'wide' \(OtherWeights\) cannot be copied .* other weights"),
    (Subclassed(name='inner'), "'inner' is a model of class Subclassed, neither"),
    (LAYERS.TimeDistributed(tf.keras.Sequential([
        LAYERS.Dense(4, activation=lambda x: x), LAYERS.Dense(4, activation=lambda x: 2 * x)]),
        name='two'), r"'two' .* two things by the name '<lambda>'"),
])
def test_a_layer_that_cannot_be_copied_is_named(layer, message):
    inputs = tf.keras.Input((4, 4))
    model = tf.keras.Model(inputs, LAYERS.Activation('relu', name='act')(layer(inputs)))
    with pytest.raises(ValueError, match=message):
        insert_layer_nonseq(model, 'act', ASH)


def test_a_model_of_another_graph_is_refused():
    model = small_model()
    graph = tf.get_default_graph()
    with tf.Graph().as_default():
        with pytest.raises(ValueError, match='was made in another graph'):
            insert_layer_nonseq(model, '.*act', ASH)
        with graph.as_default():
            assert insert_layer_nonseq(model, '.*act', ASH)


def test_what_failed_leaves_the_model_as_it_was():
    model = small_model()
    model.layers[1].activation = None
    names, weights = [layer.name for layer in model.layers], model.get_weights()
    nodes = [len(layer.inbound_nodes) for layer in model.layers]
    with pytest.raises(ValueError, match=re.escape('takes one tensor')):
        insert_layer_nonseq(model, 'add', ASH)
    assert [layer.name for layer in model.layers] == names
    assert [len(layer.inbound_nodes) for layer in model.layers] == nodes
    assert model.layers[1].activation is None
    for old, new in zip(weights, model.get_weights()):
        np.testing.assert_array_equal(old, new)
