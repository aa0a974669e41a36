"""VGG: the published call and its scopes, and one set of variables for both interfaces."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import ash_tf1
from ash_tf1.nets import vgg
from tests.train.nets.built_nets import Recorder, build_net, stand_in_for_ash

# (scope, channels or units) in the order of the published code; pooling has no channels.
VGG11 = [('vgg_layer_01', 64), ('vgg_layer_02', None), ('vgg_layer_03', 128),
         ('vgg_layer_04', None), ('vgg_layer_05', 256), ('vgg_layer_06', 256),
         ('vgg_layer_07', None), ('vgg_layer_08', 512), ('vgg_layer_09', 512),
         ('vgg_layer_10', None), ('vgg_layer_11', 512), ('vgg_layer_12', 512),
         ('vgg_layer_13', None)]
VGG19 = [('vgg_layer_01', 64), ('vgg_layer_02', 64), ('vgg_layer_03', None),
         ('vgg_layer_04', 128), ('vgg_layer_05', 128), ('vgg_layer_06', None),
         ('vgg_layer_07', 256), ('vgg_layer_08', 256), ('vgg_layer_09', 256),
         ('vgg_layer_19', 256), ('vgg_layer_10', None),
         ('vgg_layer_11', 512), ('vgg_layer_12', 512), ('vgg_layer_13', 512),
         ('vgg_layer_20', 512), ('vgg_layer_14', None),
         ('vgg_layer_15', 512), ('vgg_layer_16', 512), ('vgg_layer_17', 512),
         ('vgg_layer_21', 512), ('vgg_layer_18', None)]
DENSE = [('dense01', 100), ('dense02', 100)]
LEGACY = {'VGG11': (ash_tf1.VGG11, VGG11), 'VGG19': (ash_tf1.VGG19, VGG19)}


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize('name, layers', [('vgg_11', VGG11), ('vgg_19', VGG19)])
def test_end_points(name, layers):
    end_points = build_net(name).end_points
    assert list(end_points) == [scope for scope, _ in layers + DENSE] + ['dense03', 'predictions']
    assert end_points['dense03'] is build_net(name).logits
    side = 32
    for scope, channels in layers:
        side = side if channels else side // 2
        assert end_points[scope].shape.as_list()[1:3] == [side, side]
        if channels:
            assert end_points[scope].shape.as_list()[3] == channels


@pytest.mark.parametrize('name', sorted(LEGACY))
def test_published_scopes_in_the_published_order(new_graph, name):
    function, layers = LEGACY[name]
    function(tf.placeholder(tf.float32, [None, 32, 32, 3]), name='mine', num_classes=7)
    kinds = {'Conv2D': 3, 'MaxPool': 3, 'MatMul': 1}
    found = [op for op in new_graph.get_operations() if op.type in kinds]
    assert [(op.name, op.type == 'MaxPool' or op.outputs[0].shape[-1].value) for op in found] == [
        ('mine/%s/%s' % (scope, 'MaxPool' if units is None else 'Conv2D'), units or True)
        for scope, units in layers] + [
        ('mine/%s/MatMul' % scope, units) for scope, units in DENSE + [('dense03', 7)]]
    # Each layer reads the one before it: what they read stands before them in that order.
    for before, after in zip(found, found[1:]):
        assert 'mine/%s/' % before.name.split('/')[1] in upstream(after)
    assert sum(op.type == 'Relu' for op in new_graph.get_operations()) == (
        sum(units is not None for _, units in layers) + 3)


def upstream(op):
    """Names of the ops between this one's first input and the layer above it, as one string."""
    names = []
    op = op.inputs[0].op
    while op.inputs and op.type not in ('Conv2D', 'MaxPool', 'MatMul'):
        names.append(op.name)
        op = op.inputs[0].op
    return ' '.join(names + [op.name])


@pytest.mark.parametrize('name', sorted(LEGACY))
def test_published_defaults(new_graph, name):
    probabilities = LEGACY[name][0](tf.placeholder(tf.float32, [None, 32, 32, 3]))
    assert probabilities.shape.as_list() == [None, 100]
    assert all(v.op.name.startswith('vgg/') for v in tf.global_variables())


def test_the_published_snippet_runs(new_graph):
    imgHolder = tf.placeholder(dtype=tf.float32, shape=(None, 256, 256, 3))  # noqa: N806
    model1 = ash_tf1.VGG11(imgHolder, activation=ash_tf1.ASH, activation2=tf.nn.relu,
                           num_classes=1000, name='vgg11')
    model2 = ash_tf1.VGG19(imgHolder, activation=ash_tf1.ASH, activation2=tf.nn.relu,
                           num_classes=1000, name='vgg19')
    thresholds = [v.op.name for v in tf.trainable_variables() if v.op.name.endswith('/z_k')]
    assert thresholds == ['%s/%s/z_k' % (net, scope)
                          for net, layers in (('vgg11', VGG11), ('vgg19', VGG19))
                          for scope, channels in layers if channels]
    image = np.random.RandomState(0).rand(1, 256, 256, 3)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for probabilities in session.run([model1, model2], {imgHolder: image}):
            assert probabilities.shape == (1, 1000)
            np.testing.assert_allclose(probabilities.sum(), 1, rtol=1e-5)
            assert np.ptp(probabilities) > 0


@pytest.mark.parametrize('name', sorted(LEGACY))
def test_activation2_is_on_all_dense_layers_logits_included(new_graph, name):
    function, layers = LEGACY[name]
    first, second = Recorder(tf.identity), Recorder(tf.zeros_like)
    probabilities = function(tf.placeholder(tf.float32, [None, 32, 32, 3]), activation=first,
                             activation2=second, num_classes=4)
    assert first.layers == ['vgg/' + scope for scope, channels in layers if channels]
    assert second.layers == ['vgg/dense01', 'vgg/dense02', 'vgg/dense03']
    # The softmax reads what activation2 made of the logits.
    assert Recorder.MARK in probabilities.op.inputs[0].op.name


@pytest.mark.parametrize('name', sorted(LEGACY))
def test_a_second_call_of_the_same_name_shares_the_variables(new_graph, name):
    images = tf.placeholder(tf.float32, [None, 32, 32, 3])
    for _ in range(2):
        LEGACY[name][0](images, activation=stand_in_for_ash, activation2=stand_in_for_ash,
                        name='shared')
    names = [v.op.name for v in tf.global_variables()]
    assert len(names) == len(set(names))
    LEGACY[name][0](images, activation=stand_in_for_ash, activation2=stand_in_for_ash, name='other')
    assert len(tf.global_variables()) == 2 * len(names)


@pytest.mark.parametrize('dense, only_published', [
    (ash_tf1.ASH, {'vgg_11/dense03/z_k', 'vgg_11/dense03/alpha'}), (tf.nn.elu, set())],
    ids=['ASH throughout', 'another activation2'])
def test_a_checkpoint_of_the_published_net_serves_the_modern_one(new_graph, tmp_path, dense,
                                                                 only_published):
    batch = np.random.RandomState(0).rand(2, 32, 32, 3)
    path = str(tmp_path / 'vgg')
    images = tf.placeholder(tf.float32, [None, 32, 32, 3])
    legacy = ash_tf1.VGG11(images, name='vgg_11', activation=ash_tf1.ASH,
                           activation2=dense, num_classes=10)
    logits = new_graph.get_tensor_by_name('vgg_11/dense03/BiasAdd:0')
    with tf.Session() as session:
        tf.set_random_seed(0)
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, path, write_meta_graph=False)
        old = {v.op.name: value
               for v, value in zip(tf.global_variables(), session.run(tf.global_variables()))}
        expected, probabilities = session.run([logits, legacy], {images: batch})
    assert np.abs(probabilities - softmax(expected)).max() > 1e-3  # it is on the published logits

    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.placeholder(tf.float32, [None, 32, 32, 3])
        logits, end_points = vgg.vgg_11(images, 10, ash_tf1.ASH, is_training=False,
                                        dense_activation_fn=dense)
        tf.train.Saver().restore(session, path)
        # All but the activation of the logits, which the modern net leaves linear.
        variables = tf.global_variables()
        assert set(old) - {v.op.name for v in variables} == only_published
        for variable, value in zip(variables, session.run(variables)):
            np.testing.assert_array_equal(value, old[variable.op.name])
        found, probabilities = session.run([logits, end_points['predictions']], {images: batch})
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(probabilities, softmax(expected), atol=1e-6)


@pytest.mark.parametrize('modern, legacy, option, activation2', [
    (vgg.vgg_11, ash_tf1.VGG11, 'relu', tf.nn.relu),
    (vgg.vgg_11, ash_tf1.VGG11, 'same', ash_tf1.ASH),
    (vgg.vgg_19, ash_tf1.VGG19, 'relu', tf.nn.relu)])
def test_activation2_gives_the_published_answers(new_graph, modern, legacy, option, activation2):
    images = tf.constant(np.random.RandomState(0).normal(size=(2, 32, 32, 3)), tf.float32)
    expected = legacy(images, 'vgg', ash_tf1.ASH, activation2, num_classes=10)
    names = [v.op.name for v in tf.global_variables()]
    logits, end_points = modern(images, 10, ash_tf1.ASH, is_training=False, reuse=True,
                                scope='vgg', activation2=option)
    assert [v.op.name for v in tf.global_variables()] == names
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        expected, found, logits = session.run([expected, end_points['predictions'], logits])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert (logits.min() == 0) == (option == 'relu')


def test_another_activation2_raises(new_graph):
    with pytest.raises(ValueError, match="activation2 must be relu or same, .* got 'elu'"):
        vgg.vgg_11(tf.zeros([1, 32, 32, 3]), 10, tf.nn.relu, False, activation2='elu')


@pytest.mark.parametrize('function', [
    ash_tf1.VGG11, ash_tf1.VGG19,
    lambda images: vgg.vgg_11(images, 10, tf.nn.relu, is_training=False),
    lambda images: vgg.vgg_19(images, 10, tf.nn.relu, is_training=False)])
@pytest.mark.parametrize('shape, message', [
    ([None, None, 32, 3], 'known height and width'), ([None, 32, None, 3], 'known height and'),
    ([None, 32, 32], 'floating-point images'), ([None, 32, 32, None], 'known channels')])
def test_a_size_that_is_not_known_raises(new_graph, function, shape, message):
    with pytest.raises(ValueError, match=message):
        function(tf.placeholder(tf.float32, shape))
