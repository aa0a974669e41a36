"""Loading an artifact: what is accepted, and what is refused and how."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import ash_onnx
from tests.serve import miniature

pytestmark = pytest.mark.fast

ROOT = Path(__file__).resolve().parents[2]
RTOL, ATOL = 1e-5, 1e-6  # float32 against the float64 oracle, on values up to 8


@pytest.mark.parametrize('file', ['', 'model.onnx'])
@pytest.mark.parametrize('n', [1, 7])
def test_answers_as_the_oracle(artifact, file, n):
    model = ash_onnx.load_model(artifact / file, threads=1)
    images = np.random.RandomState(n).randint(0, 256, [n, 6, 8, 3]).astype(np.uint8)
    logits, probabilities = model.run(images)
    expected_logits, expected_probabilities = miniature.oracle(images)
    assert logits.dtype == probabilities.dtype == np.float32
    np.testing.assert_allclose(logits, expected_logits, RTOL, ATOL)
    np.testing.assert_allclose(probabilities, expected_probabilities, RTOL, ATOL)


def test_an_open_height_or_width_is_any(make_artifact):
    model = ash_onnx.load_model(make_artifact(sizes=('height', 8)))
    assert model.input_shape == (6, 8, 3)  # of photos
    for height in (6, 9):
        images = np.random.RandomState(0).randint(0, 256, [2, height, 8, 3]).astype(np.uint8)
        np.testing.assert_allclose(model.run(images)[0], miniature.oracle(images)[0], RTOL, ATOL)
    with pytest.raises(ValueError, match=r'\[N, any, 8, 3\] .* got \[2, 6, 9, 3\]'):
        model.run(np.zeros([2, 6, 9, 3], np.uint8))
    with pytest.raises(ValueError, match=r'got \[2, 0, 8, 3\]'):
        model.run(np.zeros([2, 0, 8, 3], np.uint8))


def test_says_what_it_is(artifact):
    model = ash_onnx.load_model(str(artifact))
    assert model.labels == ('red', 'green', 'blue')
    assert model.input_shape == (6, 8, 3)
    assert model.provider == 'cpu'
    assert model.folder == artifact
    assert model.metadata['net'] == 'mean_colour'
    assert model.metadata['versions'] == {'onnx': '1.14.1'}


def test_takes_a_view_that_is_not_contiguous(artifact):
    images = np.random.RandomState(0).randint(0, 256, [2, 6, 8, 3]).astype(np.uint8)[..., ::-1]
    logits, _ = ash_onnx.load_model(artifact).run(images)
    np.testing.assert_allclose(logits, miniature.oracle(images)[0], RTOL, ATOL)


@pytest.mark.parametrize('images, message', [
    ([[1]], 'list'),
    (np.zeros([1, 6, 8, 3], np.float32), 'float32'),
    (np.zeros([6, 8, 3], np.uint8), r'\[6, 8, 3\]'),
    (np.zeros([0, 6, 8, 3], np.uint8), r'\[0, 6, 8, 3\]'),
    (np.zeros([1, 8, 6, 3], np.uint8), r'\[N, 6, 8, 3\].*\[1, 8, 6, 3\]'),
    (np.zeros([1, 3, 6, 8], np.uint8), r'\[1, 3, 6, 8\]'),
])
def test_refuses_images(artifact, images, message):
    with pytest.raises(ValueError, match=message):
        ash_onnx.load_model(artifact).run(images)


def test_names_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere'):
        ash_onnx.load_model(tmp_path / 'nowhere')
    with pytest.raises(FileNotFoundError, match=r'has no model\.onnx'):
        ash_onnx.load_model(tmp_path)


@pytest.mark.parametrize('data', [b'', b'not a model\n' * 9, b'\x00' * 50, b'\x08\x08'])
def test_refuses_a_file_that_is_no_model(tmp_path, data):
    (tmp_path / 'model.onnx').write_bytes(data)
    with pytest.raises(ValueError, match=r'model\.onnx: not an ONNX model'):
        ash_onnx.load_model(tmp_path)


def test_refuses_a_truncated_model(artifact):
    data = (artifact / 'model.onnx').read_bytes()
    (artifact / 'model.onnx').write_bytes(data[:len(data) // 2])
    with pytest.raises(ValueError, match='not an ONNX model'):
        ash_onnx.load_model(artifact)


def test_refuses_a_file_beyond_the_limit(artifact, monkeypatch):
    monkeypatch.setattr('ash_onnx.loading.MAX_MODEL_BYTES', 100)
    with pytest.raises(ValueError, match='more than 100 bytes'):
        ash_onnx.load_model(artifact)


@pytest.mark.parametrize('key', ['labels', 'net', 'input_shape', 'versions'])
def test_names_missing_metadata(make_artifact, key):
    metadata = {name: value for name, value in miniature.METADATA.items() if name != key}
    with pytest.raises(ValueError, match=f'metadata lacks {key};'):
        ash_onnx.load_model(make_artifact(metadata=metadata))


def test_takes_an_import_without_a_data_set_and_with_a_label_twice(make_artifact):
    metadata = {name: value for name, value in miniature.METADATA.items() if name != 'dataset'}
    model = ash_onnx.load_model(make_artifact(metadata={**metadata,
                                                        'labels': '["crane", "red", "crane"]'}))
    assert model.labels == ('crane', 'red', 'crane')


@pytest.mark.parametrize('key, value', [
    ('labels', 'red, green, blue'),
    ('labels', '[' * 100000),
    ('labels', '{"red": 0}'),
    ('labels', '["red", "green", 3]'),
    ('labels', '["red", "green", ""]'),
    ('labels', json.dumps(['red', 'green', '\x1b[2Jblue'])),
    ('labels', '[]'),
    ('labels', '["red", "green"]'),  # the outputs have three
    ('input_shape', '[6, 8]'),
    ('input_shape', '[6, 8, 1]'),
    ('input_shape', '[6, 8.0, 3]'),
    ('input_shape', '[true, 8, 3]'),
    ('input_shape', '[0, 8, 3]'),
    ('input_shape', '[1000000, 8, 3]'),
    ('input_shape', '[8, 6, 3]'),  # the input is 6 x 8
    ('versions', '["1.14.1"]'),
    ('versions', 'onnx 1.14.1'),
])
def test_refuses_metadata(make_artifact, key, value):
    artifact = make_artifact(metadata={**miniature.METADATA, key: value})
    with pytest.raises(ValueError, match=r'model\.onnx: .*(metadata)') as error:
        ash_onnx.load_model(artifact)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize('change, message', [
    ({'names': ('input', 'logits', 'probabilities')}, r'inputs are \[.input.\]'),
    ({'names': ('images', 'scores', 'probabilities')}, r'outputs are \[.scores.'),
    ({'dtype': TensorProto.FLOAT}, 'images is float, expected uint8'),
    ({'batch': 4}, r'images has shape \[4, 6, 8, 3\], expected \[N, 6, 8, 3\]'),
])
def test_refuses_another_interface(make_artifact, change, message):
    with pytest.raises(ValueError, match=message):
        ash_onnx.load_model(make_artifact(**change))


@pytest.mark.parametrize('old, new', [(b'images', b'image\xff'), (b'logits', b'logit\xff'),
                                      (b'dataset', b'datase\xff'), (b'colours', b'colour\xff'),
                                      (b'green', b'gree\xff')])
def test_refuses_text_that_is_not_utf_8(artifact, old, new):
    data = (artifact / 'model.onnx').read_bytes()
    (artifact / 'model.onnx').write_bytes(data.replace(old, new))
    with pytest.raises(ValueError, match=r'model\.onnx: (its|metadata|not an ONNX)'):
        ash_onnx.load_model(artifact)


def test_refuses_a_third_output(make_artifact):
    model = miniature.build_model()
    model.graph.output.append(helper.make_tensor_value_info('mean', TensorProto.FLOAT, ['N', 3]))
    with pytest.raises(ValueError, match='mean'):
        ash_onnx.load_model(make_artifact(model=model))


def test_refuses_an_answer_of_another_shape(make_artifact):
    model = miniature.build_model()
    for output in model.graph.output:
        output.type.tensor_type.ClearField('shape')
    for tensor in model.graph.initializer:  # two classes, and nothing in the file says so
        array = onnx.numpy_helper.to_array(tensor)[..., :2]
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    opened = ash_onnx.load_model(make_artifact(model=model))
    with pytest.raises(ValueError, match=r'logits came back as \[1, 2\], expected \[1, 3\]'):
        opened.run(np.zeros([1, 6, 8, 3], np.uint8))


@pytest.mark.parametrize('where', ['initializer', 'attribute', 'subgraph', 'function'])
def test_refuses_external_data(make_artifact, where, tmp_path):
    (tmp_path / 'secret').write_bytes(bytes(64))
    tensor = TensorProto(name='leak', data_type=TensorProto.FLOAT, dims=[4],
                         data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key='location', value='../secret')
    constant = helper.make_node('Constant', [], ['leak'], value=tensor)
    model = miniature.build_model()
    if where == 'initializer':
        model.graph.initializer.append(tensor)
    elif where == 'attribute':
        model.graph.node.append(constant)
    elif where == 'subgraph':
        branch = helper.make_graph([constant], 'branch', [], [])
        model.graph.node.append(helper.make_node('If', ['c'], ['y'], then_branch=branch,
                                                 else_branch=branch))
    else:
        model.functions.append(helper.make_function(
            'local', 'F', [], ['leak'], [constant], [helper.make_opsetid('', 13)]))
    with pytest.raises(ValueError, match=r'\'leak\' has external data \(\'\.\./secret\'\)'):
        ash_onnx.load_model(make_artifact(model=model))


def test_reports_a_model_that_onnxruntime_refuses(make_artifact):
    model = miniature.build_model()
    model.graph.node[0].op_type = 'NoSuchOp'
    with pytest.raises(ValueError, match=r'model\.onnx: onnxruntime cannot run it .*NoSuchOp'):
        ash_onnx.load_model(make_artifact(model=model))


@pytest.mark.parametrize('arguments, message', [
    ({'provider': 'gpu'}, "unknown provider 'gpu', expected one of cpu, cuda, tensorrt"),
    ({'threads': 0}, 'threads must be an integer from 1 to 1024, got 0'),
    ({'threads': 1.5}, 'got 1.5'),
    ({'threads': True}, 'got True'),
])
def test_refuses_options(artifact, arguments, message):
    with pytest.raises(ValueError, match=message):
        ash_onnx.load_model(artifact, **arguments)


def test_imports_nothing_of_the_train_side():
    modules = sorted('ash_onnx.' + path.stem for path in (ROOT / 'ash_onnx').glob('*.py'))
    code = (f'import sys, importlib\nfor name in {modules!r}: '
            'importlib.import_module(name.replace(".__init__", ""))\n'
            'print([m for m in sys.modules if m.split(".")[0] in ("tensorflow", "ash_tf1")])')
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True,
                          check=True)
    assert len(modules) > 5
    assert done.stdout == '[]\n'
