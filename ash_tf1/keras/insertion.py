"""Inserts layers into a copy of an existing tf.keras model."""
import difflib
import itertools
import re
import warnings

import tensorflow.compat.v1 as tf

from ash_tf1.keras import copying, probabilities


def insert_layer_nonseq(model, layer_regex, insert_layer_factory, insert_layer_name=None,
                        position='replace'):
    """Makes a copy of a model in which layers are replaced, or get new layers before or after them.

    The given model is not changed. The copy shares no layer and no variable with it; its layers
    have copies of the weights. Branches, shared layers, several inputs and outputs and nested
    models are kept. If a matched layer is called in several places, its new layer is called in the
    same places. The pattern is not applied to layers inside nested models. A nested model as a
    whole is a layer like any other.

    A UserWarning is given if 'replace' removes a softmax or sigmoid that computes an output of the
    model: the model then gives no probabilities. The warning also counts the activation layers that
    layer_regex does not match, and names the first of them.

    Args:
      model: a tf.keras model, functional or Sequential and built.
      layer_regex: regular expression that a layer's name has to match from its start (`re.match`).
      insert_layer_factory: function without arguments, or a class, that returns a new layer. It is
        called once for each match, in the order of model.layers. The layer itself is used, under
        another name. It gets the inputs ('replace', 'before') or the outputs ('after') of the
        matched layer; several tensors are given as a list.
      insert_layer_name: name of the new layer; _1, _2, ... is added if there are several. By
        default it is the matched layer's name and the new one's class: 'block1_conv1_act_ash'. A
        number is added if another layer has this name.
      position: 'replace', 'after' or 'before'.

    Returns:
      A functional tf.keras model with the same inputs and order of outputs, not compiled. An
      output has the name of the layer that now computes it.

    Raises:
      ValueError: an argument is invalid, no name matches, an input layer would be replaced or
        preceded, or a layer cannot be copied or does not fit.
    """
    if not isinstance(model, tf.keras.Model):
        raise ValueError('model must be a tf.keras model, got {!r}'.format(model))
    if position not in copying.POSITIONS:
        raise ValueError('position must be one of {}, got {!r}'.format(
            ', '.join(map(repr, copying.POSITIONS)), position))
    if not callable(insert_layer_factory) or isinstance(insert_layer_factory,
                                                        tf.keras.layers.Layer):
        raise ValueError('insert_layer_factory must be a function or a class that gives a new '
                         'layer on each call, got {!r}'.format(insert_layer_factory))
    if not (insert_layer_name is None or insert_layer_name and isinstance(insert_layer_name, str)):
        raise ValueError('insert_layer_name must be a name or None, got {!r}'.format(
            insert_layer_name))
    copying.check_model(model)
    matched = _matching(model, layer_regex)
    if position != 'after':
        for layer in matched:
            if isinstance(layer, tf.keras.layers.InputLayer):
                raise ValueError('layer {!r} is an input of the model: nothing can replace it or '
                                 'go before it; position \'after\' can'.format(layer.name))
    layers = _new_layers(insert_layer_factory, matched, model)
    _give_names(layers, insert_layer_name, model, matched, position)
    insertions = {old.name: copying.Insertion(position, new) for old, new in zip(matched, layers)}
    result = copying.copy_model(copying.Original(model), insertions)
    if position == 'replace':
        text = probabilities.lost(model, matched, layers)
        if text:
            warnings.warn(text, stacklevel=2)
    return result


def _matching(model, layer_regex):
    """The layers of a model, in order, whose names match."""
    try:
        pattern = re.compile(layer_regex)
    except (re.error, TypeError) as error:
        raise ValueError('layer_regex {!r} is no regular expression: {}'.format(
            layer_regex, error)) from error
    layers = [layer for layer in model.layers if type(layer).__name__ not in copying.EXTRAS]
    matched = [layer for layer in layers if pattern.match(layer.name)]
    if not matched:
        names = [layer.name for layer in layers]
        near = difflib.get_close_matches(pattern.pattern, names, cutoff=0.0)
        raise ValueError('layer_regex {!r} matches the start of none of the {} layer names; the '
                         'nearest are {}'.format(pattern.pattern, len(names),
                                                 ', '.join(map(repr, near))))
    return matched


def _new_layers(factory, matched, model):
    """Gets a layer from the factory for each matched layer, and checks that it is new."""
    layers = []
    for old in matched:
        layer = factory()
        if not isinstance(layer, tf.keras.layers.Layer):
            raise ValueError('insert_layer_factory gave no tf.keras layer for {!r}: {!r}'.format(
                old.name, layer))
        in_use = layer.inbound_nodes and not copying.is_functional(layer)
        if in_use or any(layer is other for other in layers + model.layers):
            raise ValueError('insert_layer_factory gave the layer {!r} for {!r}, which is in use '
                             'already: each call has to make a new one'.format(
                                 layer.name, old.name))
        layers.append(layer)
    return layers


def _give_names(new_layers, name_given, model, matched, position):
    """Names the new layers: by the given name, or after the matched layers if it is None."""
    taken = {layer.name for layer in model.layers} | set(model.input_names)
    if position == 'replace':
        taken -= {layer.name for layer in matched}
    first = 0 if len(matched) == 1 else 1
    for old, new in zip(matched, new_layers):
        if name_given is None:
            name = _free_name('{}_{}'.format(old.name, _snake_case(type(new).__name__)), taken, 0)
        else:
            name = _free_name(name_given, taken, first)
        # A private attribute: the factory takes no name, and the layer may have no config.
        new._name = name
        taken.add(name)


def _free_name(name, taken, first):
    """The name with the lowest free number, from `first` on; 0 means without a number."""
    names = ('{}_{}'.format(name, number) if number else name for number in itertools.count(first))
    return next(name for name in names if name not in taken)


def _snake_case(name):
    """As Keras names layers by their class: ASH -> ash, LeakyReLU -> leaky_re_lu."""
    name = re.sub(r'(.)([A-Z][a-z0-9]+)', r'\1_\2', name)
    return re.sub(r'([a-z])([A-Z])', r'\1_\2', name).lower()
