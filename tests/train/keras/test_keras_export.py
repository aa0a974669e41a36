"""Export of tf.keras models: what is written, and that it is what the model answers.

Tolerance between the model and its frozen plain form: 1e-5 of values of about 1. That onnxruntime
answers the same is tested in tests/project.
"""
import json
import os
from collections import Counter

import numpy as np
import onnx
import pytest
import tensorflow.compat.v1 as tf
from onnx import numpy_helper

import ash_tf1
from ash_tf1.converting import proof
from ash_tf1.keras import ASH, Swish
from ash_tf1.keras.export import export_onnx, freeze
from tests.train.keras.weights import randomize
from tests.train.miniature import contents

LAYERS = tf.keras.layers
pytestmark = pytest.mark.usefixtures('new_session')


def read(folder):
    """The tensors of the test data set by file name, as (name, array)."""
    result = {}
    folder = os.path.join(str(folder), 'test_data_set_0')
    for file in sorted(os.listdir(folder)):
        with open(os.path.join(folder, file), 'rb') as handle:
            tensor = onnx.TensorProto.FromString(handle.read())
        result[file] = tensor.name, numpy_helper.to_array(tensor)
    return result


def signature(values):
    return [(value.name, onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type),
             [dim.dim_value or None for dim in value.type.tensor_type.shape.dim])
            for value in values]


def two_inputs():
    a, b = tf.keras.Input((6, 6, 3), name='image'), tf.keras.Input((4,), name='facts')
    x = ASH(name='one')(LAYERS.BatchNormalization()(LAYERS.Conv2D(4, 3)(a)))
    inner_inputs = tf.keras.Input((64,))
    inner = tf.keras.Model(inner_inputs, ASH()(LAYERS.Dense(4)(inner_inputs)), name='inner')
    x = LAYERS.Add()([inner(LAYERS.Flatten()(x)), b])
    y = LAYERS.Dropout(0.5, name='kept')(Swish(name='gate')(x))
    return tf.keras.Model([b, a], [LAYERS.Dense(2, name='size')(y), y], name='pair')


def small():
    return tf.keras.Sequential([LAYERS.Dense(3, input_shape=(4,), name='d'), ASH()], name='small')


def arrays(*shapes, dtype=np.float32, seed=0):
    rng = np.random.RandomState(seed)
    return [rng.randn(*shape).astype(dtype) for shape in shapes]


def as_list(value):
    return value if isinstance(value, list) else [value]


def check_answers(folder, model, inputs):
    """The test data are the inputs, in the model's order, and what the model itself predicts."""
    tensors = read(folder)
    expected = list(zip(model.input_names, inputs)) + list(
        zip(model.output_names, as_list(model.predict(inputs))))
    assert len(tensors) == len(expected)
    for (name, array), (expected_name, value) in zip(tensors.values(), expected):
        assert name == expected_name
        assert array.dtype == value.dtype
        np.testing.assert_allclose(array, value, rtol=1e-5, atol=1e-5)


def check_two_inputs(folder):
    model = randomize(two_inputs())
    inputs = arrays((5, 4), (5, 6, 6, 3))
    export_onnx(model, folder, inputs)
    check_answers(folder, model, inputs)
    proto = onnx.load(os.path.join(folder, 'model.onnx'))
    assert signature(proto.graph.input) == [
        ('facts', 'FLOAT', [None, 4]), ('image', 'FLOAT', [None, 6, 6, 3])]
    assert signature(proto.graph.output) == [
        ('size', 'FLOAT', [None, 2]), ('kept', 'FLOAT', [None, 4])]
    return model, proto


def check_recurrent(folder):
    model = randomize(tf.keras.Sequential([
        LAYERS.SimpleRNN(3, input_shape=(5, 2), return_sequences=True), ASH(), LAYERS.LSTM(2)]))
    model.layers[0].set_weights([0.2 * value for value in model.layers[0].get_weights()])
    inputs = arrays((4, 5, 2))
    export_onnx(model, folder, inputs)
    check_answers(folder, model, inputs)


def test_several_inputs_and_outputs_and_a_nested_model(tmp_path):
    model, proto = check_two_inputs(str(tmp_path / 'a'))
    assert sorted(contents(tmp_path / 'a')) == ['.ash_tf1.json', 'README.md', 'model.onnx'] + [
        'test_data_set_0/' + name for name in
        ('input_0.pb', 'input_1.pb', 'output_0.pb', 'output_1.pb')]
    counts = Counter(node.op_type for node in proto.graph.node)
    # The plain form, without leftovers of training.
    assert counts['Sigmoid'] == 3 and counts['Sqrt'] == 2
    assert not {'Exp', 'If', 'RandomUniform', 'Dropout', 'Where', 'Loop'} & set(counts)
    assert [layer.implementation for layer in model.submodules if isinstance(layer, ASH)] == [
        'auto'] * 2


def test_a_recurrent_model(tmp_path):
    check_recurrent(str(tmp_path / 'a'))


def test_it_says_what_it_wrote_and_what_made_it(tmp_path):
    model = randomize(small())
    exported = export_onnx(model, str(tmp_path / 'a'), arrays((3, 4))[0], keep_graph=True)
    proto = onnx.load(str(tmp_path / 'a' / 'model.onnx'))
    assert exported == (str(tmp_path / 'a'), Counter(node.op_type for node in proto.graph.node),
                        (tmp_path / 'a' / 'model.onnx').stat().st_size, 3)
    values = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(values.pop('versions'))['ash_tf1'] == ash_tf1.__version__
    assert json.loads(values.pop('input_shapes')) == {'d_input': [4]}
    assert json.loads(values.pop('tolerance')) == {'relative': proof.LEAST}
    assert values == {'kind': 'keras_model', 'net': 'small'}
    graph = tf.GraphDef.FromString((tmp_path / 'a' / 'frozen_graph.pb').read_bytes())
    ops = Counter(node.op for node in graph.node)
    assert ops['Placeholder'] == 1 and 'VarHandleOp' not in ops and 'IdentityN' not in ops


@pytest.mark.parametrize('dtype, tolerance', [('float16', 5e-3), ('float64', 1e-12)])
def test_other_precisions_stay(tmp_path, dtype, tolerance):
    inputs = tf.keras.Input((4,), dtype=dtype, name='x')
    model = randomize(tf.keras.Model(inputs, ASH(name='y')(inputs)))
    x = arrays((3, 4), dtype=dtype)[0]
    export_onnx(model, str(tmp_path / 'a'), x)
    proto = onnx.load(str(tmp_path / 'a' / 'model.onnx'))
    name = {'float16': 'FLOAT16', 'float64': 'DOUBLE'}[dtype]
    assert [row[1] for row in signature(proto.graph.input) + signature(proto.graph.output)] == [
        name, name]
    np.testing.assert_allclose(read(tmp_path / 'a')['output_0.pb'][1], model.predict(x),
                               rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize('make', [
    lambda x: x, lambda x: [x], lambda x: x.astype(np.float64), lambda x: x.tolist(),
    lambda x: {'d_input': x}], ids=['array', 'list of it', 'float64', 'numbers', 'dict'])
def test_ways_to_give_the_inputs(tmp_path, make):
    model, (x,) = randomize(small()), arrays((3, 4))
    export_onnx(model, str(tmp_path / 'a'), make(x))
    check_answers(tmp_path / 'a', model, [x])


@pytest.mark.parametrize('inputs, message', [
    (np.zeros((2, 5)), r"input 'd_input' must be \(\?, 4\) with one example or more, got \(2, 5\)"),
    (np.zeros((0, 4)), r'one example or more, got \(0, 4\)'),
    (np.zeros(4), r'got \(4,\)'),
    (np.zeros((2, 4), complex), "'d_input' must be float32, got complex128"),
    (np.array([['a'] * 4]), "'d_input' must be float32, got <U1"),
    ({'x': np.zeros((2, 4))}, 'inputs must be named d_input, got x'),
])
def test_inputs_that_do_not_fit(tmp_path, inputs, message):
    with pytest.raises(ValueError, match=message):
        export_onnx(small(), str(tmp_path / 'a'), inputs)
    assert not os.listdir(str(tmp_path))


@pytest.mark.parametrize('inputs, message', [
    (lambda: arrays((2, 4))[0], r'2 inputs \(facts, image\), got ndarray'),
    (lambda: arrays((2, 4)), r'2 inputs \(facts, image\), got 1'),
    (lambda: arrays((2, 4), (3, 6, 6, 3)), 'as many examples each, got 2, 3'),
    (lambda: arrays((2, 6, 6, 3), (2, 4)), "'facts' must be"),
])
def test_several_inputs_that_do_not_fit(tmp_path, inputs, message):
    with pytest.raises(ValueError, match=message):
        export_onnx(two_inputs(), str(tmp_path / 'a'), inputs())


def test_an_output_by_the_name_of_an_input(tmp_path):
    inputs = tf.keras.Input((4,), name='x')
    model = tf.keras.Model(inputs, [ASH()(inputs), inputs])
    with pytest.raises(ValueError, match='must have different names, got x, ash.*, x'):
        export_onnx(model, str(tmp_path / 'a'), np.zeros((2, 4)))


def test_what_is_no_artifact_is_never_replaced(tmp_path):
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a' / 'thesis.tex').write_text('mine')
    for overwrite in (False, True):
        with pytest.raises(ValueError, match='a has no .* will not be replaced' if overwrite else
                           'a exists'):
            export_onnx(small(), str(tmp_path / 'a'), np.zeros((2, 4)), overwrite=overwrite)
    assert contents(tmp_path) == {'a/thesis.tex': b'mine'}


def test_an_artifact_is_replaced_only_if_asked(tmp_path):
    model, x = small(), np.ones((2, 4))
    export_onnx(model, str(tmp_path / 'a'), x)
    before = contents(tmp_path / 'a')
    with pytest.raises(ValueError, match='a exists: .*overwrite=True'):
        export_onnx(model, str(tmp_path / 'a'), 2 * x)
    assert contents(tmp_path / 'a') == before
    export_onnx(model, str(tmp_path / 'a'), 2 * x, overwrite=True)
    assert contents(tmp_path / 'a') != before
    assert os.listdir(str(tmp_path)) == ['a']


def test_an_opset_can_be_chosen(tmp_path):
    with tf.Graph().as_default():
        model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
        with pytest.raises(ValueError, match='opset must be from 11 to 18, got 19'):
            export_onnx(model, str(tmp_path / 'a'), np.ones([2, 3], 'f'), opset=19)
        export_onnx(model, str(tmp_path / 'a'), np.ones([2, 3], 'f'), opset=13)
    assert [entry.version for entry in onnx.load(str(tmp_path / 'a/model.onnx')).opset_import
            if not entry.domain] == [13]


def test_an_op_that_onnx_lacks_leaves_nothing(tmp_path):
    inputs = tf.keras.Input((4,))
    model = tf.keras.Model(inputs, LAYERS.Lambda(lambda x: tf.betainc(x, x, x))(inputs))
    with pytest.raises(RuntimeError, match='Betainc'):
        export_onnx(model, str(tmp_path / 'a'), np.full((2, 4), 0.5))
    assert not os.listdir(str(tmp_path))


@pytest.mark.parametrize('model', ['net', LAYERS.Dense(3)])
def test_what_is_no_model(tmp_path, model):
    with pytest.raises(ValueError, match='must be a tf.keras model'):
        export_onnx(model, str(tmp_path / 'a'), np.zeros((2, 4)))


def test_freezing_leaves_the_model_and_its_graph_as_they_were():
    model = randomize(two_inputs())
    weights = model.get_weights()
    operations = len(tf.get_default_graph().get_operations())
    freeze(model)
    assert len(tf.get_default_graph().get_operations()) == operations
    assert tf.keras.backend.get_session().graph is tf.get_default_graph()
    for old, new in zip(weights, model.get_weights()):
        np.testing.assert_array_equal(old, new)
