"""Makes the variables of activations, and refuses callers that would not train them."""
import inspect

import tensorflow.compat.v1 as tf


def make_variable(name, value, dtype, shape=(1,)):
    """A trained variable of the current variable scope.

    Args:
      name: its name.
      value: initial value of all its elements.
      dtype: `tf.DType`.
      shape: sequence of sizes.

    Raises:
      ValueError: the scope has the variable already and does not reuse it, or another rule of
        `tf.get_variable` is broken.
    """
    try:
        return tf.get_variable(name, shape=shape, dtype=dtype,
                               initializer=tf.constant_initializer(value), trainable=True)
    except ValueError as error:
        # TensorFlow raises ValueError for every error here. Its message does not name our remedies.
        if 'already exists, disallowed' not in str(error):
            raise
        scope = tf.get_variable_scope().name
        raise ValueError(
            'Variable {} already exists: an activation was called in this variable scope before. '
            'Give each call a scope of its own, `with tf.variable_scope(\'NAME\'): ASH(x)`; or '
            'share one pair among the calls, `activation = ash_tf1.scoped_ash(\'NAME\')`; or '
            'build the scope again by `reuse=tf.AUTO_REUSE`. In tf.keras models the layer is '
            'ash_tf1.keras.ASH.'.format(scope + '/' + name if scope else name)) from error


def refuse_keras():
    """Raises ValueError if one of TensorFlow's own tf.keras layers calls the activation.

    Such a layer opens no variable scope and does not see variables that a function makes. So it
    would neither initialise nor train them. Layers of tf.layers and cells of tf.nn.rnn_cell are
    Keras layers too, but they do see them. Layer classes from outside TensorFlow are not checked.
    """
    layer = _calling_layer()
    module = type(layer).__module__
    if module.startswith('tensorflow') and '.keras.' in module:
        raise ValueError('layer {!r} is a tf.keras {}, which neither initialises nor trains the '
                         'variables of an activation that is a function: leave its activation out '
                         'and put the layer ash_tf1.keras.ASH() after it'.format(
                             layer.name, type(layer).__name__))


def _calling_layer():
    """The innermost layer that has a method on the call stack; None if there is no such layer."""
    frame = inspect.currentframe()
    while frame is not None:
        layer = frame.f_locals.get('self')
        if isinstance(layer, tf.keras.layers.Layer):
            return layer
        frame = frame.f_back
    return None
