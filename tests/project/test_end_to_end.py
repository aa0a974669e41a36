"""Both sides together, by their commands: what trains there answers the same here."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

ROOT = Path(__file__).resolve().parents[2]
TRAIN_PYTHON = os.environ.get('ASH_TRAIN_PYTHON', str(ROOT / '.venv/train/bin/python'))

pytestmark = [pytest.mark.fast, pytest.mark.skipif(
    not Path(TRAIN_PYTHON).exists(), reason='needs the training environment: make setup')]


def run(python, tool, *arguments):
    """Runs a command of tools/ as a user would; returns its stdout."""
    done = subprocess.run([python, str(ROOT / 'tools' / tool), *map(str, arguments)], text=True,
                          capture_output=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope='module')
def pipeline(tmp_path_factory):
    """A net trained for two epochs on the digits, exported, and the test split as image files."""
    folder = tmp_path_factory.mktemp('pipeline')
    run(TRAIN_PYTHON, 'train.py', '--recipe', 'digits', '--epochs', 2, '--activation', 'l_ash',
        '--run-dir', folder / 'run', '--quiet')
    run(TRAIN_PYTHON, 'export_onnx.py', folder / 'run', folder / 'artifact')
    run(TRAIN_PYTHON, 'save_images.py', 'digits', folder / 'images')
    return folder


def test_tensorflow_and_onnxruntime_count_the_same_correct_images(pipeline):
    theirs = json.loads(run(TRAIN_PYTHON, 'evaluate.py', pipeline / 'run', '--json', '--quiet'))
    ours = json.loads(run(sys.executable, 'evaluate_onnx.py', pipeline / 'artifact',
                          pipeline / 'images', '--json', '--quiet'))
    assert ours['n'] == theirs['count'] == 359
    # An image on the border of two classes may fall either way.
    assert abs(ours['correct'] - theirs['correct']) <= 2


def test_artifact_verifies(pipeline):
    result = json.loads(run(sys.executable, 'verify_onnx.py', pipeline / 'artifact', '--json'))
    assert result['passed']


def test_a_changed_weight_is_noticed(pipeline, tmp_path):
    """The proof is worth something only if a wrong model fails it."""
    wrong = tmp_path / 'wrong'
    shutil.copytree(pipeline / 'artifact', wrong)
    model = onnx.load(str(wrong / 'model.onnx'))
    weights = next(tensor for tensor in model.graph.initializer if 'logits/weights' in tensor.name)
    values = onnx.numpy_helper.to_array(weights)
    weights.CopyFrom(onnx.numpy_helper.from_array(
        (values * np.float32(1.001)).astype(np.float32), weights.name))
    onnx.save(model, str(wrong / 'model.onnx'))
    done = subprocess.run([sys.executable, str(ROOT / 'tools/verify_onnx.py'), str(wrong)],
                          capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr


def test_prediction_of_a_file_agrees_with_the_evaluation(pipeline):
    picture = sorted((pipeline / 'images' / '0').glob('*.png'))[0]
    result = json.loads(run(sys.executable, 'predict.py', pipeline / 'artifact', picture, '--json'))
    probabilities = [entry['probability'] for entry in result['predictions'][0]['top']]
    assert probabilities == sorted(probabilities, reverse=True)
    assert 0.0 < sum(probabilities) <= 1.0 + 1e-5


def test_a_reader_that_goes_early_is_no_error(pipeline):
    """As `| head` does: nothing is left to say, and nobody to say it to."""
    command = [sys.executable, '-u', str(ROOT / 'tools/evaluate_onnx.py'),
               str(pipeline / 'artifact'), str(pipeline / 'images'), '--quiet']
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b''
    assert process.returncode == 141
