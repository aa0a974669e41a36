"""The graph of a classifier, from pixels to probabilities, for training and for export."""
from typing import Dict, NamedTuple

import tensorflow.compat.v1 as tf

from ash_tf1.nets import get_net


class Classifier(NamedTuple):
    """The outputs of a classifier for N images and C classes."""

    logits: tf.Tensor         # float32 [N, C]
    probabilities: tf.Tensor  # float32 [N, C], their softmax
    end_points: Dict[str, tf.Tensor]


def pixels_placeholder(spec, any_size=False):
    """The input of a `ClassifierSpec`'s graph: `images`, uint8 RGB [None, H, W, 3], or any H, W."""
    height, width, channels = spec.input_shape
    sizes = (None, None) if any_size else (height, width)
    return tf.placeholder(tf.uint8, (None,) + sizes + (channels,), name='images')


def build_classifier(pixels, spec, activation_fn, is_training, reuse=None):
    """Builds normalisation, net and softmax in the current graph.

    Args:
      pixels: uint8 tensor [N, H, W, 3], RGB.
      spec: the `ClassifierSpec`.
      activation_fn: the activation of every layer.
      is_training: bool or bool scalar tensor, for BatchNorm and dropout.
      reuse: whether the net's variables are reused, as for `tf.variable_scope`.

    Returns:
      A `Classifier`.

    Raises:
      ValueError: the net or one of its options is unknown.
    """
    net = get_net(spec.net, spec.net_options)
    scope = {'scope': spec.scope} if spec.scope else {}
    logits, end_points = net(spec.preprocessing.normalize(pixels), spec.num_classes, activation_fn,
                             is_training, reuse=reuse, **scope)
    return Classifier(logits, end_points['predictions'], end_points)
