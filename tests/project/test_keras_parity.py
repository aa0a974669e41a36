"""A whole Keras model with ASH: exported where TensorFlow is, verified where it is not."""
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

import ash_onnx

ROOT = Path(__file__).resolve().parents[2]
TRAIN_PYTHON = os.environ.get('ASH_TRAIN_PYTHON', str(ROOT / '.venv/train/bin/python'))
ASH_LAYERS = 35

pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    not Path(TRAIN_PYTHON).exists(), reason='needs the training environment: make setup')]

# The last layer is scaled so that the logits are of about 1: those of an untrained Xception are of
# 1e-5, and would be within any tolerance whatever they were. z_k and alpha leave their initial
# values, lest those be all that is tested.
PROGRAM = """
import sys
import numpy as np
import tensorflow.compat.v1 as tf
from ash_tf1.keras import ASH, insert_layer_nonseq
from ash_tf1.keras.export import export_onnx

tf.set_random_seed(0)
rng = np.random.RandomState(0)
model = tf.keras.applications.xception.Xception(weights=None, input_shape=(71, 71, 3), classes=5)
model.layers[-1].activation = None
model = insert_layer_nonseq(model, '.*act', ASH)
parameters = [w for layer in model.layers if isinstance(layer, ASH) for w in layer.weights]
tf.keras.backend.batch_set_value(
    [(w, rng.uniform(0.1, 0.5, 1) if 'z_k' in w.name else rng.uniform(0.8, 1.5, 1))
     for w in parameters])
images = rng.uniform(-1, 1, (3, 71, 71, 3)).astype(np.float32)
kernel = model.layers[-1].kernel
tf.keras.backend.set_value(kernel, tf.keras.backend.get_value(kernel)
                           / model.predict(images).std())
np.save(sys.argv[2], model.predict(images))
export_onnx(model, sys.argv[1], images)
"""


@pytest.fixture(scope='module')
def xception(tmp_path_factory):
    """Folder with the artifact and what the model itself predicted for its test data."""
    folder = tmp_path_factory.mktemp('keras')
    done = subprocess.run(
        [TRAIN_PYTHON, '-c', PROGRAM, folder / 'artifact', folder / 'predicted.npy'], text=True,
        cwd=ROOT, capture_output=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder


def recorded(artifact, file):
    return onnx.numpy_helper.to_array(
        onnx.TensorProto.FromString((artifact / 'test_data_set_0' / file).read_bytes()))


def test_it_verifies_by_the_command(xception):
    done = subprocess.run(
        [sys.executable, str(ROOT / 'tools/verify_onnx.py'), str(xception / 'artifact'), '--json'],
        text=True, capture_output=True)
    result = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (result['passed'], result['images']) == (True, 3)
    assert result['tolerance']['relative'] < 1e-3
    assert [row['output'] for row in result['differences']] == ['predictions']


def test_what_is_recorded_is_what_the_model_itself_predicts(xception):
    """By its training form of ASH, before anything was copied."""
    logits = recorded(xception / 'artifact', 'output_0.pb')
    predicted = np.load(xception / 'predicted.npy')
    assert 0.5 < np.abs(logits).max() < 100
    np.testing.assert_allclose(logits, predicted, rtol=1e-4, atol=1e-4)


def test_any_number_of_examples(xception):
    model = ash_onnx.load_artifact(xception / 'artifact')
    images = recorded(xception / 'artifact', 'input_0.pb')
    (logits,) = model.answer(np.concatenate([images, images[::-1]]))
    np.testing.assert_allclose(logits[:3], logits[:2:-1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(model.answer(images[:1])[0], logits[:1], rtol=1e-5, atol=1e-5)


def test_the_graph_has_ash_in_its_plain_form(xception):
    model = onnx.load(xception / 'artifact' / 'model.onnx')
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count('Sigmoid') == kinds.count('Sqrt') == ASH_LAYERS
    assert 'Relu' not in kinds and 'Exp' not in kinds


def test_a_changed_parameter_is_noticed(xception, tmp_path):
    model = onnx.load(xception / 'artifact' / 'model.onnx')
    weights = max(model.graph.initializer, key=lambda tensor: np.prod(tensor.dims))
    values = onnx.numpy_helper.to_array(weights)
    weights.CopyFrom(onnx.numpy_helper.from_array(
        (values * np.float32(1.01)).astype(np.float32), weights.name))
    onnx.save(model, tmp_path / 'model.onnx')
    (tmp_path / 'test_data_set_0').symlink_to(xception / 'artifact' / 'test_data_set_0')
    assert not ash_onnx.verify(ash_onnx.load_artifact(tmp_path)).passed
