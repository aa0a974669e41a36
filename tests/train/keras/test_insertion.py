"""insert_layer_nonseq: what comes out is the model that one would have built by hand.

Each net is a function of `place`, which calls a layer on tensors: as it is for the model to be
changed, or with the new layers put there at once for the one to compare with. Both have the same
weights, so that their answers may differ by rounding only: 1e-6, of values of about 1.
"""
import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1.keras import ASH, Swish, insert_layer_nonseq
from tests.train.keras.weights import randomize

LAYERS = tf.keras.layers
POSITIONS = ['replace', 'after', 'before']
pytestmark = pytest.mark.usefixtures('new_session')


def act(name):
    return LAYERS.Activation('relu', name=name)


def chain(place):
    x = inputs = tf.keras.Input((4, 4, 2), name='image')
    for name in ('one', 'two'):
        x = place(LAYERS.Conv2D(3, 2, name=name), x)
        x = place(LAYERS.BatchNormalization(name=name + '_bn'), x)
        x = place(act(name + '_act'), x)
    return tf.keras.Model(inputs, place(LAYERS.Flatten(name='flat'), x), name='chain')


def branches(place):
    inputs = tf.keras.Input((5,), name='x')
    trunk = place(act('trunk_act'), place(LAYERS.Dense(6, name='trunk'), inputs))
    left = place(act('left_act'), place(LAYERS.Dense(6, name='left'), trunk))
    right = place(LAYERS.Dense(6, name='right'), trunk)
    x = place(LAYERS.Add(name='sum'), [trunk, left, right])
    x = place(LAYERS.Concatenate(name='all'), [x, trunk, place(act('end_act'), right)])
    return tf.keras.Model(inputs, place(LAYERS.Dense(2, name='out'), x))


def shared(place):
    """Its shared layer is first called where the net is deep, and then again at its input."""
    inputs = tf.keras.Input((5,), name='x')
    dense, gate = LAYERS.Dense(5, name='dense'), act('shared_act')
    x = place(LAYERS.Dense(5, name='two'), place(LAYERS.Dense(5, name='one'), inputs))
    deep = place(gate, place(dense, x))
    flat = place(gate, place(dense, inputs))
    last = place(gate, place(dense, deep))
    x = place(LAYERS.Concatenate(name='join'), [deep, flat, last])
    return tf.keras.Model(inputs, [place(LAYERS.Dense(2, name='out'), x), flat])


def several_inputs_and_outputs(place):
    a, b = tf.keras.Input((3,), name='a'), tf.keras.Input((4,), name='b')
    x = place(act('a_act'), place(LAYERS.Dense(4, name='dense_a'), a))
    y = place(LAYERS.Add(name='add'), [x, b])
    z = place(act('z_act'), place(LAYERS.Dense(2, name='dense_z'), y))
    return tf.keras.Model([b, a], [z, x, y, z])  # neither in the order of their making


def nested_models(place):
    inner_inputs = tf.keras.Input((4,), name='inner_x')
    x = act('inner_act')(LAYERS.Dense(4, name='inner')(inner_inputs))
    inner = tf.keras.Model(inner_inputs, [x, LAYERS.Dense(4, name='two')(x)], name='block_act')
    chain = tf.keras.Sequential([LAYERS.Dense(4, input_shape=(4,)), act('c')], name='chain')
    late = tf.keras.Sequential([LAYERS.Dense(4), act('d')], name='late')  # shaped by its call
    inputs = tf.keras.Input((4,), name='x')
    first, second = inner(inputs)
    third, fourth = inner(place(act('between_act'), second))
    x = LAYERS.Concatenate(name='join')([chain(first), late(third), chain(fourth)])
    return tf.keras.Model(inputs, place(act('last_act'), x))


def several_outputs_of_a_layer(place):
    inputs = tf.keras.Input((6, 3), name='x')
    sequence, hidden, cell = LAYERS.LSTM(4, return_sequences=True, return_state=True,
                                         name='lstm')(inputs)
    cell = place(act('cell_act'), cell)
    again = LAYERS.LSTM(4, name='again')(sequence, initial_state=[hidden, cell])
    return tf.keras.Model(inputs, [place(act('end_act'), again), cell, hidden])


def ops_and_arguments(place):
    """Tensors' own arithmetic, and tensors and numbers as keyword arguments of a call."""
    inputs = tf.keras.Input((4, 3), name='x')
    x = place(act('first_act'), inputs * 2.0 + tf.constant([1.0, 2.0, 3.0]))
    x = Scaled(name='scaled')(x, offset=place(act('offset_act'), LAYERS.Dense(3)(inputs)), by=3)
    return tf.keras.Model(inputs, tf.reduce_max(x, axis=1) - x[:, 0])


class Scaled(LAYERS.Layer):
    """A layer whose call has arguments; it is registered nowhere."""

    def call(self, inputs, offset=None, by=1):
        return by * inputs + offset


def double(x):
    return 2 * x


def wrappers_and_functions(place):
    """Functions that Keras knows no name of, and layers within layers."""
    inputs = tf.keras.Input((4, 3), name='x')
    x = LAYERS.Dense(5, activation=double, name='double')(inputs)
    x = LAYERS.TimeDistributed(tf.keras.Sequential([LAYERS.Dense(4, activation=double)]))(x)
    x = place(act('act'), x)
    x = LAYERS.Bidirectional(LAYERS.SimpleRNN(3, return_sequences=True), name='both')(x)
    x = LAYERS.Lambda(lambda x: x - np.float32(0.5), name='less')(x)
    return tf.keras.Model(inputs, place(act('end_act'), x))


def masked(place):
    inputs = tf.keras.Input((4, 3), name='x')
    x = place(act('m_act'), LAYERS.Masking(0.0)(inputs))
    return tf.keras.Model(inputs, LAYERS.SimpleRNN(3)(x))


NETS = [chain, branches, shared, several_inputs_and_outputs, nested_models,
        several_outputs_of_a_layer, ops_and_arguments, wrappers_and_functions]


def as_it_is(layer, x):
    return layer(x)


def by_hand(regex, position):
    """The `place` that puts an ASH where insert_layer_nonseq is asked to."""
    new = {}

    def place(layer, x):
        if not re.match(regex, layer.name):
            return layer(x)
        ash = new.setdefault(layer.name, ASH(name=layer.name + '_ash'))
        if position == 'replace':
            return ash(x)
        return ash(layer(x)) if position == 'after' else layer(ash(x))
    return place


def examples(model, seed=1):
    rng = np.random.RandomState(seed)
    return [rng.randn(3, *tensor.shape.as_list()[1:]).astype(np.float32)
            for tensor in model.inputs]


def answers(model):
    result = model.predict(examples(model))
    return result if isinstance(result, list) else [result]


def state(model):
    """All of a model that insertion might have changed."""
    layers = [(layer, layer.name, len(layer.inbound_nodes), len(layer.outbound_nodes),
               layer.trainable, len(layer.losses)) for layer in model.layers]
    return (layers, model.name, model.input_names, model.output_names, list(model.inputs),
            list(model.outputs), [value.tobytes() for value in model.get_weights()])


def same(actual, expected):
    assert len(actual) == len(expected)
    for one, other in zip(actual, expected):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


def set_ash(model, names):
    for number, name in enumerate(sorted(names)):
        model.get_layer(name).set_weights([np.array([0.1 + 0.2 * number]), np.array([1.5])])


@pytest.mark.sweep(chosen=lambda net, position: position == 'replace' or net is shared)
@pytest.mark.parametrize('position', POSITIONS)
@pytest.mark.parametrize('net', NETS + [masked], ids=lambda net: net.__name__)
def test_it_is_the_model_built_by_hand(net, position):
    regex = '(?!block).*act'
    model = randomize(net(as_it_is))
    hand = net(by_hand(regex, position))
    before, answers_before = state(model), answers(model)
    result = insert_layer_nonseq(model, regex, ASH, position=position)

    names = [layer.name for layer in result.layers if isinstance(layer, ASH)]
    matched = [layer.name for layer in model.layers if re.match(regex, layer.name)]
    assert sorted(names) == sorted(name + '_ash' for name in matched) != []
    remaining = [layer.name for layer in model.layers
                 if position != 'replace' or layer.name not in matched]
    assert {layer.name for layer in result.layers} == set(remaining + names)
    if net is not wrappers_and_functions and net is not ops_and_arguments and net is not masked:
        for name in remaining:  # made with the same names by hand
            hand.get_layer(name).set_weights(model.get_layer(name).get_weights())
    else:
        hand_layers = [layer for layer in hand.layers if not isinstance(layer, ASH)]
        result_layers = [layer for layer in result.layers if not isinstance(layer, ASH)]
        for ours, theirs in zip(hand_layers, result_layers):
            ours.set_weights(theirs.get_weights())
    for each in (hand, result):
        set_ash(each, names)
    same(answers(result), answers(hand))
    assert result.input_names == model.input_names

    # The model given is as it was, and shares nothing.
    after = state(model)
    assert after == before
    np.testing.assert_equal(answers(model), answers_before)
    assert not {id(w) for w in model.weights} & {id(w) for w in result.weights}
    assert not set(model.submodules) & set(result.submodules)
    for name in remaining:
        for old, new in zip(model.get_layer(name).get_weights(),
                            result.get_layer(name).get_weights()):
            assert old.tobytes() == new.tobytes() and old.dtype == new.dtype
    assert max(np.abs(a - b).max() for a, b in zip(answers(result), answers_before)) > 1e-3


def test_the_very_layers_of_the_factory_are_used():
    made = []

    def factory():
        made.append(Swish() if made else ASH('plain'))
        return made[-1]
    result = insert_layer_nonseq(chain(as_it_is), '.*act', factory)
    assert [result.get_layer('one_act_ash'), result.get_layer('two_act_swish')] == made
    assert made[0].implementation == 'plain'


def test_layers_that_have_weights_already_keep_them():
    layer = LAYERS.Dense(3)
    layer.build((None, 3))
    layer.set_weights([np.eye(3) * 2, np.ones(3)])
    inputs = tf.keras.Input((3,))
    result = insert_layer_nonseq(tf.keras.Model(inputs, act('act')(inputs)), 'act', lambda: layer)
    np.testing.assert_array_equal(result.predict(np.ones((1, 3))), np.full((1, 3), 3))


def test_a_model_is_a_layer_too():
    def factory():
        inputs = tf.keras.Input((5,))
        return randomize(tf.keras.Model(inputs, LAYERS.Dense(5)(inputs)), seed=3)
    model = randomize(shared(as_it_is))
    result = insert_layer_nonseq(model, 'shared_act', factory, 'head')
    kernel, bias = result.get_layer('head').get_weights()
    dense_kernel, dense_bias = model.get_layer('dense').get_weights()
    x = examples(model)[0]
    same([result.predict(x)[1]], [(x @ dense_kernel + dense_bias) @ kernel + bias])


@pytest.mark.parametrize('position', POSITIONS)
def test_a_sequential_model(position):
    model = randomize(tf.keras.Sequential([
        LAYERS.Conv2D(3, 2, input_shape=(4, 4, 2), name='one'),
        LAYERS.BatchNormalization(name='one_bn'), act('one_act'),
        LAYERS.Conv2D(3, 2, name='two'), LAYERS.BatchNormalization(name='two_bn'), act('two_act'),
        LAYERS.Flatten(name='flat')], name='net'))
    before = state(model)
    result = insert_layer_nonseq(model, '.*act', ASH, position=position)
    hand = chain(by_hand('.*act', position))
    for name in ('one', 'one_bn', 'two', 'two_bn'):
        hand.get_layer(name).set_weights(model.get_layer(name).get_weights())
    same(answers(result), answers(hand))
    assert state(model) == before
    assert result.name == 'net' and result.input_names == model.input_names


@pytest.mark.parametrize('net', [nested_models, wrappers_and_functions],
                         ids=lambda net: net.__name__)
def test_inner_models_are_copied_but_not_looked_into(net):
    model = randomize(net(as_it_is))
    result = insert_layer_nonseq(model, '.*last_act|end_act', ASH)
    assert [type(layer) for layer in result.layers if isinstance(layer, tf.keras.Model)] == [
        type(layer) for layer in model.layers if isinstance(layer, tf.keras.Model)]
    if net is nested_models:
        assert [layer.name for layer in result.get_layer('block_act').layers] == [
            layer.name for layer in model.get_layer('block_act').layers]


def test_a_nested_model_can_be_preceded_as_a_whole():
    model = randomize(nested_models(as_it_is))
    result = insert_layer_nonseq(model, 'block_act', Swish, position='before')
    first, second = model.get_layer('block_act'), result.get_layer('block_act')
    x = examples(model)[0]
    same(second.predict(x), first.predict(x))
    assert result.get_layer('block_act_swish').get_output_at(1) is not None  # called twice too


def test_lists_go_to_and_come_from_a_layer_as_they_are():
    """Replacing what takes several tensors, and coming after what gives several."""
    model = randomize(branches(as_it_is))
    result = insert_layer_nonseq(model, 'sum', LAYERS.Maximum)
    terms, joined = (tf.keras.Model(each.inputs, tensors).predict(examples(model)) for each, tensors
                     in ((model, model.get_layer('sum').input),
                         (result, result.get_layer('sum_maximum').output)))
    same([joined], [np.max(terms, axis=0)])

    model = randomize(nested_models(as_it_is))
    swapped = insert_layer_nonseq(
        model, 'block_act', lambda: LAYERS.Lambda(lambda pair: [pair[1], pair[0]]),
        position='after')
    assert swapped.predict(examples(model)).shape == model.predict(examples(model)).shape
    assert abs(swapped.predict(examples(model)) - model.predict(examples(model))).max() > 1e-3


def test_regularizers_flags_and_losses_stay():
    inputs = tf.keras.Input((4,), name='x')
    first = LAYERS.Dense(4, kernel_regularizer=tf.keras.regularizers.l2(0.3), name='first')
    frozen = LAYERS.Dense(4, name='frozen', trainable=False)
    inner = tf.keras.Sequential([LAYERS.Dense(4, input_shape=(4,)), LAYERS.Dense(4)], name='inner')
    inner.trainable = False
    inner.layers[1].trainable = True  # without effect, while the model is frozen
    x = inner(frozen(act('act')(first(inputs))))
    model = randomize(tf.keras.Model(inputs, x))
    model.add_loss(tf.reduce_mean(tf.abs(x)))
    result = insert_layer_nonseq(model, 'act', lambda: LAYERS.ReLU())  # the same function
    for name in ('first', 'frozen', 'inner'):
        assert result.get_layer(name).trainable == model.get_layer(name).trainable
    assert [layer.trainable for layer in result.get_layer('inner').layers] == [False, True]
    assert [w.shape.as_list() for w in result.trainable_weights] == [[4, 4], [4]]
    assert result.get_layer('first').kernel_regularizer.l2 == pytest.approx(0.3)
    session, (x,) = tf.keras.backend.get_session(), examples(model)
    losses = [session.run(sum(each.losses), {each.inputs[0]: x}) for each in (model, result)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6) and losses[0] > 1
    model.trainable = False
    assert insert_layer_nonseq(model, 'act', Swish).trainable_weights == []


def test_metrics_added_by_tensor_stay():
    inputs = tf.keras.Input((4,))
    y = act('act')(LAYERS.Dense(3)(inputs))
    model = randomize(tf.keras.Model(inputs, y))
    model.add_metric(tf.reduce_max(y), name='largest', aggregation='mean')
    result = insert_layer_nonseq(model, 'act', LAYERS.ReLU)
    (x,), largest = examples(model), []
    for each in (model, result):
        each.compile('sgd', 'mse')
        largest.append(dict(zip(each.metrics_names, each.evaluate(
            x, np.zeros((3, 3)), verbose=0)))['largest'])
    assert largest[0] == pytest.approx(largest[1], rel=1e-6) and largest[0] > 0


def test_after_an_input():
    inputs = tf.keras.Input((3,), name='x')
    model = tf.keras.Model(inputs, LAYERS.Lambda(lambda x: -x)(inputs))
    result = insert_layer_nonseq(model, 'x', Swish, position='after')
    x = np.ones((1, 3), np.float32)
    same([result.predict(x)], [-x / (1 + np.exp(-x))])
    assert result.input_names == ['x']


def test_an_activation_set_to_none_is_linear_in_the_copy():
    """Which Keras itself fails on when it writes a config."""
    model = chain(as_it_is)
    model = tf.keras.Model(model.inputs, LAYERS.Dense(3, 'softmax', name='top')(model.output))
    randomize(model).layers[-1].activation = None
    result = insert_layer_nonseq(model, 'two_act', ASH)
    assert model.layers[-1].activation is None
    assert result.layers[-1].activation is tf.keras.activations.linear
    kernel, bias = model.layers[-1].get_weights()
    features = tf.keras.Model(result.inputs, result.get_layer('flat').output)
    same(answers(result), [answers(features)[0] @ kernel + bias])


def test_it_can_be_done_again_and_again():
    model = insert_layer_nonseq(chain(as_it_is), 'one_act', ASH)
    model = insert_layer_nonseq(model, 'two_act', Swish)
    model = insert_layer_nonseq(model, 'one_act_ash', LAYERS.BatchNormalization, position='after')
    assert [layer.name for layer in model.layers][1:] == [
        'one', 'one_bn', 'one_act_ash', 'one_act_ash_batch_normalization', 'two', 'two_bn',
        'two_act_swish', 'flat']
    with pytest.raises(RuntimeError, match='compile'):
        model.fit(np.zeros((1, 4, 4, 2)), np.zeros((1, 12)))


def test_a_model_that_has_been_trained_and_saved(tmp_path):
    model = randomize(chain(as_it_is))
    model.compile('sgd', 'mse')
    model.train_on_batch(examples(model), answers(model))
    model.save(str(tmp_path / 'net.h5'))
    model.save_weights(str(tmp_path / 'weights'))
    before = answers(model)
    result = insert_layer_nonseq(model, '.*act', LAYERS.ReLU)  # the same function
    same(answers(result), before)
    result.save(str(tmp_path / 'net.h5'))
    assert insert_layer_nonseq(result, '.*act', ASH)
