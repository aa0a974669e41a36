"""The ready rules, on checkpoints of what they are for."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
from tf_slim.nets import resnet_utils, resnet_v1, vgg

from ash_tf1 import ASH, VGG11, checkpoint, nets
from ash_tf1.checkpoint_import import import_checkpoint, importing
from ash_tf1.commands.import_checkpoint import classifier_target
from tests.train.checkpoint_import.checkpoints import random_values, save

pytestmark = pytest.mark.slow


def set_values(session, values):
    for variable in tf.global_variables():
        if variable.op.name in values:
            variable.load(values[variable.op.name], session)


@pytest.mark.slow
def test_tf_slims_resnet_gives_its_own_answers(tmp_path):
    images = np.random.RandomState(0).normal(size=(2, 64, 64, 3)).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        with slim.arg_scope(resnet_utils.resnet_arg_scope()):
            logits, _ = resnet_v1.resnet_v1_50(tf.constant(images), 10, is_training=False)
        values = random_values(tf.global_variables())
        old = save(tmp_path / 'slim' / 'm.ckpt',
                   dict(values, global_step=np.array(7, np.int64), **{
                       'resnet_v1_50/mean_rgb': np.ones(3, np.float32),
                       'resnet_v1_50/conv1/weights/Momentum': np.ones(3, np.float32)}), 'v1')
        set_values(session, values)
        expected = session.run(logits)[:, 0, 0]
    new = str(tmp_path / 'new' / 'm.ckpt')
    report = import_checkpoint(old, new, ['slim-resnet-v1'],
                               classifier_target('resnet_v1_50', 10, (64, 64, 3), 'relu'))
    assert len(report.imported) == len(values)
    assert report.reshaped == [('resnet_v1_50/logits/weights', [1, 1, 2048, 10], [2048, 10])]
    assert len(report.dropped) == 3
    with tf.Graph().as_default(), tf.Session() as session:
        logits, _ = nets.NETS['resnet_v1_50'](tf.constant(images), 10, tf.nn.relu,
                                              is_training=False, stride_placement='slim')
        checkpoint.restore(session, new)
        actual = session.run(logits)
    assert expected.std() > 0.1
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.slow
@pytest.mark.parametrize('depth', [101, 152])
def test_the_names_of_tf_slims_deeper_resnets_become_ours(tmp_path, monkeypatch, depth):
    name = 'resnet_v1_%d' % depth
    with tf.Graph().as_default(), slim.arg_scope(resnet_utils.resnet_arg_scope()):
        getattr(resnet_v1, name)(tf.placeholder(tf.float32, (1, 64, 64, 3)), 10)
        stored = {v.op.name: checkpoint.Variable(v.shape.as_list(), tf.float32)
                  for v in tf.trainable_variables() + tf.moving_average_variables()
                  + tf.get_collection(tf.GraphKeys.GLOBAL_VARIABLES, '.*moving')}
    # Only names and shapes are looked at: the weights would be 240 MB.
    old = save(tmp_path / 'm.ckpt', {'x': np.ones(1)})
    monkeypatch.setattr(importing, 'list_variables', lambda prefix: stored)
    monkeypatch.setattr(importing, 'read_variables', lambda *args: ())
    report = import_checkpoint(old, None, ['slim-resnet-v1'],
                               classifier_target(name, 10, activation='relu'), dry_run=True)
    assert len(report.imported) == len(stored) > 500


@pytest.mark.parametrize('theirs, ours, last, rules_name', [
    ('vgg_a', 'vgg_11', 'vgg_layer_13', 'slim-vgg-11'),
    ('vgg_19', 'vgg_19', 'vgg_layer_18', 'slim-vgg-19'),
])
def test_tf_slims_vgg_gives_its_own_feature_maps(tmp_path, theirs, ours, last, rules_name):
    images = np.random.RandomState(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        pixels = tf.placeholder(tf.float32, (None, None, None, 3))  # else fc6 were too large
        with slim.arg_scope(vgg.vgg_arg_scope()):
            _, end_points = getattr(vgg, theirs)(pixels, is_training=False)
        values = random_values(v for v in tf.global_variables() if '/conv' in v.op.name)
        set_values(session, values)
        expected = session.run(end_points[theirs + '/pool5'], {pixels: images})
    head = {'{}/{}'.format(theirs, name): np.ones(3, np.float32) for name in (
        'fc6/weights', 'fc6/biases', 'fc7/weights', 'fc8/biases', 'mean_rgb')}
    old = save(tmp_path / 'slim' / 'm.ckpt', dict(values, **head), 'v1')
    new = str(tmp_path / 'new' / 'm.ckpt')
    target = classifier_target(ours, 10, (32, 32, 3), 'relu')
    with pytest.raises(ValueError, match='{0} needs {0}/dense01/kernel'.format(ours)):
        import_checkpoint(old, new, [rules_name], target)
    report = import_checkpoint(old, new, [rules_name], target, initialize_missing=True)
    assert len(report.imported) == len(values)
    assert report.dropped == sorted(head)
    assert len(report.initialized) == 6
    with tf.Graph().as_default(), tf.Session() as session:
        _, end_points = nets.NETS[ours](tf.constant(images), 10, tf.nn.relu, is_training=False)
        checkpoint.restore(session, new)
        actual = session.run(end_points[last])
    assert expected.std() > 1e-3
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_the_authors_checkpoint_gives_their_answers(tmp_path):
    images = np.random.RandomState(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        answers = VGG11(tf.constant(images), activation=ASH, num_classes=7)
        values = random_values(tf.global_variables())
        set_values(session, values)
        expected = session.run(answers)
    theirs = {'global_step': np.array(5, np.int64), 'beta1_power': np.float32(0.9)}
    for name, value in values.items():
        if 'vgg_layer' in name:
            name = name.replace('/kernel', '/W').replace('/bias', '/B')
        theirs[name] = value
        theirs[name + '/Adam'] = theirs[name + '/Adam_1'] = np.zeros(3, np.float32)
    old = save(tmp_path / 'authors' / 'm.ckpt', theirs, 'v1')
    new = str(tmp_path / 'new' / 'm.ckpt')
    report = import_checkpoint(old, new, ['authors'],
                               classifier_target('vgg_11', 7, (32, 32, 3), 'ash', scope='vgg'))
    assert ('vgg/vgg_layer_01/W', 'vgg/vgg_layer_01/kernel') in report.imported
    assert len(report.imported) == len(values)
    assert report.filled == ['vgg/dense0%d/%s' % (i, name) for i in (1, 2)
                             for name in ('z_k', 'alpha')], 'which VGG11 does not have'
    assert len(report.dropped) == 2 + 2 * len(values)
    with tf.Graph().as_default(), tf.Session() as session:
        answers = VGG11(tf.constant(images), activation=ASH, num_classes=7)
        checkpoint.restore(session, new)
        actual = session.run(answers)
    assert expected.std() > 1e-3
    np.testing.assert_allclose(actual, expected, rtol=1e-5)

    report = import_checkpoint(old, None, ['authors'], dry_run=True)
    assert sorted(new for _, new in report.imported) == sorted(values), 'without a net, too'
