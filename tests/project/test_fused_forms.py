"""Every ASH that the TensorFlow side exports is recognised and fused on the modern one."""
import os
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest

import ash_onnx
from ash_onnx import native

ROOT = Path(__file__).resolve().parents[2]
TRAIN_PYTHON = os.environ.get('ASH_TRAIN_PYTHON', str(ROOT / '.venv/train/bin/python'))
# (net, opset) -> forms; the first net has maps between convolutions, the other dense layers.
EXPORTS = {('resnet_v2_8', 11): ('ash', 'l_ash', 'f_ash_10', 'f_ash_90'),
           ('resnet_v2_8', 18): ('l_ash',), ('vgg_11', 15): ('l_ash',)}

pytestmark = pytest.mark.skipif(not Path(TRAIN_PYTHON).exists(),
                                reason='needs the training environment: make setup')


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """(net, opset) -> folder with the artifacts NET-FORM."""
    try:
        native.library('cpu')
    except native.Unavailable as reason:
        if 'there is no C++ compiler' not in str(reason):
            raise
        pytest.skip(str(reason))
    folders = {case: tmp_path_factory.mktemp('nets') for case in EXPORTS}
    for (net, opset), folder in folders.items():
        done = subprocess.run(
            [TRAIN_PYTHON, '-W', 'ignore', str(ROOT / 'benchmarks/export_nets.py'), net,
             '--activations', *EXPORTS[net, opset], '--out', str(folder), '--opset', str(opset)],
            text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
    return folders


@pytest.mark.slow
@pytest.mark.parametrize('net, opset, form', [
    (*case, form) for case, forms in EXPORTS.items() for form in forms])
def test_it_is_fused_and_answers_the_same(exported, net, opset, form):
    """Within 1e-3: where z_k is not 0, float32's rounding of a threshold counts in every layer."""
    folder = exported[net, opset] / f'{net}-{form}'
    fused, portable = (ash_onnx.load_model(folder, threads=1, fused=choice)
                       for choice in (True, False))
    sigmoids = [node.op_type for node in onnx.load(fused.path).graph.node].count('Sigmoid')
    assert fused.form.layers == portable.form.layers == sigmoids > 0
    images = np.random.RandomState(0).randint(0, 256, (2, *fused.input_shape)).astype(np.uint8)
    one, other = fused.run(images)[0], portable.run(images)[0]
    assert np.abs(one - other).max() <= 1e-3 * np.abs(other).max()
