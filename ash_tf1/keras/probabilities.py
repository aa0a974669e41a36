"""Warns if a model loses its probabilities because the layer that computes them is replaced."""
import tensorflow.compat.v1 as tf

_LAYERS = tf.keras.layers
_ACTIVATIONS = (_LAYERS.Activation, _LAYERS.ReLU, _LAYERS.LeakyReLU, _LAYERS.PReLU, _LAYERS.ELU,
                _LAYERS.ThresholdedReLU, _LAYERS.Softmax)
# Compared by name: TensorFlow has each function under several paths, not always as one object.
_TO_PROBABILITIES = ('softmax', 'softmax_v2', 'sigmoid')
_NAMED = 3  # layers that a warning names


def lost(model, replaced, new_layers):
    """The warning that a model loses its probabilities.

    Args:
      model: the tf.keras model before the replacement.
      replaced: layers of the model.
      new_layers: the layers in their places.

    Returns:
      The text, if a softmax or sigmoid that computes an output of the model is replaced by another
      kind of layer; else None. It also names activation layers that are not replaced.
    """
    ends = [old.name for old, new in zip(replaced, new_layers)
            if _gives_probabilities(old) and not _gives_probabilities(new)
            and _gives_output(old, model)]
    if not ends:
        return None
    text = ('model {!r} will no longer give probabilities: a softmax or sigmoid that gives an '
            'output is replaced ({})'.format(model.name, ', '.join(map(repr, ends))))
    left = [layer.name for layer in model.layers
            if _is_activation(layer) and not any(layer is old for old in replaced)
            and not (_gives_probabilities(layer) and _gives_output(layer, model))]
    if left:
        names = ', '.join(map(repr, left[:_NAMED])) + (', ...' if len(left) > _NAMED else '')
        text += '. layer_regex does not match {} activation layer{}, {}'.format(
            len(left), 's' if len(left) > 1 else '', names)
    return text


def _gives_probabilities(layer):
    name = getattr(getattr(layer, 'activation', None), '__name__', None)
    return isinstance(layer, _LAYERS.Softmax) or name in _TO_PROBABILITIES


def _is_activation(layer):
    """Whether a layer is only an activation, and not the linear one."""
    return isinstance(layer, _ACTIVATIONS) and (
        getattr(layer, 'activation', None) is not tf.keras.activations.linear)


def _gives_output(layer, model):
    """Whether one of a layer's calls computes an output of the model."""
    given = [tensor for number in range(len(layer.inbound_nodes))
             for tensor in tf.nest.flatten(layer.get_output_at(number))]
    return any(tensor is output for tensor in given for output in model.outputs)
