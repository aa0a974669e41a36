"""Artifacts of Keras models: any number of inputs and outputs, of any type and name."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import ash_onnx

pytestmark = pytest.mark.fast

METADATA = {
    'kind': 'keras_model',
    'net': 'pair',
    'input_shapes': json.dumps({'a': [2, 3], 'b': [3]}),
    'versions': json.dumps({'onnx': '1.14.1'}),
}


def answers(a, b):
    """What the model below gives: 2 a + b, and the sum of b, in float64."""
    return a.astype(np.float64) * 2 + b[:, None], b.astype(np.float64).sum(axis=1)


def build_model(metadata=None, dtype=TensorProto.FLOAT, batch='N', rows='H'):
    kind = helper.tensor_dtype_to_np_dtype(dtype)
    graph = helper.make_graph(
        [helper.make_node('Mul', ['a', 'two'], ['twice']),
         helper.make_node('Unsqueeze', ['b', 'axis'], ['rows']),
         helper.make_node('Add', ['twice', 'rows'], ['mix']),
         helper.make_node('ReduceSum', ['b', 'axis'], ['total/sum'], keepdims=0)],
        'pair',
        [helper.make_tensor_value_info('a', dtype, [batch, rows, 3]),
         helper.make_tensor_value_info('b', dtype, [batch, 3])],
        [helper.make_tensor_value_info('mix', dtype, [batch, None, 3]),
         helper.make_tensor_value_info('total/sum', dtype, [batch])],
        [numpy_helper.from_array(np.array(2, kind), 'two'),
         numpy_helper.from_array(np.array([1]), 'axis')])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    helper.set_model_props(model, METADATA if metadata is None else metadata)
    return model


def write_test_data(folder, dtype=np.float32, count=4, seed=0):
    rng = np.random.RandomState(seed)
    a, b = rng.randn(count, 2, 3).astype(dtype), rng.randn(count, 3).astype(dtype)
    outputs = [value.astype(dtype) for value in answers(a, b)]
    folder.mkdir(parents=True)
    for file, name, array in (('input_0.pb', 'a', a), ('input_1.pb', 'b', b),
                              ('output_0.pb', 'mix', outputs[0]),
                              ('output_1.pb', 'total/sum', outputs[1])):
        (folder / file).write_bytes(numpy_helper.from_array(array, name).SerializeToString())


@pytest.fixture
def pair(tmp_path):
    """Function that writes the artifact from `build_model`'s arguments; returns its path."""
    def make(dtype=TensorProto.FLOAT, **arguments):
        folder = tmp_path / 'pair'
        write_test_data(folder / 'test_data_set_0', helper.tensor_dtype_to_np_dtype(dtype))
        onnx.save(build_model(dtype=dtype, **arguments), folder / 'model.onnx')
        return folder
    return make


def change(folder, file, edit):
    path = folder / 'test_data_set_0' / file
    tensor = onnx.TensorProto.FromString(path.read_bytes())
    array = edit(numpy_helper.to_array(tensor).copy())
    path.write_bytes(numpy_helper.from_array(array, tensor.name).SerializeToString())


@pytest.mark.parametrize('dtype, tolerance', [
    (TensorProto.FLOAT, 1e-6), (TensorProto.DOUBLE, 1e-12), (TensorProto.FLOAT16, 1e-2),
    (TensorProto.INT32, 0)])
def test_it_verifies_in_every_type(pair, dtype, tolerance):
    result = ash_onnx.verify(ash_onnx.load_artifact(pair(dtype=dtype)), tolerance, tolerance)
    assert result.passed and result.images == 4 and result.classes_agree is None
    assert [row.output for row in result.differences] == ['mix', 'total/sum']
    assert json.loads(json.dumps(result.to_dict()))['classes_agree'] is None


@pytest.mark.parametrize('output', [0, 1])
def test_a_difference_in_either_output_fails(pair, output):
    folder = pair()

    def edit(array):
        array[1] += 0.5
        return array
    change(folder, f'output_{output}.pb', edit)
    result = ash_onnx.verify(ash_onnx.load_artifact(folder))
    assert [row.within_tolerance for row in result.differences] == [output != 0, output != 1]
    assert not result.passed
    assert result.differences[output].max_abs_difference == pytest.approx(0.5, abs=1e-5)


def test_the_commands(pair, load_tool, capsys, tmp_path):
    folder = pair()
    assert load_tool('verify_onnx').main([str(folder)]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == ['4 examples', 'passed on cpu']
    assert load_tool('verify_onnx').main([str(folder), '--json']) == 0
    assert json.loads(capsys.readouterr().out)['passed']
    change(folder, 'output_0.pb', lambda array: array + 1)
    assert load_tool('verify_onnx').main([str(folder)]) == 1
    assert 'FAILED' in capsys.readouterr().out
    for name in ('predict', 'evaluate_onnx'):  # which need labels
        assert load_tool(name).main([str(folder), str(tmp_path)]) == 2
        assert 'no image classifier' in capsys.readouterr().err


def test_it_answers_any_number_of_examples(pair):
    model = ash_onnx.load_artifact(pair())
    assert (model.input_names, model.output_names) == (('a', 'b'), ('mix', 'total/sum'))
    assert model.metadata['input_shapes'] == {'a': [2, 3], 'b': [3]}
    for count, rows in ((1, 2), (7, 2), (3, 5)):
        a, b = np.ones((count, rows, 3), np.float32), np.full((count, 3), 2, np.float32)
        mix, total = model.answer(a, b)
        np.testing.assert_array_equal(mix, np.full((count, rows, 3), 4))
        np.testing.assert_array_equal(total, np.full(count, 6))


@pytest.mark.parametrize('inputs', [
    (np.zeros((1, 2, 3), np.float32),), (np.zeros((1, 2, 3)), np.zeros((1, 3))),
    (np.zeros((1, 3), np.float32), np.zeros((1, 3), np.float32)),
    (np.zeros((1, 2, 4), np.float32), np.zeros((1, 3), np.float32))])
def test_inputs_that_do_not_fit(pair, inputs):
    with pytest.raises(ValueError):
        ash_onnx.load_artifact(pair()).answer(*inputs)


def test_a_classifier_is_an_artifact_too(artifact):
    model = ash_onnx.load_artifact(artifact)
    assert isinstance(model, ash_onnx.Model)
    assert (model.input_names, model.output_names) == (('images',), ('logits', 'probabilities'))
    images = np.zeros((2, 6, 8, 3), np.uint8)
    for one, other in zip(model.answer(images), model.run(images), strict=True):
        np.testing.assert_array_equal(one, other)
    assert ash_onnx.verify(model).classes_agree == 5


def test_load_model_takes_classifiers_only(pair):
    with pytest.raises(ValueError, match='a Keras model, no image classifier with labels'):
        ash_onnx.load_model(pair())


@pytest.mark.parametrize('changes, message', [
    ({'kind': 'poem'}, "'kind' must be one of image_classifier, .*, tensors, got 'poem'"),
    ({'kind': 'image_classifier'}, 'its metadata lacks labels, input_shape'),
    ({'net': ''}, 'its metadata lacks net'),
    ({'versions': '[]'}, "'versions' must be a JSON object"),
    ({'input_shapes': '{'}, "'input_shapes' is not JSON"),
    ({'input_shapes': '[2, 3]'}, r"'input_shapes' must be a shape for each of \['a', 'b'\]"),
    ({'input_shapes': '{"a": [2, 3]}'}, "must be a shape for each of"),
    ({'input_shapes': '{"a": [2, 3], "b": 3}'}, 'lists of sizes >= 1 .* got 3 for b'),
    ({'input_shapes': '{"a": [2, 3], "b": [0]}'}, r'lists of sizes >= 1 .* got \[0\] for b'),
    ({'input_shapes': '{"a": [2, 3], "b": [true]}'}, 'lists of sizes >= 1'),
    ({'input_shapes': '{"a": [99999999, 3], "b": [3]}'}, 'at most 268435456 elements'),
    ({'input_shapes': '{"a": [2, 4], "b": [3]}'},
     r'a has shape \[N, N, 3\], expected \[N, 2, 4\] by its metadata'),
])
def test_metadata_that_break_the_contract(pair, changes, message):
    with pytest.raises(ValueError, match=message):
        ash_onnx.load_artifact(pair(metadata={**METADATA, **changes}))


@pytest.mark.parametrize('sizes, message', [
    (dict(batch=4), r'a has shape \[4, N, 3\], expected \[N, 2, 3\]'),
    (dict(rows=5), r'a has shape \[N, 5, 3\], expected \[N, 2, 3\]')])
def test_sizes_that_break_the_contract(pair, sizes, message):
    with pytest.raises(ValueError, match=message):
        ash_onnx.load_artifact(pair(**sizes))


def test_a_missing_or_foreign_tensor_is_an_error(pair):
    folder = pair()
    model = ash_onnx.load_artifact(folder)
    (folder / 'test_data_set_0' / 'input_1.pb').rename(folder / 'test_data_set_0' / 'kept')
    with pytest.raises(FileNotFoundError, match=r'input_1\.pb'):
        ash_onnx.verify(model)
    (folder / 'test_data_set_0' / 'input_1.pb').write_bytes(
        numpy_helper.from_array(np.zeros((4, 3), np.float32), 'c').SerializeToString())
    with pytest.raises(ValueError, match="holds the tensor 'c', expected 'b'"):
        ash_onnx.verify(model)


@pytest.mark.parametrize('edit, message', [
    (lambda array: array[:3], r'mix is float32 \[3, 2, 3\], expected float32 \[4, 2, 3\]'),
    (lambda array: array.astype(np.float64), 'mix is float64 .* expected float32')])
def test_test_data_that_do_not_fit(pair, edit, message):
    folder = pair()
    change(folder, 'output_0.pb', edit)
    with pytest.raises(ValueError, match=message):
        ash_onnx.verify(ash_onnx.load_artifact(folder))
