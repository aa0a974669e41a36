"""Nets of tf.keras.applications and tf_slim.nets, with random weights: tools/convert.py takes them.

All of zoo/members.json in `make test-all`, three in `.ci/run`. benchmarks/converting.py makes the
table in docs/converting.md of them.
"""
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import ash_onnx
from ash_onnx.recorded import find_test_data, read_test_data

ROOT = Path(__file__).resolve().parents[2]
TRAIN_PYTHON = os.environ.get('ASH_TRAIN_PYTHON', str(ROOT / '.venv/train/bin/python'))
ZOO = Path(__file__).with_name('zoo')
MEMBERS = json.loads((ZOO / 'members.json').read_text())
QUICK = ['keras/MobileNet', 'keras/MobileNetV2', 'slim/inception_v1']

pytestmark = pytest.mark.skipif(not Path(TRAIN_PYTHON).exists(),
                                reason='needs the training environment: make setup')


def convert(out, *names):
    """What became of each member: a dict of dicts by its name."""
    done = subprocess.run([TRAIN_PYTHON, '-W', 'ignore', str(ZOO / 'convert_members.py'), str(out),
                           *names], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return {result['name']: result for result in map(json.loads, done.stdout.splitlines())}


def check(result, folder):
    assert (result['status'], result['stderr']) == (0, '')
    model = ash_onnx.load_artifact(folder / 'artifact', provider='cpu')
    verification = ash_onnx.verify(model)
    assert verification.passed
    data, = find_test_data(model.folder)
    name, = model.output_names
    answers = read_test_data(data, model.input_names, model.output_names)[name]
    # The answers to other samples would not pass for these.
    assert (np.ptp(answers, axis=0).max()
            > 10 * verification.tolerance.relative * np.abs(answers).max())


@pytest.fixture(scope='module')
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp('zoo')
    return folder, convert(folder, *QUICK)


@pytest.mark.slow
@pytest.mark.parametrize('name', QUICK)
def test_a_small_net_of_each_form(quick, name):
    folder, results = quick
    check(results[name], folder / name)


@pytest.mark.full_size
@pytest.mark.timeout(3600)
@pytest.mark.parametrize('name', MEMBERS)
def test_a_net_of_another_library(tmp_path, name):
    check(convert(tmp_path, name)[name], tmp_path / name)
