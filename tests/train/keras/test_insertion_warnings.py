"""insert_layer_nonseq warns where it takes away the probabilities that a model gives."""
import warnings

import pytest
import tensorflow.compat.v1 as tf

from ash_tf1.keras import ASH, insert_layer_nonseq

LAYERS = tf.keras.layers
pytestmark = pytest.mark.usefixtures('new_session')


def warned(model, layer_regex, factory=ASH, **arguments):
    """The texts of the warnings of a call, each of which names the line of the call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        insert_layer_nonseq(model, layer_regex, factory, **arguments)
    ours = [each for each in caught if each.category is UserWarning]
    assert all(each.filename == __file__ for each in ours)
    return [str(each.message) for each in ours]


def classifier(end, activations=(), classes=3):
    """Dense layers with these activation layers, and at last those of `end`."""
    x = inputs = tf.keras.Input((4,), name='x')
    for layer in activations:
        x = layer(LAYERS.Dense(4)(x))
    for layer in [LAYERS.Dense(classes, name='logits')] + end:
        x = layer(x)
    return tf.keras.Model(inputs, x)


def relu(name):
    return LAYERS.ReLU(name=name)


@pytest.mark.parametrize('end', [
    lambda: LAYERS.Activation('softmax', name='end_act'),
    lambda: LAYERS.Activation(tf.nn.softmax, name='end_act'),
    lambda: LAYERS.Activation('sigmoid', name='end_act'),
    lambda: LAYERS.Softmax(name='end_act'),
    lambda: LAYERS.Dense(3, activation='softmax', name='end_act'),
], ids=['softmax', 'tf.nn', 'sigmoid', 'layer', 'dense'])
def test_a_replaced_softmax_or_sigmoid_of_an_output_is_named(end):
    texts = warned(classifier([end()], [relu('one_act')]), '.*act')
    assert len(texts) == 1
    assert "'end_act'" in texts[0]
    assert 'one_act' not in texts[0]
    assert 'no longer give probabilities' in texts[0]


def test_activation_layers_that_were_left_are_counted_and_the_first_named():
    left = [LAYERS.Activation('tanh', name='tanh'), LAYERS.LeakyReLU(name='leaky'),
            LAYERS.PReLU(name='parametric'), LAYERS.ELU(name='exponential'),
            LAYERS.ThresholdedReLU(name='thresholded'), LAYERS.Softmax(name='attention'),
            LAYERS.Activation('linear', name='linear'), relu('one_act')]
    text, = warned(classifier([LAYERS.Softmax(name='end_act')], left), '.*act')
    assert "6 activation layers, 'tanh', 'leaky', 'parametric', ..." in text
    text, = warned(classifier([LAYERS.Softmax(name='end_act')], left[:1]), '.*act')
    assert "1 activation layer, 'tanh'" in text and '...' not in text


def test_an_output_that_stays_is_no_layer_that_was_left():
    x = inputs = tf.keras.Input((4,))
    ends = [LAYERS.Softmax(name=name)(LAYERS.Dense(3)(x)) for name in ('one_act', 'other')]
    text, = warned(tf.keras.Model(inputs, ends), '.*act')
    assert "'one_act'" in text and 'other' not in text


def test_it_may_be_one_of_several_outputs_or_in_a_sequential_model():
    x = inputs = tf.keras.Input((4,))
    y = LAYERS.Dense(3)(x)
    shared = LAYERS.Activation('softmax', name='shared_act')
    inside = LAYERS.Dense(3)(shared(y))
    text, = warned(tf.keras.Model(inputs, [inside, shared(inside)]), '.*act')
    assert "'shared_act'" in text
    model = tf.keras.Sequential([LAYERS.Dense(3, input_shape=(4,)),
                                 LAYERS.Activation('softmax', name='end_act')])
    text, = warned(model, '.*act')
    assert "'end_act'" in text


def gate(activation):
    """A model with a gate within it, and a linear output."""
    x = inputs = tf.keras.Input((4,))
    y = LAYERS.Multiply()([x, LAYERS.Activation(activation, name='gate_act')(LAYERS.Dense(4)(x))])
    return tf.keras.Model(inputs, LAYERS.Dense(3)(relu('relu')(y)))


@pytest.mark.parametrize('model, arguments', [
    (lambda: gate('sigmoid'), {}),
    (lambda: classifier([LAYERS.Softmax(name='end_act')]), dict(position='before')),
    (lambda: classifier([LAYERS.Softmax(name='end_act')]), dict(position='after')),
    (lambda: classifier([LAYERS.Softmax(name='end_act')]), dict(factory=LAYERS.Softmax)),
    (lambda: classifier([relu('end_act')], [relu('other')]), {}),
    (lambda: classifier([LAYERS.Activation('linear', name='end_act')], [relu('other')]), {}),
    (lambda: classifier([LAYERS.Softmax()], [relu('one_act'), relu('other')]), {}),
], ids=['a gate', 'before', 'after', 'by another softmax', 'relu', 'linear', 'not matched'])
def test_nothing_else_is_warned_of(model, arguments):
    assert warned(model(), '.*act', **arguments) == []


@pytest.mark.slow
def test_mobilenet_has_other_names():
    model = tf.keras.applications.mobilenet.MobileNet(weights=None, input_shape=(32, 32, 3),
                                                      alpha=0.25)
    text, = warned(model, '.*act')
    assert "'act_softmax'" in text
    assert "27 activation layers, 'conv1_relu', 'conv_dw_1_relu', 'conv_pw_1_relu', ..." in text
    assert warned(model, '.*relu') == []


@pytest.mark.slow
def test_xception_has_these_names():
    model = tf.keras.applications.xception.Xception(weights=None, input_shape=(71, 71, 3),
                                                    classes=3)
    assert warned(model, '.*act') == []
