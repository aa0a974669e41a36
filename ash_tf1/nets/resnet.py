"""Pre-activation residual nets for CIFAR.

"Identity Mappings in Deep Residual Networks" (arXiv 1603.05027).

One builder; a net is a row of data. A unit normalises and activates first, then adds to its input
what a stack of convolutions makes of that; a unit that changes the shape projects its shortcut by
an unbiased 1x1 convolution of the activated input.
"""
import collections

import tensorflow.compat.v1 as tf
import tf_slim as slim

from ash_tf1.nets import net_utils

STEM_DEPTH = 16

Block = collections.namedtuple('Block', ['units', 'depth', 'stride', 'bottleneck'])
Block.__doc__ += """: `units` residual units of `depth` output channels, the first with `stride`."""


def _cifar_blocks(depth):
    """The three blocks of the CIFAR net with `depth` layers; bottlenecks from 164 layers on."""
    bottleneck = depth >= 164
    layers, expansion = (3, 4) if bottleneck else (2, 1)
    units, rest = divmod(depth - 2, 3 * layers)
    assert rest == 0, depth
    return tuple(Block(units, width * expansion, stride, bottleneck)
                 for width, stride in ((16, 1), (32, 2), (64, 2)))


def _convolutions(block, stride):
    """The stack of a unit, as (kernel size, output depth, stride) of each convolution."""
    if block.bottleneck:
        inner = block.depth // 4
        return (1, inner, 1), (3, inner, stride), (1, block.depth, 1)
    return (3, block.depth, stride), (3, block.depth, 1)


def _unit(net, block, stride, activation_fn):
    """One pre-activation unit: [N, H, W, C] -> [N, H / stride, W / stride, block.depth]."""
    preact = net_utils.norm_activate(net, activation_fn, 'preact')
    if net.shape[3].value == block.depth and stride == 1:
        shortcut = net
    else:
        shortcut = slim.conv2d(preact, block.depth, 1, stride=stride, scope='shortcut')
    residual = preact
    *hidden, (kernel, depth, last_stride) = _convolutions(block, stride)
    for i, (hidden_kernel, hidden_depth, hidden_stride) in enumerate(hidden, 1):
        residual = net_utils.conv_norm_activate(residual, hidden_depth, hidden_kernel,
                                                hidden_stride, activation_fn, 'conv%d' % i)
    residual = slim.conv2d(residual, depth, kernel, stride=last_stride,
                           scope='conv%d' % (len(hidden) + 1))
    return shortcut + residual


def resnet_v2(inputs, blocks, num_classes, activation_fn, is_training, reuse=None,
              scope='resnet_v2'):
    """A pre-activation residual net with the 3x3 stem of the CIFAR family.

    Args:
      inputs: float tensor [N, H, W, C], normalised images; N, H and W may be unknown.
      blocks: sequence of `Block`.
      num_classes: number of logits.
      activation_fn: function of one tensor; called once per non-linearity, in a scope of its own.
      is_training: Python bool; whether BatchNorm uses the batch's statistics.
      reuse: whether the scope's variables are reused, as for `tf.variable_scope`.
      scope: name of the variable scope.

    Returns:
      (logits [N, num_classes], end_points): end_points maps 'conv1', 'blockI/unit_J', 'postnorm',
      'global_pool', 'logits' and 'predictions' to their tensors, in order.

    Raises:
      ValueError: inputs is not [N, H, W, C] floating point with known C.
    """
    net_utils.check_images(inputs)
    end_points = collections.OrderedDict()
    with tf.variable_scope(scope, reuse=reuse), slim.arg_scope(net_utils.arg_scope(is_training)):
        net = slim.conv2d(inputs, STEM_DEPTH, 3, scope='conv1')
        end_points['conv1'] = net
        for i, block in enumerate(blocks, 1):
            for j in range(1, block.units + 1):
                unit = 'block%d/unit_%d' % (i, j)
                with tf.variable_scope(unit):
                    net = _unit(net, block, block.stride if j == 1 else 1, activation_fn)
                end_points[unit] = net
        net = net_utils.norm_activate(net, activation_fn, 'postnorm')
        end_points['postnorm'] = net
        net = tf.reduce_mean(net, [1, 2], name='global_pool')
        end_points['global_pool'] = net
        logits = net_utils.linear_classifier(net, num_classes)
        end_points['logits'] = logits
        end_points['predictions'] = tf.nn.softmax(logits, name='predictions')
    return logits, end_points


def _cifar_net(depth):
    blocks = _cifar_blocks(depth)
    name = 'resnet_v2_%d' % depth

    def net(inputs, num_classes, activation_fn, is_training, reuse=None, scope=name):
        return resnet_v2(inputs, blocks, num_classes, activation_fn, is_training, reuse, scope)

    net.__name__ = net.__qualname__ = name
    net.__doc__ = 'Pre-activation ResNet-%d for CIFAR; arguments and result as `resnet_v2`.' % depth
    return net


resnet_v2_8 = _cifar_net(8)
resnet_v2_20 = _cifar_net(20)
resnet_v2_56 = _cifar_net(56)
resnet_v2_110 = _cifar_net(110)
resnet_v2_164 = _cifar_net(164)
