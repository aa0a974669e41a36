"""The graph of a classifier, from pixels to probabilities: the same for training and serving."""
import collections

import tensorflow.compat.v1 as tf

from ash_tf1.nets import get_net
from ash_tf1.ops import AUTO, get_activation

Classifier = collections.namedtuple('Classifier', ['logits', 'probabilities', 'end_points'])


def pixels_placeholder(spec):
    """The input of a `ModelSpec`'s graph: `images`, uint8 RGB [None, H, W, 3]."""
    return tf.placeholder(tf.uint8, (None,) + tuple(spec.input_shape), name='images')


def build_classifier(pixels, spec, is_training, implementation=AUTO, reuse=None):
    """Builds normalisation, net and softmax in the current graph.

    Args:
      pixels: uint8 tensor [N, H, W, 3], RGB.
      spec: the `ModelSpec`.
      is_training: bool or bool scalar tensor, for BatchNorm and dropout.
      implementation: form of ASH, as for `ops.ASH`.
      reuse: whether the net's variables are reused, as for `tf.variable_scope`.

    Returns:
      A `Classifier` of logits and probabilities, float32 [N, num_classes], and the end_points.

    Raises:
      ValueError: the net, one of its options or the activation is unknown.
    """
    net = get_net(spec.net, spec.net_options)
    activation_fn = get_activation(spec.activation, implementation)
    scope = {'scope': spec.scope} if spec.scope else {}
    logits, end_points = net(spec.preprocessing.normalize(pixels), spec.num_classes, activation_fn,
                             is_training, reuse=reuse, **scope)
    return Classifier(logits, end_points['predictions'], end_points)
