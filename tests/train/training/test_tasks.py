"""The contract of a task: what the loop knows of it, and one that the package does not know."""
import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import tensorflow.compat.v1 as tf
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

import ash_tf1
from ash_tf1 import input_pipelines
from ash_tf1.checkpoint import find_checkpoint
from ash_tf1.tasks import TASKS
from ash_tf1.tasks.classification.net import Classifier
from ash_tf1.training.evaluation import evaluate
from ash_tf1.training.run_dir import read_rows
from ash_tf1.training.settings import Settings
from tests.shared.identifiers import identifiers
from tests.train.miniature import read_weights, train_quietly
from tests.train.training.toy_regression import Regression, points

pytestmark = pytest.mark.fast

PACKAGE = Path(ash_tf1.__file__).parent
ROOMS = ('tasks/classification', 'nets', 'input_pipelines', 'commands')
WORDS = re.compile(r'label|top_?[15]|num_classes|cross_entropy')
# What is left of them elsewhere: matplotlib's own words, and the table of TensorFlow's OpDefs.
ALLOWED = {
    'training/plotting.py': {'label', 'ylabel', 'xlabel'},
    'training/settings.py': {'label_smoothing'},
    'training/recipes.py': {'label_smoothing'},
    'measuring/drawing.py': {'set_ylabel'},
    # A discriminator has two classes of its own: images and samples.
    'tasks/generation/task.py': {'label_smoothing', 'labels', '_cross_entropy',
                                 'sigmoid_cross_entropy_with_logits'},
}


def test_classification_is_one_room():
    found = {}
    for path in sorted(PACKAGE.rglob('*.py')):
        name = str(path.relative_to(str(PACKAGE)))
        if name.startswith(ROOMS):
            continue
        words = {word for word in identifiers(path.read_text(encoding='utf-8'))
                 if WORDS.search(word)} - ALLOWED.get(name, set())
        if words:
            found[name] = sorted(words)
    assert not found


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setitem(TASKS, 'regression', Regression())
    monkeypatch.setitem(input_pipelines.DATASETS, 'points', points)
    return Settings(task='regression', net='', dataset='points', activation='ash', batch_size=8,
                    epochs=6, learning_rate=0.01, schedule='cosine', augmentation='none',
                    log_every=1, validation_share=0.25, weight_decay=0.0)


def test_a_task_of_ones_own_trains_resumes_evaluates_and_exports(toy, before_step, tmp_path):
    from ash_tf1.converting import runs
    whole, halved = tmp_path / 'whole', tmp_path / 'halved'
    assert train_quietly(toy, whole, plot=True).step == 144  # 192 examples to train on
    before_step(15, lambda: (_ for _ in ()).throw(RuntimeError('lost power')))
    with pytest.raises(RuntimeError, match='lost power'):
        train_quietly(toy, halved)
    before_step()
    train_quietly(toy, halved, resume=True)
    for name, value in read_weights(whole / 'model.ckpt-144').items():
        np.testing.assert_allclose(read_weights(halved / 'model.ckpt-144')[name], value, rtol=1e-4,
                                   atol=1e-5, err_msg=name)

    rows = [row for row in read_rows(str(whole / 'metrics.csv')) if row['split'] == 'validation']
    losses = [float(row['loss']) for row in rows]
    assert len(losses) == 6 and losses[-1] < 0.5 * losses[0]
    best = find_checkpoint(str(whole / 'best'))
    assert best.endswith('-{}'.format(rows[int(np.argmin(losses))]['step']))
    found = evaluate(str(whole), split='validation', progress=False)
    assert found.evaluation.metrics['loss'] == pytest.approx(losses[-1], rel=1e-4)

    runs.export(str(whole), str(tmp_path / 'artifact'), samples=3)
    model = onnx.load(str(tmp_path / 'artifact' / 'model.onnx'))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert (metadata['kind'], metadata['net']) == ('tensors', 'regression')
    assert json.loads(metadata['inputs']) == [
        {'name': 'x', 'dtype': 'float32', 'example': [3, 4], 'shape': [None, 4]}]
    x, estimate = (numpy_helper.to_array(onnx.TensorProto.FromString(
        (tmp_path / 'artifact' / 'test_data_set_0' / name).read_bytes()))
        for name in ('input_0.pb', 'output_0.pb'))
    np.testing.assert_allclose(ReferenceEvaluator(model).run(['estimate'], {'x': x})[0], estimate,
                               rtol=1e-5, atol=1e-5)


def test_smoothed_labels():
    """Cross-entropy with 1 - s on the label and s spread over all; float32 rounding."""
    logits = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]])
    labels, smoothing = np.array([0, 2]), 0.3
    with tf.Graph().as_default(), tf.Session() as session:
        objective, = TASKS['classification'].objectives(
            Classifier(tf.constant(logits, tf.float32), None, {}), {'label': tf.constant(labels)},
            Settings(label_smoothing=smoothing))
        found = session.run(objective.loss)
    log_softmax = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    targets = np.eye(3)[labels] * (1 - smoothing) + smoothing / 3
    assert found == pytest.approx(-(targets * log_softmax).sum(axis=1).mean(), rel=1e-5)
