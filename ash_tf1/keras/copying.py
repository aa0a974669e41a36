"""Copies a tf.keras model into new layers, and can insert further layers into the copy."""
import collections
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from ash_tf1.keras import configs

POSITIONS = ('before', 'after', 'replace')
EXTRAS = ('AddLoss', 'AddMetric')  # what model.add_loss and add_metric make; no public classes


class Insertion(NamedTuple):
    """A new layer, and where it goes."""

    position: str  # one of POSITIONS
    layer: tf.keras.layers.Layer


def is_functional(model):
    """Whether a model is a graph of layers, as Model(inputs, outputs) makes it."""
    # Such a model has a node from its inputs to its outputs from the start, before any call.
    nodes = model.inbound_nodes
    return isinstance(model, tf.keras.Model) and bool(nodes) and not nodes[0].inbound_layers


def check_model(model):
    """Checks that a model can be copied in the current graph.

    Raises:
      ValueError: it is neither functional nor Sequential, has no inputs yet, or lives in another
        graph.
    """
    if not (isinstance(model, tf.keras.Sequential) or is_functional(model)):
        raise ValueError('model {!r} ({}) is neither functional nor Sequential: how its layers are '
                         'connected cannot be seen'.format(model.name, type(model).__name__))
    if not model.inputs:
        raise ValueError('model {!r} has no input yet: give its first layer an input_shape'.format(
            model.name))
    if not tf.executing_eagerly() and model.inputs[0].graph is not tf.get_default_graph():
        raise ValueError('model {!r} was made in another graph: work on it under that graph\'s '
                         'as_default()'.format(model.name))


class Original:
    """What a copy needs of a model, read in the model's own graph. The copy may be in another.

    Attributes:
      model: the model.
      configs: the configs of its layers and nested models, by their id().
      values: the values of its weights, by their id().
    """

    def __init__(self, model):
        """Reads a model that has passed `check_model`.

        Raises:
          ValueError: a layer has no config.
        """
        self.model = model
        self.configs = {}
        with configs.readable(model):
            self._read(model)
        weights = model.weights
        self.values = dict(zip(map(id, weights), tf.keras.backend.batch_get_value(weights)))

    def _read(self, model):
        for layer in model.layers:
            if id(layer) in self.configs:
                continue
            if isinstance(layer, tf.keras.Model):
                if not (isinstance(layer, tf.keras.Sequential) or is_functional(layer)):
                    raise ValueError('layer {!r} is a model of class {}, neither functional nor '
                                     'Sequential: it cannot be copied'.format(
                                         layer.name, type(layer).__name__))
                self._read(layer)
                continue
            try:
                self.configs[id(layer)] = layer.get_config()
            except Exception as error:  # a user's layer class may raise anything
                raise configs.no_copy(layer, error) from error
        self.configs[id(model)] = model.get_config()


def copy_model(original, insertions=None):
    """Builds a copy of a model in the current graph: new layers, same connections and weights.

    Layers are made from their configs. Nested models are copied in the same way. A layer in several
    places stays one layer. Losses and metrics that were added to the model as tensors are added to
    the copy. The copy is not compiled.

    Args:
      original: the `Original` of a functional or Sequential model; it is not changed.
      insertions: dict layer name -> `Insertion`, for layers of the model itself, not of nested
        models. Wherever the named layer is called, the new layer is called in its place
        ('replace'), on its outputs ('after') or on its inputs ('before'). Several tensors are
        given as a list.

    Returns:
      A functional tf.keras model with the same name, inputs, order of outputs and trainable flags.
      The weights are the same bit for bit.

    Raises:
      ValueError: a layer cannot be made from its config, or does not fit where it is inserted.
    """
    copier = _Copier(original)
    copy = copier.copy(original.model, insertions or {}, nested=False)
    copier.copy_weights()
    return copy


class _Copier:
    """Copies models and holds the copies of all layers, by the id() of the layer."""

    def __init__(self, original):
        self._original = original
        self._copies = collections.OrderedDict()

    def copy(self, model, insertions, nested):
        if not isinstance(model, tf.keras.Sequential):
            return self._copy_functional(model, insertions)
        return (self._copy_nested_sequential(model) if nested else
                self._copy_sequential(model, insertions))

    def copy_weights(self):
        pairs = []
        for layer, copy in self._copies.values():
            if [w.shape.as_list() for w in layer.weights] != [
                    w.shape.as_list() for w in copy.weights]:
                raise configs.no_copy(layer, 'it has other weights')
            pairs += [(new, self._original.values[id(old)])
                      for old, new in zip(layer.weights, copy.weights)]
        tf.keras.backend.batch_set_value(pairs)

    def _layer(self, layer):
        """The copy of a layer, made on the first call."""
        if id(layer) not in self._copies:
            if isinstance(layer, tf.keras.Model):
                copy = self.copy(layer, {}, nested=True)
            else:
                copy = configs.make(layer, self._original.configs[id(layer)])
            self._copies[id(layer)] = layer, copy
        return self._copies[id(layer)][1]

    def _call(self, layer, insertions, inputs, arguments):
        insertion = insertions.get(layer.name)
        if insertion is None:
            return self._layer(layer)(inputs, **arguments)
        if insertion.position == 'replace':
            return insertion.layer(inputs)
        if insertion.position == 'after':
            return insertion.layer(self._layer(layer)(inputs, **arguments))
        return self._layer(layer)(insertion.layer(inputs), **arguments)

    def _copy_sequential(self, model, insertions):
        inputs = outputs = tf.keras.layers.InputLayer(**_input_arguments(model)).output
        for layer in model.layers:
            outputs = self._call(layer, insertions, outputs, {})
        return tf.keras.Model(inputs, outputs, name=model.name, trainable=model.trainable)

    def _copy_nested_sequential(self, model):
        copy = tf.keras.Sequential(name=model.name)
        if is_functional(model):
            copy.add(tf.keras.layers.InputLayer(**_input_arguments(model)))
        for layer in model.layers:
            copy.add(self._layer(layer))
        # Setting a model's flag sets the flags of its layers too. Restore those that differ.
        copy.trainable = model.trainable
        for layer in model.layers:
            if self._layer(layer).trainable != layer.trainable:
                self._layer(layer).trainable = layer.trainable
        return copy

    def _copy_functional(self, model, insertions):
        config = self._original.configs[id(model)]
        layers = {layer.name: layer for layer in model.layers}
        inputs, tensors, nodes, extras = {}, _Tensors(), [], []
        for record in config['layers']:
            layer = layers[record['name']]
            # References also count the node that a functional model has from the start.
            first = int(is_functional(layer))
            if isinstance(layer, tf.keras.layers.InputLayer):
                inputs[layer.name, 0, 0] = output = self._layer(layer).output
                if layer.name in insertions:
                    output = insertions[layer.name].layer(output)
                tensors.add(layer.name, 0, output)
            elif type(layer).__name__ in EXTRAS:
                extras += [(layer, node) for node in record['inbound_nodes']]
            else:
                nodes += [_Node(layer, number, number == first, node)
                          for number, node in enumerate(record['inbound_nodes'], first)]
        while nodes:
            waiting = []
            for node in nodes:
                if tensors.ready(node):
                    output = self._call(node.layer, insertions, tensors.inputs(node.references),
                                        tensors.arguments(node.references))
                    tensors.add(node.layer.name, node.number, output)
                else:
                    waiting.append(node)
            if len(waiting) == len(nodes):
                raise ValueError('model {!r}: the connections of layer {!r} cannot be followed'
                                 .format(model.name, waiting[0].layer.name))
            nodes = waiting
        copy = tf.keras.Model(
            _map(lambda reference: inputs[tuple(reference[:3])], config['input_layers']),
            _map(tensors.get, config['output_layers']), name=model.name, trainable=model.trainable)
        for layer, references in extras:
            value = tensors.inputs(references)
            if type(layer).__name__ == 'AddLoss':
                copy.add_loss(value)
            else:
                copy.add_metric(value, layer.aggregation, layer.metric_name)
        return copy


class _Node(NamedTuple):
    """One call of a layer."""

    layer: tf.keras.layers.Layer
    number: int        # how references to its outputs count it
    is_first: bool     # whether it is the layer's first call
    references: object  # nested [layer name, node number, tensor index, arguments]


class _Tensors:
    """The outputs of the nodes that have been copied so far."""

    def __init__(self):
        self._outputs = {}

    def add(self, name, number, output):
        self._outputs[name, number] = tf.nest.flatten(output)

    def get(self, reference):
        name, number, index = reference[:3]
        outputs = self._outputs[name, number]
        if index >= len(outputs):
            raise ValueError('output {} of layer {!r} is in use, but what has been inserted there '
                             'gives only {}'.format(index, name, len(outputs)))
        return outputs[index]

    def ready(self, node):
        # The calls of a layer keep their order, because get_output_at counts by it.
        needed = [] if node.is_first else [(node.layer.name, node.number - 1)]
        _map(lambda reference: needed.append(tuple(reference[:2])), node.references)
        _map(lambda reference: needed.append(tuple(reference[:2])), _arguments(node.references))
        return all(key in self._outputs for key in needed)

    def inputs(self, references):
        tensors = _map(self.get, references)
        return tensors[0] if isinstance(tensors, list) and len(tensors) == 1 else tensors

    def arguments(self, references):
        return _map(self.get, _arguments(references))


def _arguments(references):
    """The keyword arguments of a call. The config repeats them with each input of the call."""
    found = []
    _map(lambda reference: found.append(reference[3]), references)
    return found[0] if found else {}


def _map(function, value):
    """Applies a function to all references [layer name, node number, tensor index, ...] in a value.
    """
    if isinstance(value, dict):
        return {key: _map(function, part) for key, part in value.items()}
    if not isinstance(value, (list, tuple)):
        return value
    if len(value) in (3, 4) and [type(part) for part in value[:3]] == [str, int, int]:
        return function(value)
    return [_map(function, part) for part in value]


def _input_arguments(model):
    tensor = model.inputs[0]
    return dict(batch_input_shape=tf.keras.backend.int_shape(tensor), dtype=tensor.dtype.name,
                name=model.input_names[0])
