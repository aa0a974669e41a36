"""Dropout that drops the same units again when a run is resumed."""
import zlib

import tensorflow.compat.v1 as tf
from tf_slim.layers import utils


def keyed_dropout(inputs, rate, is_training):
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
