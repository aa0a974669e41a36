"""Evaluating a run: its figures, and what cannot be evaluated."""
import dataclasses
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1 import input_pipelines
from ash_tf1.input_pipelines import ArraySplit
from ash_tf1.tasks.classification.evaluation import Evaluation, Evaluator
from ash_tf1.tasks.classification.net import Classifier
from ash_tf1.training import evaluation
from ash_tf1.training.run_dir import read_rows

pytestmark = pytest.mark.fast

CLASSES = 7


def by_hand(predictions, labels, in_top5):
    return Evaluation(0.5, np.array(predictions), np.array(labels), np.array(in_top5))


def test_shares_of_correct_answers():
    result = by_hand([0, 1, 1, 2, 2], [0, 1, 2, 2, 0], [True, True, True, True, False])
    assert (result.count, result.correct) == (5, 3)
    assert result.top1 == pytest.approx(0.6)
    assert result.top5 == pytest.approx(0.8)
    np.testing.assert_allclose(result.class_accuracies(4), [0.5, 1.0, 0.5, np.nan])


def test_nothing_right():
    result = by_hand([1, 1], [0, 2], [False, False])
    assert (result.top1, result.top5) == (0.0, 0.0)
    np.testing.assert_allclose(result.class_accuracies(3), [0.0, np.nan, 0.0])


@pytest.fixture(scope='module')
def random_split():
    """Images [N, 1, CLASSES, 3] whose first channel a classifier below takes for its logits."""
    rng = np.random.RandomState(11)
    # Distinct in each row: a tie would leave the likeliest class open.
    rows = np.stack([rng.permutation(40)[:CLASSES] for _ in range(23)]).astype(np.uint8)
    images = np.repeat(rows[:, None, :, None], 3, axis=3)
    return ArraySplit(image=images, label=rng.randint(0, CLASSES, len(rows)).astype(np.int64))


def run_evaluator(split, batch_size, classes=CLASSES):
    with tf.Graph().as_default(), tf.Session() as session:
        pixels = tf.placeholder(tf.uint8, (None, 1, classes, 3))
        labels = tf.placeholder(tf.int64, (None,))
        logits = tf.cast(pixels[:, 0, :, 0], tf.float32) / 8.0
        graph = SimpleNamespace(
            evaluator=Evaluator(Classifier(logits, None, {}), labels),
            feed=lambda batch: {pixels: batch['image'], labels: batch['label']})
        return evaluation.evaluate_split(session, graph, split, batch_size)


@pytest.mark.parametrize('batch_size', [1, 5, 23, 100])
def test_an_evaluation_counts_every_example_once(random_split, batch_size):
    result = run_evaluator(random_split, batch_size)
    logits = random_split.arrays['image'][:, 0, :, 0] / 8.0
    own = logits[np.arange(23), random_split.labels]
    losses = np.log(np.exp(logits).sum(1)) - own
    assert result.count == 23
    np.testing.assert_array_equal(result.predictions, logits.argmax(1))
    np.testing.assert_array_equal(result.labels, random_split.labels)
    np.testing.assert_array_equal(result.in_top5, (logits > own[:, None]).sum(1) < 5)
    assert result.loss == pytest.approx(losses.mean(), rel=1e-6)  # float32 per example
    assert 0 < result.top1 < result.top5 < 1  # or the arrays above would say little


@pytest.mark.parametrize('classes', [3, 5, 6])
def test_with_five_classes_or_fewer_there_is_no_top5(random_split, classes):
    few = ArraySplit(image=np.ascontiguousarray(random_split.arrays['image'][:, :, :classes]),
                     label=random_split.labels % classes)
    result = run_evaluator(few, 8, classes)
    spec = SimpleNamespace(labels=tuple('abcdef'[:classes]), num_classes=classes)
    assert (result.top5 is None) == ('top-5' not in result.summary()) == (classes <= 5)
    assert result.to_json(spec)['top5'] == result.top5
    if classes == 6:
        logits = few.arrays['image'][:, 0, :, 0] / 8.0
        own = logits[np.arange(23), few.labels]
        assert result.top5 == pytest.approx(np.mean(own > logits.min(1)))


def test_a_batch_size_below_one_is_refused(random_split):
    with pytest.raises(ValueError, match='batch_size must be at least 1, got 0'):
        run_evaluator(random_split, 0)


@pytest.mark.parametrize('batch_size', [7, 22, 500])
def test_a_run_is_evaluated_as_in_training(tiny, tiny_run, batch_size):
    result, spec, prefix = evaluation.evaluate(str(tiny_run), split='validation',
                                               batch_size=batch_size, progress=False)
    assert (prefix, spec.net) == (str(tiny_run / 'model.ckpt-15'), 'tiny')
    last = [row for row in read_rows(str(tiny_run / 'metrics.csv'))
            if row['split'] == 'validation'][-1]
    # Another batch size brings other rounding.
    assert result.loss == pytest.approx(float(last['loss']), rel=1e-5)
    assert result.top1 == pytest.approx(float(last['top1']), rel=1e-5)
    np.testing.assert_array_equal(result.labels, tiny().validation.labels)
    assert len(result.predictions) == 22


@pytest.mark.parametrize('split, count', [('train', 40), ('test', 23)])
def test_any_split_can_be_evaluated(tiny, tiny_run, split, count):
    result, _, _ = evaluation.evaluate(str(tiny_run), split=split, progress=False)
    assert result.count == count
    assert result.top1 > 0.5  # a third is chance


def test_a_split_that_there_is_not_is_named(tiny, tiny_run, monkeypatch):
    monkeypatch.setitem(input_pipelines.DATASETS, 'tiny', lambda data_dir: dataclasses.replace(
        tiny(), test=None))
    with pytest.raises(ValueError, match='data set tiny has no test split'):
        evaluation.evaluate(str(tiny_run), progress=False)


@pytest.mark.parametrize('given, found', [
    ('best', 'best/model.ckpt-*'), ('model.ckpt-10', 'model.ckpt-10'),
    ('model.ckpt-15', 'model.ckpt-15'), ('.', 'model.ckpt-15'), ('', 'model.ckpt-15'),
    ('model.ckpt-10.index', 'model.ckpt-10'),
])
def test_a_checkpoint_is_looked_for_in_the_run_first(tiny, tiny_run, given, found):
    _, _, prefix = evaluation.evaluate(str(tiny_run), given, progress=False)
    pattern, = tiny_run.glob(found + '.index')
    assert prefix.replace('/./', '/') == str(pattern)[:-len('.index')]


def test_a_checkpoint_elsewhere_is_found_by_its_own_path(tiny, tiny_run, tmp_path):
    shutil.copytree(str(tiny_run / 'best'), str(tmp_path / 'kept'))
    (tmp_path / 'empty').mkdir()
    _, _, prefix = evaluation.evaluate(str(tiny_run), str(tmp_path / 'kept'), progress=False)
    assert prefix.startswith(str(tmp_path / 'kept' / 'model.ckpt-'))
    with pytest.raises(ValueError, match='no checkpoint in folder .*empty'):
        evaluation.evaluate(str(tiny_run), str(tmp_path / 'empty'), progress=False)


@pytest.mark.parametrize('classes', [
    ('light', 'grey', 'dark'), ('dark', 'grey', 'light', 'black'), ('dark', 'light'),
], ids=['other order', 'one more', 'one less'])
def test_a_data_set_with_other_labels_is_refused(tiny, tiny_run, monkeypatch, classes):
    def other(data_dir=None):
        dataset = tiny(data_dir, classes)
        splits = {name: ArraySplit(image=split.arrays['image'], label=split.labels % len(classes))
                  for name, split in dataset.splits.items()}
        if len(classes) == 4:
            splits['test'].labels[0] = 3
        return dataclasses.replace(dataset, **splits)
    monkeypatch.setitem(input_pipelines.DATASETS, 'tiny', other)
    with pytest.raises(ValueError, match='labels'):
        evaluation.evaluate(str(tiny_run), progress=False)


@pytest.mark.parametrize('missing', ['model.json', 'settings.json'])
def test_a_folder_that_is_no_run_is_named(tiny, tiny_run, tmp_path, missing):
    run_dir = tmp_path / 'run'
    shutil.copytree(str(tiny_run), str(run_dir))
    (run_dir / missing).unlink()
    with pytest.raises(ValueError, match='no folder of a training run: it has no ' + missing):
        evaluation.evaluate(str(run_dir), progress=False)


def test_a_net_that_does_not_exist_is_named(tiny, tiny_run, tmp_path):
    run_dir = tmp_path / 'run'
    shutil.copytree(str(tiny_run), str(run_dir))
    record = json.loads((run_dir / 'model.json').read_text())
    (run_dir / 'model.json').write_text(json.dumps(dict(record, net='lenet')))
    with pytest.raises(ValueError, match="unknown net 'lenet'"):
        evaluation.evaluate(str(run_dir), progress=False)
