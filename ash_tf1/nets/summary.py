"""Counts the parameters and multiply-adds of each layer of a net."""
import collections
from typing import NamedTuple, Optional, Tuple

import tensorflow.compat.v1 as tf

MULTIPLYING = ('Conv2D', 'DepthwiseConv2dNative', 'MatMul')
POOLING = ('MaxPool', 'AvgPool', 'Mean')
_SCOPE = 'net'


class Layer(NamedTuple):
    """A variable scope with parameters or an activation of its own, or a pooling."""

    name: str
    output_shape: Tuple[Optional[int], ...]  # without the batch
    parameters: int              # trained ones, without those of the activation
    multiply_adds: int           # of convolutions and dense layers, for one image
    activation: str              # name of the activation; '' if there is none
    activation_parameters: int


class Summary(NamedTuple):
    """The layers of a net, in order, and their sums."""

    layers: Tuple[Layer, ...]

    @property
    def parameters(self):
        return sum(layer.parameters for layer in self.layers)

    @property
    def multiply_adds(self):
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def activations(self):
        return sum(bool(layer.activation) for layer in self.layers)

    @property
    def activation_parameters(self):
        return sum(layer.activation_parameters for layer in self.layers)


def summarize(net, input_shape, num_classes, activation_fn, activation_name='activation'):
    """Builds a net for inference in a graph of its own, and counts parameters and multiply-adds.

    A multiply-add is one multiplication and one addition; the papers of the residual nets call it a
    "FLOP". As in these papers, only those of convolutions and dense layers are counted. Biases,
    BatchNorm, pooling and activations are not.

    Args:
      net: a net, as `nets.get_net` gives it.
      input_shape: (height, width, channels).
      num_classes: number of logits.
      activation_fn: function of one tensor.
      activation_name: the value of `Layer.activation`.

    Returns:
      A `Summary`.

    Raises:
      ValueError: the net does not accept this input shape.
    """
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, (None,) + tuple(input_shape))
        recorder = _Recorder(activation_fn)
        net(images, num_classes, recorder, is_training=False, scope=_SCOPE)
        rows = _rows(graph, recorder.calls)
        for variable in tf.trainable_variables():
            if variable.op.name not in recorder.variables:
                row = _longest_prefix(rows, variable.op.name)
                rows[row]['parameters'] += variable.shape.num_elements()
    return Summary(tuple(
        Layer(name[len(_SCOPE) + 1:], row['shape'], row['parameters'], row['multiply_adds'],
              activation_name if row['activated'] else '', row['activation_parameters'])
        for name, row in rows.items()))


class _Call(NamedTuple):
    """One call of an activation."""

    ops: range       # positions of its ops in graph.get_operations()
    scope: str
    output: tf.Tensor
    parameters: int


class _Recorder:
    """An activation that notes where it is called, and which variables it makes."""

    def __init__(self, activation_fn):
        self.activation_fn = activation_fn
        self.calls = []
        self.variables = set()  # names

    def __call__(self, inputs):
        graph = tf.get_default_graph()
        op_count, variable_count = graph.version, len(tf.trainable_variables())
        output = self.activation_fn(inputs)
        made = tf.trainable_variables()[variable_count:]
        self.variables.update(variable.op.name for variable in made)
        self.calls.append(_Call(range(op_count, graph.version), tf.get_variable_scope().name,
                                output, sum(v.shape.num_elements() for v in made)))
        return output


def _rows(graph, calls):
    """Counts per layer, from the ops of a graph.

    Args:
      graph: the graph of a net.
      calls: list of the `_Call`s of its activation, in order.

    Returns:
      An ordered dict: full name of each layer -> dict of its counts, in the order of the graph.
    """
    rows = collections.OrderedDict()

    def row(name, output):
        values = rows.setdefault(name, dict(parameters=0, multiply_adds=0, activated=False,
                                            activation_parameters=0))
        values['shape'] = tuple(output.shape.as_list()[1:])
        return values

    calls = collections.deque(calls)
    inside = range(0)
    for place, op in enumerate(graph.get_operations()):
        while calls and calls[0].ops.start <= place:
            call = calls.popleft()
            inside = call.ops
            values = row(call.scope, call.output)
            values['activated'] = True
            values['activation_parameters'] += call.parameters
        if place in inside:  # ops of an activation are no part of the count
            continue
        if op.type in MULTIPLYING:
            # Each weight is used once for each position of the output.
            row(_variable_name(op.inputs[1]).rsplit('/', 1)[0], op.outputs[0])['multiply_adds'] += (
                op.outputs[0].shape[1:-1].num_elements() * op.inputs[1].shape.num_elements())
        elif op.type in POOLING:
            name, _, kind = op.name.rpartition('/')
            row(name if kind == op.type else op.name, op.outputs[0])
    return rows


def _variable_name(tensor):
    """The name of the variable that a tensor is read from."""
    op = tensor.op
    while op.inputs:
        op = op.inputs[0].op
    return op.name


def _longest_prefix(names, name):
    return max((n for n in names if name.startswith(n + '/')), key=len)
