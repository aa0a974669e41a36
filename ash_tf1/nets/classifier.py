"""The classifier on a feature map: mean, dense layer, softmax."""
import tensorflow.compat.v1 as tf
import tf_slim as slim


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
