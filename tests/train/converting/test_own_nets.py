"""Checkpoints that another loop wrote around one of our nets: which net it is, is said."""
import json

import numpy as np
import onnx
import pytest
import tensorflow.compat.v1 as tf
from onnx import numpy_helper

from ash_tf1 import ops
from ash_tf1.commands.import_checkpoint import classifier_target
from ash_tf1.converting import foreign, onnx_model, runs, sources
from ash_tf1.nets import get_net
from ash_tf1.preprocessing import parse
from ash_tf1.tasks import TASKS
from ash_tf1.tasks.classification.adapting import GraphClassifier

SIDE, MEAN, STD = 8, 120.0, 60.0
PIXELS = np.random.RandomState(0).randint(0, 256, (5, SIDE, SIDE, 3)).astype(np.uint8)


def spec(net='tiny', activation='ash', scope=None, labels=('a', 'b', 'c'), side=SIDE):
    return classifier_target(net, len(labels), (side, side, 3), activation, scope, (), labels,
                             parse(['mean=120', 'std=60'])).spec


def train(prefix, *scopes, net='tiny', activation='ash'):
    """A loop's checkpoint of a net in each scope; returns the logits of the last for PIXELS."""
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        images = tf.placeholder(tf.uint8, (None, SIDE, SIDE, 3))
        is_training = tf.placeholder(tf.bool, ())
        for scope in scopes:
            logits, _ = get_net(net)((tf.cast(images, tf.float32) - MEAN) / STD, 3,
                                     ops.get_activation(activation), is_training, scope=scope)
        step = tf.train.get_or_create_global_step()
        loss = tf.losses.sparse_softmax_cross_entropy(tf.zeros([5], tf.int64), logits)
        with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
            train_op = tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss, step)
        session.run(tf.global_variables_initializer())
        for _ in range(5):
            session.run(train_op, {images: PIXELS, is_training: True})
        tf.train.Saver().save(session, str(prefix), write_meta_graph=False)
        return session.run(logits, {images: PIXELS, is_training: False})


def convert(folder, spec, samples=None):
    runs.convert_checkpoint(str(folder / 'net.ckpt'), TASKS['classification'], spec,
                            str(folder / 'a'), samples)


def tensor(folder, file):
    return numpy_helper.to_array(onnx.TensorProto.FromString(
        (folder / 'test_data_set_0' / file).read_bytes()))


@pytest.mark.parametrize('scope', ['tiny', 'loop/net'])
@pytest.mark.parametrize('activation', ['ash', 'f_ash_10', 'relu'])
def test_the_answers_are_those_of_the_loop(tiny, tmp_path, scope, activation):
    expected = train(tmp_path / 'net.ckpt', scope, activation=activation)
    np.save(str(tmp_path / 'pixels.npy'), PIXELS)
    convert(tmp_path, spec(activation=activation), str(tmp_path / 'pixels.npy'))
    np.testing.assert_array_equal(tensor(tmp_path / 'a', 'input_0.pb'), PIXELS)
    np.testing.assert_allclose(tensor(tmp_path / 'a', 'output_0.pb'), expected, rtol=1e-5,
                               atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.1
    values = {entry.key: entry.value
              for entry in onnx.load(str(tmp_path / 'a' / 'model.onnx')).metadata_props}
    assert (values['kind'], values['net'], values['activation'], values['samples']) == (
        'image_classifier', 'tiny', activation, 'pixels.npy')
    assert json.loads(values['labels']) == ['a', 'b', 'c']
    assert json.loads(values['preprocessing'])['mean'] == [MEAN] * 3
    assert not {'training', 'dataset'} & set(values)


def test_one_of_several_nets_is_named_by_its_scope(tiny, tmp_path):
    expected = train(tmp_path / 'net.ckpt', 'first', 'second')
    with pytest.raises(ValueError, match='in each of the scopes first, second: .* by --scope'):
        convert(tmp_path, spec())
    np.save(str(tmp_path / 'pixels.npy'), PIXELS)
    convert(tmp_path, spec(scope='second'), str(tmp_path / 'pixels.npy'))
    np.testing.assert_allclose(tensor(tmp_path / 'a', 'output_0.pb'), expected, rtol=1e-5,
                               atol=1e-5)


@pytest.mark.parametrize('trained, given, message', [
    ({}, dict(activation='relu'), 'not of tiny with relu, which has no variable tiny/.+alpha'),
    (dict(activation='relu'), {}, r'no variable tiny/.+z_k.+ of the activation ash'),
    (dict(net='tiny_deeper'), {}, 'not of tiny with ash, which has no variable tiny/.+unit_2'),
    ({}, dict(net='tiny_deeper'), r'no variable tiny/block1/unit_2\S+ (?!.*init-exclude)'),
    ({}, dict(scope='mine'), 'its variables below tiny, and not below mine'),
    ({}, dict(labels=('a', 'b')), r'logits/weights is \[16, 3\] there, \[16, 2\] here'),
])
def test_another_net_than_the_checkpoint_has_is_refused(tiny, tmp_path, trained, given, message):
    train(tmp_path / 'net.ckpt', 'tiny', **trained)
    with pytest.raises(ValueError, match=message):
        convert(tmp_path, spec(**given))
    assert not (tmp_path / 'a').exists()


def test_a_checkpoint_without_a_graph_asks_which_net_it_is_of(tiny, tmp_path):
    train(tmp_path / 'net.ckpt', 'tiny')
    with pytest.raises(ValueError, match='no graph beside it, .*net.ckpt.meta; .*--net'):
        sources.read(str(tmp_path / 'net.ckpt'))


def input_sizes(folder):
    value, = onnx.load(str(folder / 'model.onnx')).graph.input
    return [dim.dim_value or None for dim in value.type.tensor_type.shape.dim]


def freeze_any_size(folder, spec):
    return runs.freeze(TASKS['classification'], spec, str(folder / 'net.ckpt'), any_size=True)


def test_a_net_of_any_size(tiny, tmp_path):
    train(tmp_path / 'net.ckpt', 'tiny')
    runs.convert_checkpoint(str(tmp_path / 'net.ckpt'), TASKS['classification'], spec(),
                            str(tmp_path / 'a'), any_size=True, keep_graph=True)
    assert input_sizes(tmp_path / 'a') == [None, None, None, 3]
    assert tensor(tmp_path / 'a', 'input_0.pb').shape == (4, SIDE, SIDE, 3)
    graph_def = tf.GraphDef.FromString((tmp_path / 'a' / 'frozen_graph.pb').read_bytes())
    images = np.random.RandomState(0).randint(0, 256, (2, 12, 10, 3))
    whole = freeze_any_size(tmp_path, spec(side=12))
    found, expected = (onnx_model.run_frozen(each, whole.signature, images)[0]
                       for each in (graph_def, whole.graph_def))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match='vgg_11 does not take images of any size: VGG needs'):
        freeze_any_size(tmp_path, spec(net='vgg_11', side=32))


def test_a_graph_of_any_size_becomes_a_classifier(tmp_path):
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, (None, None, None, 3), name='x')
        tf.identity(tf.reduce_mean(tf.square(x), [1, 2]), name='scores')
        (tmp_path / 'graph.pb').write_bytes(graph.as_graph_def().SerializeToString())
    with pytest.raises(ValueError, match='none of normalised images .* --input-size'):
        foreign.convert(str(tmp_path / 'graph.pb'), str(tmp_path / 'a'),
                        foreign.Options(adapter=GraphClassifier(['a', 'b', 'c'])))
    foreign.convert(str(tmp_path / 'graph.pb'), str(tmp_path / 'a'), foreign.Options(
        adapter=GraphClassifier(['a', 'b', 'c'], size=(SIDE, 10))))
    assert input_sizes(tmp_path / 'a') == [None, None, None, 3]
    assert tensor(tmp_path / 'a', 'input_0.pb').shape == (4, SIDE, 10, 3)
    values = {entry.key: entry.value
              for entry in onnx.load(str(tmp_path / 'a' / 'model.onnx')).metadata_props}
    assert json.loads(values['input_shape']) == [SIDE, 10, 3]
