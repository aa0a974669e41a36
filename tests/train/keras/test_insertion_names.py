"""What insert_layer_nonseq matches, and how the new layers are called."""
import re

import pytest
import tensorflow.compat.v1 as tf

from ash_tf1.keras import ASH, insert_layer_nonseq

LAYERS = tf.keras.layers
pytestmark = pytest.mark.usefixtures('new_session')


def act(name):
    return LAYERS.Activation('relu', name=name)


def net():
    x = inputs = tf.keras.Input((4,), name='image')
    for name in ('one', 'two'):
        x = act(name + '_act')(LAYERS.BatchNormalization(name=name + '_bn')(
            LAYERS.Dense(4, name=name)(x)))
    return tf.keras.Model(inputs, x)


@pytest.mark.parametrize('regex, name, position, expected', [
    ('.*act', None, 'replace', {'one_act_ash', 'two_act_ash'}),
    ('.*act', None, 'after', {'one_act_ash', 'two_act_ash'}),
    ('one_act', 'new', 'replace', {'new'}),
    ('one_act', 'one_act', 'replace', {'one_act'}),  # which is free then
    ('one_act', 'one_act', 'after', {'one_act_1'}),
    ('one_act', 'image', 'replace', {'image_1'}),
    ('.*act', 'new', 'replace', {'new_1', 'new_2'}),
    ('one', None, 'after', {'one_ash', 'one_bn_ash', 'one_act_ash'}),  # as re.match, from the start
    ('one$', None, 'after', {'one_ash'}),
    (re.compile('ONE_ACT', re.I), None, 'replace', {'one_act_ash'}),
])
def test_names(regex, name, position, expected):
    result = insert_layer_nonseq(net(), regex, ASH, name, position)
    assert {layer.name for layer in result.layers if isinstance(layer, ASH)} == expected
    names = [layer.name for layer in result.layers]
    assert len(set(names)) == len(names)


def test_names_that_are_taken_get_a_number():
    inputs = tf.keras.Input((3,))
    x = act('a')(inputs)
    for name in ('a_ash', 'new_1', 'new_3'):
        x = LAYERS.Dense(3, name=name)(x)
    model = tf.keras.Model(inputs, act('a_2')(x))
    assert insert_layer_nonseq(model, 'a$', ASH).get_layer('a_ash_1')
    result = insert_layer_nonseq(model, 'a(_2)?$', ASH, 'new')
    assert [layer.name for layer in result.layers if isinstance(layer, ASH)] == ['new_2', 'new_4']


@pytest.mark.parametrize('factory, name', [
    (LAYERS.LeakyReLU, 'one_act_leaky_re_lu'), (LAYERS.BatchNormalization,
                                               'one_act_batch_normalization')])
def test_names_of_classes_are_those_of_keras(factory, name):
    assert insert_layer_nonseq(net(), 'one_act', factory).get_layer(name)
