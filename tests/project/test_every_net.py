"""Every registered net trains with ASH, exports, and answers the same under onnxruntime.

Thin ones of each family in `make test`, of all nets in CI; as they were published in
`make test-all`, which takes about an hour.
"""
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest

import ash_onnx

ROOT = Path(__file__).resolve().parents[2]
TRAIN_PYTHON = os.environ.get('ASH_TRAIN_PYTHON', str(ROOT / '.venv/train/bin/python'))
NETS = json.loads((ROOT / 'tests/golden/nets.json').read_text())

pytestmark = pytest.mark.skipif(not Path(TRAIN_PYTHON).exists(),
                                reason='needs the training environment: make setup')


def export(folder, *arguments):
    """Runs export_nets.py, whose errors are in what it writes."""
    done = subprocess.run([TRAIN_PYTHON, str(Path(__file__).with_name('export_nets.py')),
                           str(folder), *arguments], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return folder


def count_ash(path):
    """Each ASH has one Sigmoid, and nothing else has one."""
    return sum(node.op_type == 'Sigmoid' for node in onnx.load(path).graph.node)


def check(folder, label):
    result = json.loads((folder / label / 'result.json').read_text())
    assert 'error' not in result, result['error']
    assert result['steps'] >= 1
    model = ash_onnx.load_model(str(folder / label / 'artifact'), provider='cpu')
    assert model.form.layers == count_ash(model.path)
    verification = ash_onnx.verify(model)
    assert verification.passed
    assert verification.tolerance.relative < 1e-2, 'roundings alone give other answers'
    logits, probabilities = model.run(np.zeros((3, *model.input_shape), np.uint8))
    assert logits.shape == probabilities.shape == (3, NETS[label]['classes'])
    return result


FAMILIES = ('resnet_v2_8', 'densenet_bc_100_12', 'resnet_v1_50', 'vgg_11')
THIN = [pytest.param(label, marks=() if label in FAMILIES else pytest.mark.slow) for label in NETS]


@pytest.fixture(scope='module')
def thin(request, tmp_path_factory):
    """Folder of the nets that are tested, thin, trained and exported by one process."""
    labels = {item.callspec.params['label'] for item in request.session.items
              if 'thin' in getattr(item, 'fixturenames', ())}
    return export(tmp_path_factory.mktemp('thin'), *sorted(labels))


@pytest.mark.timeout(1200)  # the first has all of them exported
@pytest.mark.parametrize('label', THIN)
def test_a_thin_net_answers_as_in_tensorflow(thin, label):
    check(thin, label)


@pytest.mark.parametrize('label', THIN)
def test_the_exported_graph_has_ash_and_no_other_non_linearity(thin, label):
    model = onnx.load(str(thin / label / 'artifact' / 'model.onnx'))
    ops = [node.op_type for node in model.graph.node]
    # Each ASH has its Sigmoid and its standard deviation.
    assert ops.count('Sigmoid') == ops.count('Sqrt') > 0
    assert not {'Relu', 'Clip', 'LeakyRelu', 'Elu', 'Selu', 'Tanh', 'Exp', 'Erf'} & set(ops)
    assert ops.count('Softmax') == 1


@pytest.mark.full_size
@pytest.mark.timeout(3600)
@pytest.mark.parametrize('label', NETS)
def test_a_net_as_published_answers_as_in_tensorflow(tmp_path, label):
    result = check(export(tmp_path, '--full', label), label)
    assert result['nodes']['Sigmoid'] == NETS[label]['activations']
