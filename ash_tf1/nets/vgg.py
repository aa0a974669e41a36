"""VGG-11 and VGG-19 with the scopes, layer order and small dense head of the published ASH code.

`VGG11` and `VGG19` keep the published signature and return class probabilities. `vgg_11` and
`vgg_19` have the signature of the other nets and return logits. With the same activations both
build the same variables, so both can restore the same checkpoint.
"""
import collections

import tensorflow.compat.v1 as tf

from ash_tf1.nets.inputs import check_images

DENSE_UNITS = (100, 100)
_POOL = None

# (number in the published scope name, output channels or _POOL), in the published order.
VGG_11_LAYERS = (
    (1, 64), (2, _POOL),
    (3, 128), (4, _POOL),
    (5, 256), (6, 256), (7, _POOL),
    (8, 512), (9, 512), (10, _POOL),
    (11, 512), (12, 512), (13, _POOL),
)
VGG_19_LAYERS = (
    (1, 64), (2, 64), (3, _POOL),
    (4, 128), (5, 128), (6, _POOL),
    (7, 256), (8, 256), (9, 256), (19, 256), (10, _POOL),
    (11, 512), (12, 512), (13, 512), (20, 512), (14, _POOL),
    (15, 512), (16, 512), (17, 512), (21, 512), (18, _POOL),
)


def _vgg(inputs, layers, num_classes, activation_fn, dense_activation_fn, logits_activation_fn):
    """Logits [N, num_classes] and end_points of images [N, H, W, C], in the current scope."""
    check_images(inputs)
    if inputs.shape[1].value is None or inputs.shape[2].value is None:
        raise ValueError('VGG needs a known height and width, for its dense layers are as large as '
                         'its last feature map; got {}'.format(inputs.shape))
    end_points = collections.OrderedDict()
    initializer = tf.variance_scaling_initializer(scale=2.0)
    net = inputs
    for number, channels in layers:
        name = 'vgg_layer_%02d' % number
        if channels is _POOL:
            net = tf.layers.max_pooling2d(net, 2, 2, padding='same', name=name)
        else:
            net = tf.layers.conv2d(net, channels, 3, padding='same', activation=activation_fn,
                                   kernel_initializer=initializer, name=name)
        end_points[name] = net
    net = tf.layers.flatten(net)
    head = zip(DENSE_UNITS + (num_classes,),
               (dense_activation_fn,) * len(DENSE_UNITS) + (logits_activation_fn,))
    for i, (units, activation) in enumerate(head, 1):
        name = 'dense%02d' % i
        net = tf.layers.dense(net, units, activation=activation, kernel_initializer=initializer,
                              name=name)
        end_points[name] = net
    end_points['predictions'] = tf.nn.softmax(net, name='predictions')
    return net, end_points


def _legacy(layers, inputs, name, activation, activation2, num_classes):
    with tf.variable_scope(name, reuse=tf.AUTO_REUSE):
        _, end_points = _vgg(inputs, layers, num_classes, activation, activation2, activation2)
    return end_points['predictions']


def VGG11(inputs, name='vgg', activation=tf.nn.relu, activation2=tf.nn.relu,  # noqa: N802
          num_classes=100):
    """VGG-11 as published: activation2 is applied to all three dense layers, logits included.

    Args:
      inputs: float tensor [N, H, W, C]; N may be unknown.
      name: variable scope; a second call with the same name shares its variables.
      activation: function of one tensor, after every convolution.
      activation2: function of one tensor, after `dense01`, `dense02` and `dense03`.
      num_classes: units of `dense03`.

    Returns:
      Class probabilities, float [N, num_classes].

    Raises:
      ValueError: inputs is not floating point [N, H, W, C] with known H, W and C.
    """
    return _legacy(VGG_11_LAYERS, inputs, name, activation, activation2, num_classes)


def VGG19(inputs, name='vgg', activation=tf.nn.relu, activation2=tf.nn.relu,  # noqa: N802
          num_classes=100):
    """VGG-19 as published; arguments, result and errors as for `VGG11`."""
    return _legacy(VGG_19_LAYERS, inputs, name, activation, activation2, num_classes)


def _modern(layers, inputs, num_classes, activation_fn, reuse, scope, dense_activation_fn,
            activation2):
    heads = {'': (dense_activation_fn or activation_fn, None),
             'relu': (tf.nn.relu, tf.nn.relu), 'same': (activation_fn, activation_fn)}
    if activation2 not in heads:
        raise ValueError('activation2 must be relu or same, or empty for linear logits, got {!r}'
                         .format(activation2))
    with tf.variable_scope(scope, reuse=reuse):
        return _vgg(inputs, layers, num_classes, activation_fn, *heads[activation2])


def vgg_11(inputs, num_classes, activation_fn, is_training, reuse=None, scope='vgg_11',
           dense_activation_fn=None, activation2=''):
    """VGG-11 with linear logits, on the variables of `VGG11`.

    Args:
      inputs: float tensor [N, H, W, C]; N may be unknown.
      num_classes: number of logits.
      activation_fn: function of one tensor, after every convolution.
      is_training: not used, because no layer of VGG depends on it. All nets have this argument.
      reuse: whether the scope's variables are reused, as for `tf.variable_scope`.
      scope: name of the variable scope.
      dense_activation_fn: function of one tensor, after the first two dense layers; activation_fn
        by default. To restore a checkpoint of `VGG11`, give the activation2 of that net.
      activation2: builds the net of `VGG11` itself, for a checkpoint that is to give the answers of
        `VGG11`. Give the activation2 of that net: 'relu', or 'same' for activation_fn. It is
        applied after all three dense layers, so the logits are not linear.

    Returns:
      (logits [N, num_classes], end_points): end_points maps each layer's scope name, and
      'predictions', to its tensor, in order; `dense03` are the logits.

    Raises:
      ValueError: inputs is not floating point [N, H, W, C] with known H, W and C, or activation2
        has another value.
    """
    del is_training
    return _modern(VGG_11_LAYERS, inputs, num_classes, activation_fn, reuse, scope,
                   dense_activation_fn, activation2)


def vgg_19(inputs, num_classes, activation_fn, is_training, reuse=None, scope='vgg_19',
           dense_activation_fn=None, activation2=''):
    """VGG-19 with linear logits, on the variables of `VGG19`; all else is as for `vgg_11`."""
    del is_training
    return _modern(VGG_19_LAYERS, inputs, num_classes, activation_fn, reuse, scope,
                   dense_activation_fn, activation2)
