"""What every registered net promises: shapes, names, parameters, and no activation of its own."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1 import ops
from ash_tf1.nets import NETS, get_net, net_options, reference_task
from ash_tf1.nets.densenet import DenseKind, densenet
from ash_tf1.nets.resnet import Block, resnet_v2
from tests.train.nets.built_nets import stand_in_for_ash


def bottleneck_net(inputs, num_classes, activation_fn, is_training, reuse=None, scope='thin'):
    """A net as small as one with every kind of bottleneck unit can be."""
    return resnet_v2(inputs, (Block(1, 16, 1, True), Block(2, 32, 2, True)), num_classes,
                     activation_fn, is_training, reuse, scope)


def densely_connected(bottleneck):
    """A DenseNet of two layers a block."""
    kind = DenseKind(2, 4, 8, bottleneck, 0.5)

    def net(inputs, num_classes, activation_fn, is_training, reuse=None, scope='thin'):
        return densenet(inputs, kind, num_classes, activation_fn, is_training, reuse, scope)
    return net


SMALL = {'resnet_v2_8': NETS['resnet_v2_8'], 'bottlenecks': bottleneck_net,
         'resnet_v1_18': NETS['resnet_v1_18'], 'dense': densely_connected(False),
         'dense_bc': densely_connected(True), 'vgg_11': NETS['vgg_11'], 'vgg_19': NETS['vgg_19']}


@pytest.mark.parametrize('name', sorted(SMALL))
def test_reuse_shares_all_variables(new_graph, name):
    images = tf.placeholder(tf.float32, [None, 32, 32, 3])
    first, _ = SMALL[name](images, 10, stand_in_for_ash, is_training=False)
    names = [v.op.name for v in tf.global_variables()]
    second, _ = SMALL[name](images, 10, stand_in_for_ash, is_training=False, reuse=True)
    assert [v.op.name for v in tf.global_variables()] == names
    for logits in (first, second):
        gradients = tf.gradients(logits, tf.trainable_variables())
        assert all(gradient is not None for gradient in gradients)
    with pytest.raises(ValueError, match='already exists'):
        SMALL[name](images, 10, stand_in_for_ash, is_training=False)
    with pytest.raises(ValueError, match='does not exist'):
        SMALL[name](images, 10, stand_in_for_ash, is_training=False, reuse=True, scope='elsewhere')


@pytest.mark.parametrize('name', sorted(SMALL))
def test_the_scope_is_an_argument(new_graph, name):
    images = tf.placeholder(tf.float32, [2, 32, 32, 1])
    SMALL[name](images, 3, stand_in_for_ash, is_training=True, scope='mine')
    assert all(v.op.name.startswith('mine/') for v in tf.global_variables())


@pytest.mark.parametrize('name', ['resnet_v2_8', 'bottlenecks', 'resnet_v1_18', 'dense',
                                  'dense_bc'])
@pytest.mark.parametrize('is_training', [True, False])
def test_only_training_updates_the_running_averages(new_graph, name, is_training):
    images = tf.placeholder(tf.float32, [None, 8, 8, 3])
    SMALL[name](images, 10, tf.nn.relu, is_training)
    averages = [v for v in tf.global_variables() if not v.trainable]
    assert averages
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    assert len(updates) == (len(averages) if is_training else 0)


@pytest.mark.parametrize('name, sizes', [('resnet_v2_8', [(16, 16), (9, 20)]),
                                         ('bottlenecks', [(8, 8), (5, 12)]),
                                         ('resnet_v1_18', [(32, 32), (45, 70)]),
                                         ('dense', [(8, 8), (9, 20)]),
                                         ('dense_bc', [(8, 8), (9, 20)]),
                                         ('vgg_11', [(32, 32)])])
def test_batch_and_where_possible_height_and_width_are_dynamic(new_graph, name, sizes):
    height, width = sizes[0] if len(sizes) == 1 else (None, None)
    images = tf.placeholder(tf.float32, [None, height, width, 3])
    logits, _ = SMALL[name](images, 10, ops.ASH, is_training=False)
    assert logits.shape.as_list() == [None, 10]
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for height, width in sizes:
            batch = np.random.RandomState(0).rand(3, height, width, 3)
            values = session.run(logits, {images: batch})
            assert values.shape == (3, 10)
            # Each image on its own gives the same answer: 1e-5, other batches round differently.
            np.testing.assert_allclose(session.run(logits, {images: batch[1:2]})[0], values[1],
                                       rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('shape, dtype', [
    ([None, 32, 32, 3], tf.uint8), ([None, 32, 32, 3], tf.int32), ([None, 32, 32], tf.float32),
    ([32, 32, 3], tf.float32), ([None, 32, 32, None], tf.float32), (None, tf.float32)])
@pytest.mark.parametrize('name', sorted(NETS))
def test_what_is_no_batch_of_images_raises(new_graph, name, shape, dtype):
    with pytest.raises(ValueError, match=r'floating-point images \[N, H, W, C\] .*, got '
                                         + dtype.name):
        NETS[name](tf.placeholder(dtype, shape), 10, tf.nn.relu, is_training=False)


def test_what_a_net_was_published_for():
    assert reference_task('wrn_28_10') == ((32, 32, 3), 10)
    assert reference_task('resnet_v1_50') == ((224, 224, 3), 1000)


def test_options_by_name(new_graph):
    assert net_options('resnet_v1_50') == {'stride_placement': 'first',
                                           'zero_init_residual': False}
    assert net_options('densenet_100_12') == {'dropout_rate': 0.0, 'recompute': True}
    assert net_options('vgg_19') == {'activation2': ''}
    assert net_options('resnet_v2_20') == {}
    net = get_net('densenet_bc_100_12', ['dropout_rate=0.25', 'recompute=false'])
    assert net.keywords == {'dropout_rate': 0.25, 'recompute': False}
    images = tf.placeholder(tf.float32, [None, 32, 32, 3])
    wide = get_net('wrn_16_4', ['dropout_rate=0.3'])
    wide(images, 10, stand_in_for_ash, is_training=False)
    assert not [op for op in new_graph.get_operations() if op.type == 'RandomUniform'
                and 'dropout' in op.name]
    wide(images, 10, stand_in_for_ash, is_training=True, reuse=True)
    # One in each of the 6 units.
    assert sum(op.type == 'RandomUniform' and 'dropout' in op.name
               for op in new_graph.get_operations()) == 6


@pytest.mark.parametrize('name, option, message', [
    ('wrn_16_4', 'dropout=0.3', "'dropout=0.3' of wrn_16_4; known are dropout_rate="),
    ('wrn_16_4', 'dropout_rate', "unknown option 'dropout_rate' of wrn_16_4"),
    ('wrn_16_4', 'dropout_rate=much', "'dropout_rate=much' of wrn_16_4 needs a float"),
    ('densenet_100_12', 'recompute=1', "'recompute=1' of densenet_100_12 needs a bool"),
    ('vgg_11', 'dropout_rate=0.3', 'of vgg_11; known are activation2='),
    ('resnet_v2_8', 'dropout_rate=0.3', 'of resnet_v2_8; it has none')])
def test_a_wrong_option_raises(name, option, message):
    with pytest.raises(ValueError, match=message):
        get_net(name, [option])


@pytest.mark.parametrize('rate', [-0.1, 1.0, float('nan')])
@pytest.mark.parametrize('name', ['wrn_16_4', 'densenet_bc_100_12'])
def test_an_impossible_dropout_rate_raises(new_graph, name, rate):
    with pytest.raises(ValueError, match=r'dropout_rate must be in \[0, 1\), got'):
        NETS[name](tf.placeholder(tf.float32, [None, 32, 32, 3]), 10, tf.nn.relu, False,
                   dropout_rate=rate)


def test_get_net_by_name():
    assert get_net('resnet_v2_20') is NETS['resnet_v2_20']
    with pytest.raises(ValueError, match="unknown net 'resnet_20'; did you mean .*resnet_v2_20.*"
                       'train --list nets'):
        get_net('resnet_20')
    with pytest.raises(ValueError, match="unknown net 'perceptron'; known are") as error:
        get_net('perceptron')
    assert all(name in str(error.value) for name in NETS)
