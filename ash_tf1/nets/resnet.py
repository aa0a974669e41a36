"""Residual nets, original (v1) and pre-activation (v2), for ImageNet and for CIFAR.

"Deep Residual Learning for Image Recognition" (arXiv 1512.03385) and "Identity Mappings in Deep
Residual Networks" (arXiv 1603.05027).

One builder makes all of them: a net is a stem, a sequence of blocks and one of two kinds of unit. A
unit puts its input through a stack of convolutions and adds the result to its shortcut. In v1 the
activation is applied to the sum. In v2 the stack begins with the activation, and none is applied to
the sum. The shortcut is the unit's input. A unit that changes the depth projects it by an unbiased
1x1 convolution; a unit that only has a stride takes every other element of it.
"""
import collections

import tensorflow.compat.v1 as tf
import tf_slim as slim
from tf_slim.nets import resnet_utils

from ash_tf1.nets import layers
from ash_tf1.nets.classifier import classify
from ash_tf1.nets.dropout import keyed_dropout
from ash_tf1.nets.inputs import check_images

Block = collections.namedtuple('Block', ['units', 'depth', 'stride', 'bottleneck'])
Block.__doc__ += """: `units` residual units of `depth` output channels; together they have a stride
of `stride`."""

Stem = collections.namedtuple('Stem', ['depth', 'kernel', 'stride', 'pool', 'symmetric_padding'])
Stem.__doc__ += """: `depth`, `kernel` and `stride` of the first convolution; `pool`, whether a 3x3
max pooling of stride 2 follows; `symmetric_padding` of the whole net, as for `layers.conv2d`."""

CIFAR_STEM = Stem(16, 3, 1, pool=False, symmetric_padding=False)
IMAGENET_STEM = Stem(64, 7, 2, pool=True, symmetric_padding=True)
IMAGENET_UNITS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3),
                  152: (3, 8, 36, 3)}

# Which convolution has a block's stride.
# first: the first one of the block's first unit, as published.
# 3x3: the 3x3 one of that unit, as in torchvision ("v1.5").
# slim: the 3x3 one of the last unit of the block before, as in tf-slim.
STRIDE_PLACEMENTS = ('first', '3x3', 'slim')


def imagenet_blocks(depth):
    """The four blocks of the ImageNet net with `depth` layers; bottlenecks from 50 layers on."""
    bottleneck = depth >= 50
    return tuple(Block(units, width * (4 if bottleneck else 1), stride, bottleneck)
                 for units, width, stride in zip(IMAGENET_UNITS[depth], (64, 128, 256, 512),
                                                 (1, 2, 2, 2)))


def cifar_blocks(depth):
    """The three blocks of the CIFAR net with `depth` layers; bottlenecks from 164 layers on."""
    bottleneck = depth >= 164
    convolutions, expansion = (3, 4) if bottleneck else (2, 1)
    units, rest = divmod(depth - 2, 3 * convolutions)
    assert rest == 0, depth
    return tuple(Block(units, width * expansion, stride, bottleneck)
                 for width, stride in ((16, 1), (32, 2), (64, 2)))


def _convolutions(block, stride, stride_placement):
    """The stack of a unit, as (kernel size, output depth, stride) of each convolution."""
    if not block.bottleneck:
        return (3, block.depth, stride), (3, block.depth, 1)
    inner = block.depth // 4
    first, second = (stride, 1) if stride_placement == 'first' else (1, stride)
    return (1, inner, first), (3, inner, second), (1, block.depth, 1)


def _unit_strides(blocks, stride_placement):
    """The stride of each unit, as a list for each block."""
    strides = [[1] * block.units for block in blocks]
    for i, block in enumerate(blocks):
        if stride_placement != 'slim':
            strides[i][0] = block.stride
        elif i > 0:
            strides[i - 1][-1] = block.stride
        else:
            assert block.stride == 1, block
    return strides


def _unit_v1(net, depth, stride, convolutions, activation_fn, zero_init_residual):
    """[N, H, W, C] -> [N, H / stride, W / stride, depth], activated, in the current scope."""
    if net.shape[3].value == depth:
        shortcut = resnet_utils.subsample(net, stride)
    else:
        shortcut = layers.conv_norm_activate(net, depth, 1, stride, layers.linear, 'shortcut')
    residual = net
    *hidden, (kernel, width, last_stride) = convolutions
    for i, (hidden_kernel, hidden_width, hidden_stride) in enumerate(hidden, 1):
        residual = layers.conv_norm_activate(residual, hidden_width, hidden_kernel,
                                             hidden_stride, activation_fn, 'conv%d' % i)
    initializers = {'gamma': tf.zeros_initializer()} if zero_init_residual else None
    with slim.arg_scope([slim.batch_norm], param_initializers=initializers):
        residual = layers.conv_norm_activate(residual, width, kernel, last_stride,
                                             layers.linear, 'conv%d' % (len(hidden) + 1))
    return activation_fn(shortcut + residual)


def _unit_v2(net, depth, stride, convolutions, activation_fn, dropout):
    """[N, H, W, C] -> [N, H / stride, W / stride, depth], not activated, in the current scope."""
    preact = layers.norm_activate(net, activation_fn, 'preact')
    if net.shape[3].value == depth:
        shortcut = resnet_utils.subsample(net, stride)
    else:
        shortcut = layers.conv2d(preact, depth, 1, stride=stride, scope='shortcut')
    residual = preact
    *hidden, (kernel, width, last_stride) = convolutions
    for i, (hidden_kernel, hidden_width, hidden_stride) in enumerate(hidden, 1):
        residual = layers.conv_norm_activate(residual, hidden_width, hidden_kernel,
                                             hidden_stride, activation_fn, 'conv%d' % i)
    residual = layers.conv2d(dropout(residual), width, kernel, stride=last_stride,
                             scope='conv%d' % (len(hidden) + 1))
    return shortcut + residual


def _resnet(inputs, stem, blocks, unit, stem_activation_fn, stride_placement, end_points):
    """Stem and blocks, in the current scope; `unit` takes (net, depth, stride, convolutions)."""
    check_images(inputs)
    if stride_placement not in STRIDE_PLACEMENTS:
        raise ValueError('stride_placement must be one of {}, got {!r}'.format(
            ', '.join(STRIDE_PLACEMENTS), stride_placement))
    if stem_activation_fn is None:
        net = layers.conv2d(inputs, stem.depth, stem.kernel, stride=stem.stride, scope='conv1')
    else:
        net = layers.conv_norm_activate(inputs, stem.depth, stem.kernel, stem.stride,
                                        stem_activation_fn, 'conv1')
    end_points['conv1'] = net
    if stem.pool:
        net = slim.max_pool2d(net, 3, stride=2, padding='SAME', scope='pool1')
        end_points['pool1'] = net
    all_strides = _unit_strides(blocks, stride_placement)
    for i, (block, strides) in enumerate(zip(blocks, all_strides), 1):
        for j, stride in enumerate(strides, 1):
            name = 'block%d/unit_%d' % (i, j)
            with tf.variable_scope(name):
                net = unit(net, block.depth, stride,
                           _convolutions(block, stride, stride_placement))
            end_points[name] = net
    return net


def resnet_v1(inputs, blocks, num_classes, activation_fn, is_training, reuse=None,
              scope='resnet_v1', stem=IMAGENET_STEM, stride_placement='first',
              zero_init_residual=False):
    """An original residual net: BatchNorm after each convolution, the activation after the sum.

    Args:
      inputs: float tensor [N, H, W, C], normalised images; N, H and W may be unknown.
      blocks: sequence of `Block`.
      num_classes: number of logits.
      activation_fn: function of one tensor; called once per non-linearity, in a scope of its own.
      is_training: bool, or a scalar tensor such as `tf.placeholder(tf.bool)`: whether BatchNorm
        uses the batch's statistics, and whether dropout is on.
      reuse: whether the scope's variables are reused, as for `tf.variable_scope`.
      scope: name of the variable scope.
      stem: `Stem`.
      stride_placement: one of `STRIDE_PLACEMENTS`. It changes what the net computes, but not the
        names and shapes of its variables.
      zero_init_residual: whether the scale of each unit's last BatchNorm begins at 0 instead of 1.
        Then each unit begins as its shortcut (arXiv 1706.02677, 5.1).

    Returns:
      (logits [N, num_classes], end_points): end_points maps 'conv1', 'pool1', 'blockI/unit_J',
      'global_pool', 'logits' and 'predictions' to their tensors, in order.

    Raises:
      ValueError: inputs is not [N, H, W, C] floating point with known C, or the stride placement
        is unknown.
    """
    def unit(net, depth, stride, convolutions):
        return _unit_v1(net, depth, stride, convolutions, activation_fn, zero_init_residual)

    end_points = collections.OrderedDict()
    with tf.variable_scope(scope, reuse=reuse), \
            slim.arg_scope(layers.arg_scope(is_training, stem.symmetric_padding)):
        net = _resnet(inputs, stem, blocks, unit, activation_fn, stride_placement, end_points)
        return classify(net, num_classes, end_points), end_points


def resnet_v2(inputs, blocks, num_classes, activation_fn, is_training, reuse=None,
              scope='resnet_v2', stem=CIFAR_STEM, stride_placement='first', dropout_rate=0.0):
    """A pre-activation residual net: BatchNorm and activation before every convolution but one.

    The one is the first convolution of the net.

    Args:
      inputs, blocks, num_classes, activation_fn, is_training, reuse, scope, stem,
        stride_placement: as for `resnet_v1`.
      dropout_rate: share of units dropped before the last convolution of each unit, in training.

    Returns:
      (logits [N, num_classes], end_points): end_points maps 'conv1', 'pool1' (where the stem
      pools), 'blockI/unit_J', 'postnorm', 'global_pool', 'logits' and 'predictions' to their
      tensors, in order.

    Raises:
      ValueError: as for `resnet_v1`, or the dropout rate is outside [0, 1).
    """
    def dropout(net):
        return keyed_dropout(net, dropout_rate, is_training)

    def unit(net, depth, stride, convolutions):
        return _unit_v2(net, depth, stride, convolutions, activation_fn, dropout)

    end_points = collections.OrderedDict()
    with tf.variable_scope(scope, reuse=reuse), \
            slim.arg_scope(layers.arg_scope(is_training, stem.symmetric_padding)):
        net = _resnet(inputs, stem, blocks, unit, None, stride_placement, end_points)
        net = layers.norm_activate(net, activation_fn, 'postnorm')
        end_points['postnorm'] = net
        return classify(net, num_classes, end_points), end_points


def _imagenet_v1(depth):
    blocks = imagenet_blocks(depth)
    name = 'resnet_v1_%d' % depth

    def net(inputs, num_classes, activation_fn, is_training, reuse=None, scope=name,
            stride_placement='first', zero_init_residual=False):
        return resnet_v1(inputs, blocks, num_classes, activation_fn, is_training, reuse, scope,
                         stride_placement=stride_placement, zero_init_residual=zero_init_residual)

    return _named(net, name, 'ResNet-%d for ImageNet, from 32x32 up' % depth, resnet_v1)


def _imagenet_v2(depth):
    blocks = imagenet_blocks(depth)
    name = 'resnet_v2_%d' % depth

    def net(inputs, num_classes, activation_fn, is_training, reuse=None, scope=name,
            stride_placement='first'):
        return resnet_v2(inputs, blocks, num_classes, activation_fn, is_training, reuse, scope,
                         stem=IMAGENET_STEM, stride_placement=stride_placement)

    return _named(net, name, 'Pre-activation ResNet-%d for ImageNet, from 32x32 up' % depth,
                  resnet_v2)


def _cifar_net(depth):
    blocks = cifar_blocks(depth)
    name = 'resnet_v2_%d' % depth

    def net(inputs, num_classes, activation_fn, is_training, reuse=None, scope=name):
        return resnet_v2(inputs, blocks, num_classes, activation_fn, is_training, reuse, scope)

    return _named(net, name, 'Pre-activation ResNet-%d for CIFAR' % depth, resnet_v2)


def _named(net, name, what, builder):
    net.__name__ = net.__qualname__ = name
    net.__doc__ = '%s; arguments and result as `%s`.' % (what, builder.__name__)
    return net


resnet_v1_18 = _imagenet_v1(18)
resnet_v1_34 = _imagenet_v1(34)
resnet_v1_50 = _imagenet_v1(50)
resnet_v1_101 = _imagenet_v1(101)
resnet_v1_152 = _imagenet_v1(152)

resnet_v2_18 = _imagenet_v2(18)
resnet_v2_34 = _imagenet_v2(34)
resnet_v2_50 = _imagenet_v2(50)
resnet_v2_101 = _imagenet_v2(101)
resnet_v2_152 = _imagenet_v2(152)

resnet_v2_8 = _cifar_net(8)
resnet_v2_20 = _cifar_net(20)
resnet_v2_56 = _cifar_net(56)
resnet_v2_110 = _cifar_net(110)
resnet_v2_164 = _cifar_net(164)
