"""The layer table: against a net whose figures are known, and against TensorFlow's own profiler."""
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from ash_tf1 import ops
from ash_tf1.nets import NETS
from ash_tf1.nets.summary import Layer, summarize

pytestmark = pytest.mark.fast


def odd_net(inputs, num_classes, activation_fn, is_training, reuse=None, scope='odd'):
    """Every kind of layer once, activations that are shared with it, apart from it, or missing."""
    with tf.variable_scope(scope, reuse=reuse):
        net = slim.conv2d(inputs, 4, [3, 5], stride=2, activation_fn=activation_fn, scope='conv')
        net = slim.max_pool2d(net, 2, scope='pool')
        net = slim.separable_conv2d(net, None, 3, depth_multiplier=2, activation_fn=None,
                                    scope='depthwise')
        with tf.variable_scope('norm'):
            net = activation_fn(slim.batch_norm(net, is_training=is_training, scale=True))
        net = tf.reduce_mean(net, [1, 2], name='global_pool')
        return slim.fully_connected(net, num_classes, activation_fn=None, scope='logits'), {}


def test_a_layer_table_by_hand():
    summary = summarize(odd_net, (12, 8, 3), 5, ops.ASH, 'ash')
    assert summary.layers == (
        Layer('conv', (6, 4, 4), 3 * 5 * 3 * 4 + 4, 6 * 4 * 3 * 5 * 3 * 4, 'ash', 2),
        Layer('pool', (3, 2, 4), 0, 0, '', 0),
        Layer('depthwise', (3, 2, 8), 3 * 3 * 4 * 2 + 8, 3 * 2 * 3 * 3 * 4 * 2, '', 0),
        Layer('norm', (3, 2, 8), 16, 0, 'ash', 2),
        Layer('global_pool', (8,), 0, 0, '', 0),
        Layer('logits', (5,), 45, 40, '', 0))
    assert summary.parameters == 184 + 80 + 16 + 45
    assert summary.multiply_adds == 4320 + 432 + 40
    assert (summary.activations, summary.activation_parameters) == (2, 4)


@pytest.mark.parametrize('activation', ['relu', 'swish_beta', 'f_ash_10'])
def test_only_the_activation_s_parameters_depend_on_it(activation):
    ash = summarize(odd_net, (12, 8, 3), 5, ops.ASH, 'ash')
    other = summarize(odd_net, (12, 8, 3), 5, ops.get_activation(activation), 'other')
    assert other.activation_parameters == {'relu': 0}.get(activation, 2)
    assert [layer[:4] for layer in other.layers] == [layer[:4] for layer in ash.layers]


@pytest.mark.parametrize('name', ['resnet_v2_8', 'resnet_v1_18', 'wrn_16_4', 'vgg_11'])
def test_multiply_adds_are_half_of_what_the_profiler_of_tensorflow_counts(name):
    with tf.Graph().as_default() as graph:
        NETS[name](tf.placeholder(tf.float32, [1, 32, 32, 3]), 10, tf.nn.relu, is_training=False)
        options = tf.profiler.ProfileOptionBuilder.float_operation()
        options = tf.profiler.ProfileOptionBuilder(options).with_empty_output().build()
        # Not those of biases, BatchNorm and the softmax, which it counts too.
        options['account_type_regexes'] = ['Conv2D', 'MatMul']
        options['select'] = ['float_ops']
        profile = tf.profiler.profile(graph, options=options)
        counted = sum(node.float_ops for node in profile.children)
    summary = summarize(NETS[name], (32, 32, 3), 10, tf.nn.relu)
    assert counted == 2 * summary.multiply_adds


def test_an_input_that_the_net_does_not_take_raises():
    with pytest.raises(ValueError, match='known height and width'):
        summarize(NETS['vgg_11'], (None, None, 3), 10, tf.nn.relu)
