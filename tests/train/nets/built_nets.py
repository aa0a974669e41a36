"""The registered nets, each built once, with an activation that records where it is called."""
import collections
import functools

import tensorflow.compat.v1 as tf

from ash_tf1.nets import NETS

Built = collections.namedtuple('Built', ['logits', 'end_points', 'layers', 'graph'])
Built.__doc__ += """: `layers` are the variable scopes in which the activation was called."""


def stand_in_for_ash(x):
    """The variables of ASH on a linear activation: builds fast, and hides no non-linearity."""
    z_k, alpha = (tf.get_variable(name, [1], tf.float32, tf.constant_initializer(value))
                  for name, value in (('z_k', 1e-3), ('alpha', 1.0)))
    return alpha * x + z_k


class Recorder:
    """An activation that notes where it is called, and marks its ops by their name scope."""

    MARK = 'recorded_activation'

    def __init__(self, activation=stand_in_for_ash):
        self.activation = activation
        self.layers = []

    def __call__(self, x):
        self.layers.append(tf.get_variable_scope().name)
        with tf.name_scope(self.MARK):
            return self.activation(x)


@functools.lru_cache(maxsize=None)
def build_net(name):
    """The `Built` net of a name, at 32x32x3 with 10 classes. Not to be changed."""
    recorder = Recorder()
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [None, 32, 32, 3])
        logits, end_points = NETS[name](images, 10, recorder, is_training=False)
    return Built(logits, end_points, recorder.layers, graph)
