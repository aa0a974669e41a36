"""A GAN as a task: its losses, steps and averages, and its way from a run to an artifact."""
import json

import cv2
import numpy as np
import onnx
import pytest
import tensorflow.compat.v1 as tf
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from ash_tf1.input_pipelines.loading import ordered_batches
from ash_tf1.tasks import TASKS
from ash_tf1.tasks.base import Alarm
from ash_tf1.tasks.generation import latent
from ash_tf1.tasks.generation.task import Gan
from ash_tf1.training.evaluation import evaluate
from ash_tf1.training.graph import build_training_graph
from ash_tf1.training.hooks import WarnAtAlarms
from ash_tf1.training.run_dir import read_rows
from tests.train.miniature import (
    read_weights,
    tiny_gan_settings,
    tiny_photos,
    tiny_settings,
    train_quietly,
)

TASK = TASKS['generation']


@pytest.fixture(scope='module')
def run_dir(tmp_path_factory):
    from tests.train.miniature import registered_tiny
    folder = tmp_path_factory.mktemp('gan') / 'run'
    with registered_tiny():
        # Long enough for the averages of BatchNorm to settle: 36 steps.
        train_quietly(tiny_gan_settings(epochs=12, keep=1, keep_every=5), folder, plot=True)
    return folder


@pytest.mark.parametrize('smoothing', [0.0, 0.1])
def test_the_losses(smoothing):
    """By the definition in numpy; float32 rounding."""
    real, fake = np.array([2.0, -1.0, 0.5]), np.array([-3.0, 0.25, 1.0])
    with tf.Graph().as_default(), tf.Session() as session:
        objectives = TASK.objectives(
            Gan(None, *(tf.constant(logits, tf.float32) for logits in (real, fake))), {},
            tiny_gan_settings(label_smoothing=smoothing))
        found = session.run([objective.loss for objective in objectives])
    assert [objective.name for objective in objectives] == ['discriminator_loss', 'generator_loss']
    p, q = 1 / (1 + np.exp(-real)), 1 / (1 + np.exp(-fake))
    target = 1 - smoothing
    # The Kullback-Leibler divergence from what the discriminator says to the targets.
    divergence = target * np.log(target / p)
    if smoothing:
        divergence += (1 - target) * np.log((1 - target) / (1 - p))
    np.testing.assert_allclose(found, [np.mean(divergence) - np.mean(np.log(1 - q)),
                                       -np.mean(np.log(q))], rtol=1e-5)


def test_a_step_trains_each_net_by_its_own_loss_and_moves_the_averages(tiny):
    settings = tiny_gan_settings()
    dataset = tiny_photos()
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        spec = TASK.spec(settings, dataset)
        graph = build_training_graph(TASK, spec, settings, 6)
        session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
        feed = graph.feed(next(ordered_batches(TASK.prepare(spec, dataset).train, 8)))

        def values():
            return dict(zip([v.op.name for v in tf.global_variables()],
                            session.run(tf.global_variables())))

        def batch_mean(op):  # of the units that BatchNorm normalises
            return session.run(tf.reduce_mean(
                tf.get_default_graph().get_tensor_by_name(op), [0, 1, 2]), feed)
        real = batch_mean('dcgan/discriminator/conv_1/BiasAdd:0')
        before = values()
        session.run(graph.train_ops[0], feed)
        middle = values()
        made = batch_mean('dcgan/generator/deconv_1/BiasAdd:0')
        session.run(graph.train_ops[1], feed)
        after = values()
    changed = [{name for name in one if not np.array_equal(one[name], other[name])}
               for one, other in ((before, middle), (middle, after))]
    for names, own, other in zip(changed, ('discriminator', 'generator'),
                                 ('generator', 'discriminator')):
        assert {'dcgan/{}/{}'.format(own, layer) for layer in (
            ('conv_0/weights', 'logits/biases') if own == 'discriminator' else
            ('project/weights', 'deconv_1/z_k', 'images/biases'))} <= names
        assert not {name for name in names if name.startswith('dcgan/' + other)}
    assert 'global_step' not in changed[0] and 'global_step' in changed[1]
    # The decay is 0.9, and the averages begin at 0.
    np.testing.assert_allclose(after['dcgan/discriminator/conv_1/BatchNorm/moving_mean'],
                               0.1 * real, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(after['dcgan/generator/deconv_1/BatchNorm/moving_mean'],
                               0.1 * made, rtol=1e-4, atol=1e-7)


def test_the_log_has_the_loss_of_each_objectives_own_step(tiny):
    """The discriminator's loss is that before its step, though the log asks after it."""
    settings = tiny_gan_settings(activation='relu')
    dataset = tiny_photos()
    with tf.Graph().as_default(), tf.Session() as session:
        spec = TASK.spec(settings, dataset)
        graph = build_training_graph(TASK, spec, settings, 6)
        again = TASK.objectives(TASK.forward(graph.feeds, spec, tf.nn.relu, True, reuse=True),
                                graph.feeds, settings)[0].loss
        session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
        feed = graph.feed(next(ordered_batches(TASK.prepare(spec, dataset).train, 8)))
        expected = session.run(again, feed)
        session.run(graph.train_ops[0], feed)
        _, found = session.run([graph.train_ops[1], graph.losses['discriminator_loss']], feed)
        later = session.run(again, feed)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert abs(later - expected) > 1e-3


def test_what_a_run_leaves(run_dir, tiny):
    names = {path.name for path in run_dir.iterdir()}
    assert {name for name in names if name.endswith('.index')} == {
        'model.ckpt-{}.index'.format(step) for step in (15, 30, 36)}  # epochs 5, 10 and 12
    assert 'best' not in names
    assert sorted(path.name for path in (run_dir / 'pictures').iterdir()) == [
        'samples-epoch-{:04d}.png'.format(epoch) for epoch in range(1, 13)]
    rows = read_rows(str(run_dir / 'metrics.csv'))
    validation = [row for row in rows if row['split'] == 'validation']
    assert len(validation) == 12 and float(validation[-1]['diversity']) > 0.01
    assert all(float(row[name]) > 0 for row in rows if row['split'] == 'train'
               for name in ('discriminator_loss', 'generator_loss', 'diversity'))
    found = evaluate(str(run_dir), split='validation', progress=False).evaluation
    assert found.metrics['diversity'] == pytest.approx(float(validation[-1]['diversity']),
                                                       rel=1e-3)


def test_the_artifact_makes_the_grid_of_the_run(run_dir, tmp_path, tiny):
    from ash_tf1.converting import runs
    exported = runs.export(str(run_dir), str(tmp_path / 'artifact'), samples=4)
    assert exported.samples == 4
    model = onnx.load(str(tmp_path / 'artifact' / 'model.onnx'))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert (metadata['kind'], metadata['net']) == ('generator', 'dcgan')
    assert json.loads(metadata['latent']) == {'distribution': 'uniform', 'low': -1.0, 'high': 1.0}
    assert json.loads(metadata['tolerance'])['integer_levels'] == 1
    assert (tmp_path / 'artifact' / 'README.md').read_text().splitlines()[2].startswith(
        'A generator of images, converted')
    z, images = (numpy_helper.to_array(onnx.TensorProto.FromString(
        (tmp_path / 'artifact' / 'test_data_set_0' / name).read_bytes()))
        for name in ('input_0.pb', 'output_0.pb'))
    np.testing.assert_array_equal(z, latent.fixed(4, 5))
    grid = cv2.imread(str(run_dir / 'pictures' / 'samples-epoch-0012.png'))[..., ::-1]
    drawn = [grid[:32, 34 * number:34 * number + 32] for number in range(4)]
    np.testing.assert_allclose(images.astype(int), drawn, atol=1)
    assert images.std() > 1  # a grey picture would pass too
    answers, = ReferenceEvaluator(model).run(None, {'z': z})
    assert answers.dtype == np.uint8
    np.testing.assert_allclose(answers.astype(int), images, atol=1)


def test_the_fixed_z_depend_on_their_numbers_alone():
    np.testing.assert_array_equal(latent.fixed(5, 7, first=3)[1], latent.fixed(9, 7)[4])
    z = latent.fixed(200, 100)
    assert z.dtype == np.float32 and -1 <= z.min() < -0.99 and 0.99 < z.max() < 1
    assert abs(z.mean()) < 0.02 and abs(z.std() - 3 ** -0.5) < 0.01


def test_diversity_is_the_variance_beside_that_of_the_images():
    from ash_tf1.tasks.generation.evaluation import DiversityEvaluator, diversity
    rng = np.random.RandomState(0)
    made, real = (rng.randint(0, 256, (12, 4, 4, 3)).astype(np.uint8) // divisor
                  for divisor in (2, 1))
    expected = made.var(axis=0).mean() / real.var(axis=0).mean()
    with tf.Session() as session:
        assert session.run(diversity(made, real)) == pytest.approx(expected, rel=1e-5)
    found = DiversityEvaluator(None).summarize(
        (made[part], {'image': real[part]}) for part in (slice(5), slice(5, None)))
    assert found.count == 12
    assert found.metrics['diversity'] == pytest.approx(expected, rel=1e-9)


def test_an_alarm_sounds_once_for_each_time_that_a_metric_stays_low():
    said = []
    with tf.Graph().as_default(), tf.Session() as session:
        loss = tf.placeholder(tf.float32, ())

        class Graph:
            metrics, step = {'loss': loss}, tf.constant(7)
        hook = WarnAtAlarms((Alarm('loss', 0.05, 3, 'the other net learns nothing'),), Graph,
                            said.append)

        class Values:
            pass
        for value in [0.01, 0.01, 0.2, 0.01, 0.01, 0.01, 0.01, 0.2, 0.01, 0.01, 0.01]:
            Values.results = session.run(hook.before_run(None).fetches, {loss: value})
            hook.after_run(None, Values)
    assert len(said) == 2
    assert said[0] == ('warning at step 7: loss was below 0.05 for 3 steps: the other net learns '
                       'nothing')


@pytest.mark.parametrize('changes, message', [
    (dict(net='resnet_v2_8'), "unknown generator 'resnet_v2_8'; known are dcgan"),
    (dict(net_options=('width=0',)), 'option width of dcgan must be 1 to 4096, got 0'),
    (dict(net_options=('discriminator_activation=swich',)), "unknown activation 'swich'"),
    (dict(dataset='tiny'), 'side must be one of 32, 64, 128, got 8'),
    (dict(activation='nothing'), "unknown activation 'nothing'")])
def test_what_does_not_fit_is_refused_before_a_folder_is_made(tiny, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        train_quietly(tiny_gan_settings(**changes), tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_generation_needs_images(tiny, tmp_path, monkeypatch):
    from ash_tf1 import input_pipelines
    from tests.train.training.toy_regression import points
    monkeypatch.setitem(input_pipelines.DATASETS, 'points', points)
    with pytest.raises(ValueError, match='needs a data set of images of one size, points is none'):
        train_quietly(tiny_gan_settings(dataset='points'), tmp_path / 'run')
    with pytest.raises(ValueError, match='images with labels, data set tiny_photos has none; '
                                         '.* take the data set folder'):
        train_quietly(tiny_settings(dataset='tiny_photos'), tmp_path / 'run')


def test_adam_takes_the_steps_of_its_paper():
    """Algorithm 1 of arXiv 1412.6980 in numpy; float32 rounding. Its epsilon is TensorFlow's."""
    from ash_tf1.training.optimizer import make_optimizer
    settings = tiny_gan_settings(learning_rate=0.1, beta1=0.5, beta2=0.9)
    start, pulls = np.array([1.0, -2.0, 3.0]), np.array([0.5, 2.0, -1.0])
    with tf.Graph().as_default(), tf.Session() as session:
        weights = tf.Variable(start, dtype=tf.float32)
        step = make_optimizer(settings, 0.1).minimize(
            tf.reduce_sum(tf.constant(pulls, tf.float32) * tf.square(weights)))
        session.run(tf.global_variables_initializer())
        for _ in range(5):
            session.run(step)
        found = session.run(weights)
    expected, mean, square = start.copy(), 0, 0
    for t in range(1, 6):
        gradient = 2 * pulls * expected
        mean, square = 0.5 * mean + 0.5 * gradient, 0.9 * square + 0.1 * gradient ** 2
        expected -= 0.1 * (mean / (1 - 0.5 ** t)) / (np.sqrt(square / (1 - 0.9 ** t)) + 1e-8)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_gan_of_its_own_weights_begins_another(run_dir, tmp_path, tiny):
    train_quietly(tiny_gan_settings(init_from=str(run_dir), steps=1, epochs=0,
                                    learning_rate=1e-9), tmp_path / 'run')
    before = read_weights(run_dir / 'model.ckpt-36')
    after = read_weights(tmp_path / 'run' / 'model.ckpt-1')
    for name in ('dcgan/generator/project/weights', 'dcgan/discriminator/conv_2/weights',
                 'dcgan/generator/deconv_2/alpha'):
        np.testing.assert_allclose(after[name], before[name], atol=1e-6)
