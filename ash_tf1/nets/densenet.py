"""Densely connected nets for CIFAR.

"Densely Connected Convolutional Networks" (arXiv 1608.06993). Each layer of a block takes the maps
of all layers before it and adds a map of `growth` channels. Between two blocks a transition halves
height and width. The BC kind narrows the input of each layer to 4 * growth channels (B) and halves
the channels in transitions (C).

Each layer begins with a concatenation, BatchNorm and activation. These are as large as all maps
before the layer together. If they were kept for the backward pass, they would be most of the memory
that training takes. So they are computed again in the backward pass, as in "Memory-Efficient
Implementation of DenseNets" (arXiv 1707.06990).
"""
import collections

import tensorflow.compat.v1 as tf
import tf_slim as slim
from tf_slim.layers import utils

from ash_tf1.nets import layers
from ash_tf1.nets.classifier import classify
from ash_tf1.nets.dropout import keyed_dropout
from ash_tf1.nets.inputs import check_images
from ash_tf1.recomputation import recompute_in_backward

BLOCKS = 3
BOTTLENECK_WIDTH = 4

DenseKind = collections.namedtuple('DenseKind', ['layers', 'growth', 'stem_depth', 'bottleneck',
                                                 'compression'])
DenseKind.__doc__ += """: `layers` in each block, `growth` channels each, after a convolution of
`stem_depth` channels; transitions keep the share `compression` of the channels."""


def dense_kind(depth, growth, bottleneck):
    """The `DenseKind` of DenseNet-depth-growth, plain or BC."""
    per_block, rest = divmod(depth - 4, BLOCKS * (2 if bottleneck else 1))
    assert rest == 0, depth
    return DenseKind(per_block, growth, 2 * growth if bottleneck else 16, bottleneck,
                     0.5 if bottleneck else 1.0)


def _layer(features, kind, activation_fn, dropout, recompute):
    """The map [N, H, W, growth] of one layer; `features` is the list of all maps before it."""
    kernel, depth = (1, BOTTLENECK_WIDTH * kind.growth) if kind.bottleneck else (3, kind.growth)

    def widest(*maps):
        net = layers.norm_activate(tf.concat(maps, axis=3), activation_fn, 'preact')
        return layers.conv2d(net, depth, kernel, scope='conv1')

    net = dropout(recompute_in_backward(widest, features) if recompute else widest(*features))
    if kind.bottleneck:
        net = layers.norm_activate(net, activation_fn, 'conv1')
        net = dropout(layers.conv2d(net, kind.growth, 3, scope='conv2'))
    return net


def _transition(net, kind, activation_fn, dropout):
    """[N, H, W, C] -> [N, H / 2, W / 2, compression * C]."""
    depth = int(kind.compression * net.shape[3].value)
    net = layers.norm_activate(net, activation_fn, 'preact')
    net = dropout(layers.conv2d(net, depth, 1, scope='conv1'))
    return slim.avg_pool2d(net, 2, stride=2, padding='SAME', scope='pool')


def densenet(inputs, kind, num_classes, activation_fn, is_training, reuse=None, scope='densenet',
             dropout_rate=0.0, recompute=True):
    """A densely connected net with the 3x3 stem of the CIFAR family.

    Args:
      inputs: float tensor [N, H, W, C], normalised images; N, H and W may be unknown.
      kind: `DenseKind`.
      num_classes: number of logits.
      activation_fn: function of one tensor; called once per non-linearity, in a scope of its own.
      is_training: bool, or a scalar tensor such as `tf.placeholder(tf.bool)`: whether BatchNorm
        uses the batch's statistics, and whether dropout is on.
      reuse: whether the scope's variables are reused, as for `tf.variable_scope`.
      scope: name of the variable scope.
      dropout_rate: share of units dropped in training, after each convolution but the first. The
        paper uses 0.2 for images that are not augmented.
      recompute: whether, in training, the wide part of each layer is computed again in the backward
        pass instead of being kept. The results are the same. But no gradient reaches the tensors of
        that part, as Grad-CAM or activity regularisers need it. If is_training is a tensor, the
        part is always kept, because the graph then holds both kinds of BatchNorm.

    Returns:
      (logits [N, num_classes], end_points): end_points maps 'conv1', 'blockI', 'transitionI',
      'postnorm', 'global_pool', 'logits' and 'predictions' to their tensors, in order.

    Raises:
      ValueError: inputs is not [N, H, W, C] floating point with known C, the dropout rate is
        outside [0, 1), or the activation cannot be computed again.
    """
    def dropout(net):
        return keyed_dropout(net, dropout_rate, is_training)

    check_images(inputs)
    end_points = collections.OrderedDict()
    with tf.variable_scope(scope, reuse=reuse), slim.arg_scope(layers.arg_scope(is_training)):
        net = end_points['conv1'] = layers.conv2d(inputs, kind.stem_depth, 3, scope='conv1')
        for i in range(1, BLOCKS + 1):
            features = [net]
            for j in range(1, kind.layers + 1):
                with tf.variable_scope('block%d/layer_%d' % (i, j)):
                    features.append(_layer(features, kind, activation_fn, dropout,
                                           recompute and utils.constant_value(is_training)))
            net = end_points['block%d' % i] = tf.concat(features, axis=3, name='block%d/maps' % i)
            if i < BLOCKS:
                name = 'transition%d' % i
                with tf.variable_scope(name):
                    net = end_points[name] = _transition(net, kind, activation_fn, dropout)
        net = end_points['postnorm'] = layers.norm_activate(net, activation_fn, 'postnorm')
        return classify(net, num_classes, end_points), end_points


def _dense_net(name, kind):
    def net(inputs, num_classes, activation_fn, is_training, reuse=None, scope=name,
            dropout_rate=0.0, recompute=True):
        return densenet(inputs, kind, num_classes, activation_fn, is_training, reuse, scope,
                        dropout_rate, recompute)

    net.__name__ = net.__qualname__ = name
    net.__doc__ = ('DenseNet for CIFAR, {} channels a layer{}; {}; arguments and result as '
                   '`densenet`.'.format(kind.growth, ', bottlenecks' * kind.bottleneck, kind))
    return net


densenet_100_12 = _dense_net('densenet_100_12', dense_kind(100, 12, bottleneck=False))
densenet_bc_100_12 = _dense_net('densenet_bc_100_12', dense_kind(100, 12, bottleneck=True))
