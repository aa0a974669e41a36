"""What docs/deploying.md shows in Python runs as it stands there, and answers as `ash_onnx` does.

The programs in other languages need what the project does not install: they were run by hand.
"""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import ash_onnx
from ash_onnx.kinds import KINDS
from ash_onnx.preprocessing import Preprocessing, fit_image
from tests.serve.miniature_generator import NORMAL, UNIFORM, write_artifact

pytestmark = pytest.mark.fast

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / 'docs/deploying.md').read_text(encoding='utf-8')
(WITH_ASH_ONNX, ALONE, FOR_OTHERS, TENSORS, GENERATOR, GENERATOR_ALONE) = re.findall(
    r'^```python\n(.*?)^```', PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(autouse=True)
def restored_environment(monkeypatch):
    monkeypatch.setenv('ORT_DISABLE_TELEMETRY', '1')  # a program sets it too


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder of the programs: an artifact of this project, and a photo."""
    (tmp_path / 'artifacts').mkdir()
    artifact = ROOT / 'checkpoints' / 'resnet20-cifar10-ash'
    (tmp_path / 'artifacts/net').symlink_to(artifact)
    sample = cv2.imread(str(next(artifact.glob('samples/ship/*.png'))))
    assert cv2.imwrite(str(tmp_path / 'photo.jpg'), cv2.resize(sample, (300, 200)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_both_programs_say_what_the_photo_shows(folder, capsys):
    exec(WITH_ASH_ONNX, {})
    said = capsys.readouterr().out
    result, = ash_onnx.predict(ash_onnx.load_model('artifacts/net', threads=1), ['photo.jpg'])
    assert said.split()[:2] == ['ship', f'{result.top[0][1]:.4f}']
    exec(ALONE, {})
    assert capsys.readouterr().out == said


@pytest.mark.parametrize('preprocessing', [
    {}, {'crop': 0.875}, {'crop': 0.5, 'interpolation': 'bicubic'}, {'resize': 'stretch'},
    {'interpolation': 'nearest', 'channels': 'BGR', 'mean': [1, 2, 3], 'std': [1, 1, 1]}])
def test_its_fit_is_that_of_the_library(preprocessing):
    names = {}
    exec(ALONE.partition('options =')[0], names)
    random = np.random.RandomState(0)
    # None so long and thin that the library cuts it first, as step 5 of the page says.
    for rows, columns, height, width in random.randint(21, 40, [100, 4]).tolist():
        image = random.randint(0, 256, [rows, columns, 3]).astype(np.uint8)
        np.testing.assert_array_equal(
            names['fit'](image, height, width, **preprocessing),
            fit_image(image, (height, width, 3), Preprocessing(**preprocessing)))


def test_what_the_other_programs_read(folder):
    exec(FOR_OTHERS, {})
    model = ash_onnx.load_model('artifacts/net')
    image = ash_onnx.read_image('photo.jpg', model.input_shape)
    pixels = np.frombuffer((folder / 'image.rgb').read_bytes(), np.uint8)
    np.testing.assert_array_equal(pixels.reshape(model.input_shape), image)
    assert (folder / 'labels.txt').read_bytes().decode().split('\n') == [*model.labels, '']


def test_any_graph(folder, capsys):
    graph = helper.make_graph(
        [helper.make_node('Add', ['x', 'x'], ['doubled']),
         helper.make_node('Identity', ['text'], ['said'])], 'graph',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['N', 3]),
         helper.make_tensor_value_info('text', TensorProto.STRING, [])],
        [helper.make_tensor_value_info('doubled', TensorProto.FLOAT, ['N', 3]),
         helper.make_tensor_value_info('said', TensorProto.STRING, [])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    inputs = [{'name': 'text', 'dtype': 'str', 'shape': [], 'example': []},
              {'name': 'x', 'dtype': 'float32', 'shape': [None, 3], 'example': [2, 3]}]
    helper.set_model_props(model, {'kind': 'tensors', 'net': 'any', 'versions': '{}',
                                   'inputs': json.dumps(inputs)})
    (folder / 'artifacts/graph').mkdir()
    onnx.save(model, folder / 'artifacts/graph/model.onnx')
    exec(TENSORS, {})
    assert capsys.readouterr().out == 'doubled float32 (2, 3)\nsaid object ()\n'


@pytest.mark.parametrize('latent', [UNIFORM, NORMAL, {**NORMAL, 'mean': 1.0, 'stddev': 0.5}])
def test_both_programs_generate_the_same(folder, latent):
    write_artifact(folder / 'artifacts/gan', latent=latent)
    names, alone = {}, {}
    exec(GENERATOR, names)
    exec(GENERATOR_ALONE, alone)
    np.testing.assert_array_equal(names['images'], alone['images'])
    assert names['strip'].shape == (12, *names['images'].shape[1:])
    first = cv2.cvtColor(cv2.imread('first.png'), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(first, alone['images'][0])


def test_the_page_names_every_key_and_kind():
    table = PAGE.partition('| key | what it is |')[2].partition('\n\n')[0]
    named = set(re.findall(r'`(\w+)`', table))
    assert named >= {*KINDS, 'preprocessing', 'model_version', 'tolerance', 'kind'}
    for kind in ('image_classifier', 'generator'):
        assert named >= {*KINDS[kind].json_keys, 'net', 'versions'}
