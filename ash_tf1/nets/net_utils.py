"""What the nets share: the layers' defaults, and one way to apply an activation."""
import tensorflow.compat.v1 as tf
import tf_slim as slim

# Running averages that settle within an epoch of CIFAR, and Torch's epsilon, which the published
# residual nets were trained with.
BATCH_NORM_DECAY = 0.9
BATCH_NORM_EPSILON = 1e-5


def arg_scope(is_training):
    """tf-slim defaults of the convolutional nets; use as `with slim.arg_scope(arg_scope(...))`.

    Convolutions are SAME, unbiased, linear and He-initialised (arXiv 1502.01852); BatchNorm has a
    trained scale and offset and puts its updates into `tf.GraphKeys.UPDATE_OPS`. Nothing has an
    activation or a regulariser of its own: the net applies the one it was given, the training adds
    the other.

    Args:
      is_training: Python bool; whether BatchNorm uses the batch's statistics.

    Returns:
      A tf-slim argument scope.
    """
    with slim.arg_scope([slim.conv2d], padding='SAME', activation_fn=None, normalizer_fn=None,
                        biases_initializer=None,
                        weights_initializer=slim.variance_scaling_initializer()):
        with slim.arg_scope([slim.batch_norm], is_training=is_training, center=True, scale=True,
                            decay=BATCH_NORM_DECAY, epsilon=BATCH_NORM_EPSILON, fused=True,
                            scope='BatchNorm') as scope:
            return scope


def norm_activate(inputs, activation_fn, scope):
    """BatchNorm, then the activation: `scope/BatchNorm/...` and the activation's own in `scope`."""
    with tf.variable_scope(scope):
        return activation_fn(slim.batch_norm(inputs))


def conv_norm_activate(inputs, depth, kernel, stride, activation_fn, scope):
    """A convolution, BatchNorm and the activation, with all their variables below `scope`."""
    outputs = slim.conv2d(inputs, depth, kernel, stride=stride, scope=scope)
    return norm_activate(outputs, activation_fn, scope)


def linear_classifier(features, num_classes):
    """Logits [N, num_classes] of features [N, D], from `logits/weights` and `logits/biases`."""
    return slim.fully_connected(features, num_classes, activation_fn=None, normalizer_fn=None,
                                weights_initializer=slim.xavier_initializer(), scope='logits')


def check_images(inputs):
    """Raises ValueError where inputs is no float tensor [N, H, W, C] with known channels."""
    if inputs.shape.ndims != 4 or inputs.shape[3].value is None or not inputs.dtype.is_floating:
        raise ValueError('a net takes floating-point images [N, H, W, C] with known channels, got '
                         '{} {}'.format(inputs.dtype.name, inputs.shape))
