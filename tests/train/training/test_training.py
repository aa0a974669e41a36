"""What a short run gives: a falling loss, its folder and log, its best checkpoint, its seed.

Where two runs are compared, values agree to float32 rounding that 15 steps on 2 threads have had
time to enlarge: 1e-4 relative, 1e-5 absolute.
"""
import csv
import dataclasses
import json
import re
import shutil

import cv2
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from matplotlib.figure import Figure

from ash_tf1 import input_pipelines
from ash_tf1.checkpoint import find_checkpoint
from ash_tf1.input_pipelines.loading import epoch_batches
from ash_tf1.input_pipelines.transforms import get_augmentation
from ash_tf1.ops import resolve
from ash_tf1.tasks import TASKS
from ash_tf1.tasks.classification.evaluation import Evaluation
from ash_tf1.training import graph as training_graph
from ash_tf1.training import hooks, pictures, plotting, train
from ash_tf1.training.run_dir import load_model, load_settings, read_rows
from ash_tf1.training.run_log import ACTIVATIONS, metrics_columns
from tests.train.miniature import (
    contents,
    read_weights,
    registered_tiny,
    tiny_settings,
    train_quietly,
)

TASK = TASKS['classification']
METRICS = metrics_columns(['loss', 'top1'])

LAYERS = ['tiny/block1/unit_1/preact', 'tiny/block1/unit_1/conv1', 'tiny/postnorm']


def metrics(run_dir, split):
    return [row for row in read_rows(str(run_dir / 'metrics.csv')) if row['split'] == split]


def column(rows, name):
    return [float(row[name]) for row in rows]


def test_the_loss_falls(tiny_run):
    losses = column(metrics(tiny_run, 'train'), 'loss')
    assert len(losses) == 15
    assert np.mean(losses[-5:]) < 0.75 * np.mean(losses[:5])
    assert column(metrics(tiny_run, 'validation'), 'top1')[-1] > 0.5  # a third is chance


def test_the_result_says_how_far_the_run_came(tiny, tmp_path):
    result = train_quietly(tiny_settings(epochs=0, steps=7, activation='relu'), tmp_path, plot=True)
    assert result == (7, 7, None, str(tmp_path / 'learning_curve.png'))
    # A run may end in mid-epoch, and is saved and evaluated there too.
    assert find_checkpoint(str(tmp_path)) == str(tmp_path / 'model.ckpt-7')
    assert column(metrics(tmp_path, 'validation'), 'step') == [5, 7]


def test_a_run_folder_holds_what_the_docstring_says(tiny_run):
    events = [name for name in contents(tiny_run) if 'tfevents' in name]
    assert len(events) == 1
    best = int(find_checkpoint(str(tiny_run / 'best')).rsplit('-', 1)[1])
    checkpoints = ['model.ckpt-10', 'model.ckpt-15', 'best/model.ckpt-{}'.format(best)]
    assert sorted(contents(tiny_run)) == sorted(
        events + ['.lock', 'settings.json', 'model.json', 'metrics.csv', 'activations.csv',
                  'learning_curve.png', 'checkpoint', 'best/checkpoint']
        + [prefix + ending for prefix in checkpoints
           for ending in ('.index', '.data-00000-of-00001')])
    assert load_settings(str(tiny_run)) == tiny_settings(implementation=resolve('auto'))
    task, spec = load_model(str(tiny_run))
    assert task is TASK
    assert (spec.net, spec.activation, spec.labels) == ('tiny', 'ash', ('dark', 'grey', 'light'))
    # Moved elsewhere, a run must still be found: no path in it is absolute.
    for state in ('checkpoint', 'best/checkpoint'):
        assert str(tiny_run) not in (tiny_run / state).read_text()


def test_the_metrics_have_a_row_a_step_and_a_row_an_evaluation(tiny_run):
    header = (tiny_run / 'metrics.csv').read_text().splitlines()[0]
    assert header == ','.join(METRICS)
    train, validation = metrics(tiny_run, 'train'), metrics(tiny_run, 'validation')
    steps = np.arange(1, 16)
    np.testing.assert_array_equal(column(train, 'step'), steps)
    np.testing.assert_array_equal(column(validation, 'step'), [5, 10, 15])
    np.testing.assert_allclose(column(train, 'epoch'), steps / 5)
    assert column(validation, 'epoch') == [1, 2, 3]
    assert all(row['learning_rate'] == row['images_per_second'] == '' for row in validation)
    assert min(column(train, 'images_per_second')) > 0
    # Step n is made with the rate of n - 1 steps done.
    share = (steps - 1) / 15
    falling = 1e-4 + (1 - 1e-4) * 0.5 * (1 + np.cos(np.pi * (share - 0.3) / 0.7))
    expected = 0.1 * np.where(share < 0.3, 1 / 25 + 24 / 25 * share / 0.3, falling)
    np.testing.assert_allclose(column(train, 'learning_rate'), expected, rtol=1e-5)


@pytest.fixture(scope='module')
def second_run(tmp_path_factory):
    """The same run again, but for what is logged."""
    run_dir = tmp_path_factory.mktemp('second')
    with registered_tiny():
        train_quietly(tiny_settings(log_every=3), run_dir)
    return run_dir


def test_log_every_averages_and_the_first_step_and_an_epochs_end_close_an_interval(
        tiny_run, second_run):
    rows = metrics(second_run, 'train')
    assert column(rows, 'step') == [1, 3, 5, 6, 9, 10, 12, 15]
    single = column(metrics(tiny_run, 'train'), 'loss')
    intervals = [(0, 1), (1, 3), (3, 5), (5, 6), (6, 9), (9, 10), (10, 12), (12, 15)]
    np.testing.assert_allclose(column(rows, 'loss'),
                               [np.mean(single[first:last]) for first, last in intervals],
                               rtol=1e-4, atol=1e-5)


def test_the_activations_have_a_row_a_layer_and_epoch(tiny_run):
    text = (tiny_run / 'activations.csv').read_text()
    assert text.splitlines()[0] == ','.join(ACTIVATIONS)
    rows = read_rows(str(tiny_run / 'activations.csv'))
    assert [(int(row['step']), row['layer']) for row in rows] == [
        (step, layer) for step in (5, 10, 15) for layer in LAYERS]
    assert all(0 < share < 1 for share in column(rows, 'pass_share'))
    for step in (10, 15):
        weights = read_weights(tiny_run / 'model.ckpt-{}'.format(step))
        for row in rows:
            if int(row['step']) == step:
                for name in ('z_k', 'alpha'):
                    assert float(row[name]) == weights['{}/{}'.format(row['layer'], name)][0]
    assert len(set(column(rows, 'z_k'))) == len(rows), 'every z_k is trained'


@pytest.mark.parametrize('activation, layers', [('f_ash_50', LAYERS), ('elu', [])])
def test_activations_without_a_z_k(tiny, tmp_path, activation, layers):
    train_quietly(tiny_settings(activation=activation, epochs=1), tmp_path, plot=True)
    rows = read_rows(str(tmp_path / 'activations.csv'))
    assert [row['layer'] for row in rows] == layers
    assert all(row['z_k'] == '' and float(row['alpha']) != 1.0 for row in rows)
    assert (tmp_path / plotting.CURVE_FILE).stat().st_size > 1000


def test_tensorboard_has_the_settings_and_pictures_of_the_input(tiny, tiny_run):
    event_file, = tiny_run.glob('events.out.tfevents.*')
    found = {value.tag: value for event in tf.train.summary_iterator(str(event_file))
             for value in event.summary.value if event.step == 0}
    assert found['settings'].metadata.plugin_data.plugin_name == 'text'
    text = tf.make_ndarray(found['settings'].tensor).item().decode()
    assert '| learning_rate | `0.1` |' in text and '| net | `tiny` |' in text
    picture = found['inputs/image'].image
    image = cv2.imdecode(np.frombuffer(picture.encoded_image_string, np.uint8), 1)[..., ::-1]
    assert image.shape == (picture.height, picture.width, 3)
    settings = load_settings(str(tiny_run))
    first = next(epoch_batches(tiny().train, 8, settings.seed, 0,
                               get_augmentation(settings.augmentation)))['image']
    np.testing.assert_array_equal(image, pictures.grid(first))


@pytest.fixture
def panels(monkeypatch):
    """The axes of each learning curve that is drawn, by title: lists of (x, y, marker)."""
    drawn = []

    def savefig(figure, path, dpi):
        drawn.append({axes.get_title(): [(line.get_xdata(), line.get_ydata(), line.get_marker())
                                         for line in axes.lines] for axes in figure.axes})
        open(path, 'wb').close()
    monkeypatch.setattr(Figure, 'savefig', savefig)
    return drawn


def test_the_learning_curve_has_markers_where_a_series_is_short_and_no_empty_panel(
        tiny_run, tmp_path, panels):
    names = ['metrics.csv', 'activations.csv', 'settings.json']
    for name in names:
        shutil.copy(str(tiny_run / name), str(tmp_path / name))
    plotting.plot_learning_curve(str(tmp_path), TASK.metrics)
    shares = 'Units above the threshold, by layer'
    assert list(panels[0]) == ['Cross-entropy', 'Top-1 accuracy', 'Learning rate', shares]
    train, validation = panels[0]['Cross-entropy']
    assert train[0][0] == 0.2 and train[2] == validation[2] == 'o'  # from the first step on
    assert len(panels[0][shares]) == len(LAYERS)

    rows = read_rows(str(tmp_path / 'metrics.csv'))
    train = [dict(row, epoch=1 + i / 10, top1='') for i, row in enumerate(2 * rows)
             if row['split'] == 'train']
    with open(str(tmp_path / 'metrics.csv'), 'w', newline='') as handle:
        writer = csv.DictWriter(handle, METRICS)
        writer.writeheader()
        writer.writerows(train)
    (tmp_path / 'activations.csv').unlink()
    plotting.plot_learning_curve(str(tmp_path), TASK.metrics)
    assert list(panels[1]) == ['Cross-entropy', 'Learning rate']
    assert {line[2] for lines in panels[1].values() for line in lines} == {'None'}  # 30 points


def test_tensorboard_reads_what_the_csv_files_hold(tiny_run):
    event_file, = tiny_run.glob('events.out.tfevents.*')
    values = {(value.tag, event.step): value.simple_value
              for event in tf.train.summary_iterator(str(event_file))
              for value in event.summary.value if value.WhichOneof('value') == 'simple_value'}
    expected = {}
    for row in read_rows(str(tiny_run / 'metrics.csv')):
        for name in METRICS[3:]:
            if row[name]:
                expected['{}/{}'.format(row['split'], name), int(row['step'])] = float(row[name])
    for row in read_rows(str(tiny_run / 'activations.csv')):
        for name in ACTIVATIONS[2:]:
            expected['{}/{}'.format(row['layer'], name), int(row['step'])] = float(row[name])
    assert values == pytest.approx(expected, rel=1e-6)  # TensorBoard has float32


def test_the_seed_decides_everything(tiny, tiny_run, second_run, tmp_path):
    train_quietly(tiny_settings(seed=1, epochs=0, steps=1), tmp_path)
    expected = read_weights(tiny_run / 'model.ckpt-15')
    actual = read_weights(second_run / 'model.ckpt-15')
    assert sorted(actual) == sorted(expected)
    for name in expected:
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-4, atol=1e-5)
    first, other = (column(metrics(run, 'train'), 'loss')[0] for run in (tiny_run, tmp_path))
    assert abs(first - other) > 1e-3


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_last_checkpoint(
        tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(training_graph, 'learning_rate', lambda settings, step, total: tf.where(
        tf.cast(step, tf.int64) < 6, 0.05, 1e30))
    with pytest.raises(hooks.DivergedError, match=r'(nan|inf) at step 8 .*rate 1e\+30'):
        train_quietly(tiny_settings(), tmp_path)
    assert find_checkpoint(str(tmp_path)) == str(tmp_path / 'model.ckpt-5')
    weights = read_weights(tmp_path / 'model.ckpt-5')
    assert all(np.all(np.isfinite(value)) for value in weights.values())
    # The run stopped before that loss was logged.
    assert column(metrics(tmp_path, 'train'), 'step') == [1, 2, 3, 4, 5, 6, 7]


def test_weights_that_are_no_numbers_are_never_saved(tiny, tmp_path, monkeypatch):
    # The last step of epoch 2 breaks them: no loss tells, for none is computed with them.
    monkeypatch.setattr(training_graph, 'learning_rate', lambda settings, step, total: tf.where(
        tf.cast(step, tf.int64) < 9, 0.05, float('inf')))
    with pytest.raises(hooks.DivergedError, match='weights after step 10 are not finite'):
        train_quietly(tiny_settings(activation='relu'), tmp_path)
    assert find_checkpoint(str(tmp_path)) == str(tmp_path / 'model.ckpt-5')
    assert find_checkpoint(str(tmp_path / 'best')) == str(tmp_path / 'best' / 'model.ckpt-5')
    assert column(metrics(tmp_path, 'validation'), 'step') == [5]


@pytest.fixture
def scripted_accuracies(monkeypatch):
    """Function of accuracies: the evaluations of a run give these, one after the other."""
    def script(*accuracies):
        answers = iter(accuracies)

        def evaluate_split(session, graph, split, batch_size):
            correct, count = next(answers)
            labels = np.zeros(count, np.int64)
            return Evaluation(1.0, (np.arange(count) >= correct).astype(np.int64), labels,
                              np.ones(count, bool))
        monkeypatch.setattr(hooks, 'evaluate_split', evaluate_split)
    return script


def test_the_best_checkpoint_is_kept_apart(tiny, tmp_path, scripted_accuracies):
    scripted_accuracies((1, 10), (9, 10), (5, 10))
    train_quietly(tiny_settings(activation='relu'), tmp_path)
    assert find_checkpoint(str(tmp_path / 'best')) == str(tmp_path / 'best' / 'model.ckpt-10')
    assert len(contents(tmp_path / 'best')) == 3
    best, then = (read_weights(tmp_path / place / 'model.ckpt-10') for place in ('best', '.'))
    for name in then:
        np.testing.assert_array_equal(best[name], then[name])


@pytest.mark.parametrize('accuracies, kept', [
    pytest.param([(5, 10), (9, 10)], ['model.ckpt-10'], id='better'),
    pytest.param([(1, 3), (1, 3)], ['model.ckpt-5'], id='equal'),  # no rounding makes it better
])
def test_a_resumed_run_knows_the_best_before_it(tiny, tmp_path, scripted_accuracies, before_step,
                                                accuracies, kept):
    scripted_accuracies(*accuracies)
    settings = tiny_settings(activation='relu', epochs=2)

    def crash():
        raise RuntimeError('lost power')
    before_step(7, crash)
    with pytest.raises(RuntimeError, match='lost power'):
        train_quietly(settings, tmp_path)
    before_step()
    train_quietly(settings, tmp_path, resume=True)
    assert sorted({name.split('.index')[0] for name in contents(tmp_path / 'best')
                   if name.endswith('.index')}) == kept


def test_a_folder_named_like_a_pattern_is_trained_in_or_refused_at_once(tiny, tmp_path):
    run_dir = tmp_path / 'run[1]'
    try:
        train_quietly(tiny_settings(activation='relu', epochs=0, steps=1), run_dir)
    except ValueError:
        assert not run_dir.exists()


def test_json_files_are_read_by_anyone(tiny_run):
    assert json.loads((tiny_run / 'settings.json').read_text())['learning_rate'] == 0.1
    assert json.loads((tiny_run / 'model.json').read_text())['input_shape'] == [8, 8, 3]


def test_without_a_validation_split_nothing_is_chosen(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(input_pipelines.DATASETS, 'tiny', lambda data_dir: dataclasses.replace(
        tiny(), validation=None))
    settings = tiny_settings(epochs=2, validation_share=0.0)
    assert train_quietly(settings, tmp_path, plot=True).step == 10
    assert not (tmp_path / 'best').exists()
    assert {row['split'] for row in read_rows(str(tmp_path / 'metrics.csv'))} == {'train'}
    rows = read_rows(str(tmp_path / 'activations.csv'))
    assert [int(row['step']) for row in rows] == [5] * 3 + [10] * 3


def test_the_test_split_is_not_looked_at(tiny, tmp_path, monkeypatch):
    class Sealed(input_pipelines.ArraySplit):
        def __getitem__(self, index):
            assert index == 0, 'only its size is looked at'
            return super().__getitem__(index)

        def batch(self, indices):
            raise AssertionError('the test split is read')
    monkeypatch.setitem(input_pipelines.DATASETS, 'tiny', lambda data_dir: dataclasses.replace(
        tiny(), test=Sealed(**tiny().test.arrays)))
    train_quietly(tiny_settings(activation='relu', epochs=1), tmp_path)
    assert (tmp_path / 'best').is_dir()


def test_an_aborted_op_ends_the_run(tiny, tmp_path, monkeypatch):
    """TensorFlow's monitored session would go on from the old checkpoint with the later batches."""
    after_run = hooks.StopAtNonFiniteLoss.after_run

    def abort_once(self, run_context, run_values):
        after_run(self, run_context, run_values)
        if run_values.results[1] == 7:
            monkeypatch.undo()
            raise tf.errors.AbortedError(None, None, 'a worker went away')
    monkeypatch.setattr(hooks.StopAtNonFiniteLoss, 'after_run', abort_once)
    with pytest.raises(tf.errors.AbortedError):
        train_quietly(tiny_settings(activation='relu'), tmp_path)
    assert find_checkpoint(str(tmp_path)) == str(tmp_path / 'model.ckpt-5')


def test_the_line_of_an_epoch_has_the_training_loss_and_the_times(tiny, tmp_path, monkeypatch):
    clock = [0.0]

    def tick(session, graph, split, batch_size):
        clock[0] += 60  # each evaluation takes a minute, all else nothing
        return evaluate_split(session, graph, split, batch_size)
    evaluate_split = hooks.evaluate_split
    monkeypatch.setattr(hooks, 'evaluate_split', tick)
    monkeypatch.setattr(hooks.time, 'monotonic', lambda: clock[0])
    monkeypatch.setattr(plotting, 'plot_learning_curve', lambda run_dir, metrics: None)
    lines = []
    train(tiny_settings(), str(tmp_path), progress=False, report=lines.append)
    found = [line for line in lines if line.startswith('epoch ')]
    rows = [row for row in read_rows(str(tmp_path / 'metrics.csv')) if row['step'] == '10']
    texts = ['{} loss {:.4f}, top-1 {:.2%}'.format(row['split'], float(row['loss']),
                                                   float(row['top1'])) for row in rows]
    assert len(found) == 3 and len(texts) == 2
    assert found[1].startswith('epoch 2: {}; {} (best '.format(*texts))
    assert [line.rpartition('; ')[2] for line in found] == [
        'took 0:01:00, 0:02:00 left', 'took 0:01:00, 0:01:00 left', 'took 0:01:00']


@pytest.mark.parametrize('shown', [True, False])
def test_a_line_a_minute_where_there_is_no_terminal(tiny, tmp_path, monkeypatch, shown):
    monkeypatch.setattr(plotting, 'plot_learning_curve', lambda run_dir, metrics: None)
    monkeypatch.setattr(hooks.ShowProgress, 'SECONDS', 0)
    lines = []
    train(tiny_settings(activation='relu', epochs=1), str(tmp_path), progress=shown,
          report=lines.append)
    found = [line for line in lines if line.startswith('step ')]
    assert len(found) == (5 if shown else 0)
    if shown:
        assert re.fullmatch(r'step 4 of 5, loss \S+, top-1 \S+; \S+ s a step, 0:00:0\d left',
                            found[3])
