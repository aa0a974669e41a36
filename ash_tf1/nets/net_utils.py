"""What the nets share: defaults of layers, BatchNorm with activation, dropout, the classifier."""
import zlib

import tensorflow.compat.v1 as tf
import tf_slim as slim
from tf_slim.layers import utils
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


def dropout(inputs, rate, is_training):
    """Zeroes a share `rate` of the units in training, and scales the rest by 1 / (1 - rate).

    If the graph has a seed and a global step, these two and the layer decide which units are
    dropped. So a run that was interrupted drops the same units again. Otherwise this is
    `tf.layers.dropout`.

    Args:
      inputs: float tensor of any shape.
      rate: Python float in [0, 1).
      is_training: bool or bool scalar tensor.

    Raises:
      ValueError: the rate is outside [0, 1).
    """
    if not 0.0 <= rate < 1.0:
        raise ValueError('dropout_rate must be in [0, 1), got {!r}'.format(rate))
    if not rate:
        return inputs
    graph, step = tf.get_default_graph(), tf.train.get_global_step()
    if graph.seed is None or step is None:
        return tf.layers.dropout(inputs, rate, training=is_training)
    layer = zlib.crc32(graph.unique_name(tf.get_variable_scope().name + '/dropout').encode())
    key = tf.stack([tf.constant((graph.seed << 32 | layer) % 2 ** 63, tf.int64),
                    tf.cast(step, tf.int64)])

    def dropped():
        noise = tf.random.stateless_uniform(tf.shape(inputs), key, dtype=inputs.dtype)
        return tf.where(noise >= rate, inputs / (1.0 - rate), tf.zeros_like(inputs))
    return utils.smart_cond(is_training, dropped, lambda: tf.identity(inputs))


def classify(features, num_classes, end_points):
    """Adds the classifier: the mean over the feature map, a dense layer of logits, their softmax.

    Args:
      features: float [N, H, W, C].
      num_classes: number of logits.
      end_points: dict; gets 'global_pool', 'logits' and 'predictions'.

    Returns:
      Logits [N, num_classes], from `logits/weights` and `logits/biases`.
    """
    pooled = tf.reduce_mean(features, [1, 2], name='global_pool')
    logits = slim.fully_connected(pooled, num_classes, activation_fn=None, normalizer_fn=None,
                                  weights_initializer=tf.glorot_uniform_initializer(),
                                  scope='logits')
    end_points['global_pool'] = pooled
    end_points['logits'] = logits
    end_points['predictions'] = tf.nn.softmax(logits, name='predictions')
    return logits


def check_images(inputs):
    """Raises ValueError if inputs is not a float tensor [N, H, W, C] with known channels."""
    if inputs.shape.ndims != 4 or inputs.shape[3].value is None or not inputs.dtype.is_floating:
        raise ValueError('a net takes floating-point images [N, H, W, C] with known channels, got '
                         '{} {}'.format(inputs.dtype.name, inputs.shape))
