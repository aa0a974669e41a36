"""The layers of convolutional nets: their defaults; a convolution with BatchNorm and activation."""
import tensorflow.compat.v1 as tf
import tf_slim as slim
from tf_slim.nets import resnet_utils

# With this decay the running averages settle within an epoch of CIFAR. The epsilon is Torch's; the
# published residual nets were trained with it.
BATCH_NORM_DECAY = 0.9
BATCH_NORM_EPSILON = 1e-5


@slim.add_arg_scope
def conv2d(inputs, depth, kernel, stride=1, symmetric_padding=False, scope=None):
    """A `slim.conv2d` whose output has the size of the input, divided by the stride.

    If the stride is 2 and the size is even, TensorFlow's SAME pads the far side only. Models that
    were published elsewhere, and those of tf-slim, pad both sides alike. symmetric_padding=True
    does this too.
    """
    if symmetric_padding and kernel > 1:
        return resnet_utils.conv2d_same(inputs, depth, kernel, stride, scope=scope)
    return slim.conv2d(inputs, depth, kernel, stride=stride, scope=scope)


def arg_scope(is_training, symmetric_padding=False):
    """tf-slim defaults of the convolutional nets; use as `with slim.arg_scope(arg_scope(...))`.

    Convolutions are SAME, unbiased, linear and He-initialised (arXiv 1502.01852). BatchNorm has a
    trained scale and offset and puts its updates into `tf.GraphKeys.UPDATE_OPS`. No layer has an
    activation or a regulariser: the net applies the activation that it is given, and the training
    code adds the regulariser.

    Args:
      is_training: bool, or a scalar tensor such as `tf.placeholder(tf.bool)`: whether BatchNorm
        uses the batch's statistics.
      symmetric_padding: as for `conv2d`.

    Returns:
      A tf-slim argument scope.

    Raises:
      ValueError: is_training is a tensor, but not a bool scalar.
    """
    if isinstance(is_training, (tf.Tensor, tf.Variable)) and not (
            is_training.dtype.base_dtype == tf.bool and is_training.shape.is_compatible_with([])):
        raise ValueError('is_training must be a bool or a bool scalar tensor, got {!r}, {} of '
                         'shape {}'.format(is_training.name, is_training.dtype.name,
                                           is_training.shape))
    with slim.arg_scope([slim.conv2d], padding='SAME', activation_fn=None, normalizer_fn=None,
                        biases_initializer=None,
                        weights_initializer=tf.variance_scaling_initializer(2.0)), \
            slim.arg_scope([conv2d], symmetric_padding=symmetric_padding), \
            slim.arg_scope([slim.batch_norm], is_training=is_training, center=True, scale=True,
                           decay=BATCH_NORM_DECAY, epsilon=BATCH_NORM_EPSILON, fused=True,
                           scope='BatchNorm') as scope:
        return scope


def norm_activate(inputs, activation_fn, scope):
    """BatchNorm, then the activation. BatchNorm's variables are in `scope/BatchNorm`, the
    activation's own in `scope`.
    """
    with tf.variable_scope(scope):
        return activation_fn(slim.batch_norm(inputs))


def conv_norm_activate(inputs, depth, kernel, stride, activation_fn, scope):
    """A convolution, BatchNorm and the activation, with all their variables below `scope`."""
    outputs = conv2d(inputs, depth, kernel, stride=stride, scope=scope)
    return norm_activate(outputs, activation_fn, scope)


def linear(inputs):
    """The identity, for layers without an activation."""
    return inputs
