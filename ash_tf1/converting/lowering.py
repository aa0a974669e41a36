"""Every ASH in a frozen graph becomes portable ops: those of `kernels.portable`.

Native ops have no counterpart in ONNX, and the form `recompute` computes its statistics in double
precision and its gate by an exponential that overflows on purpose.
"""
import collections

import tensorflow.compat.v1 as tf

from ash_tf1 import kernels

_OVERRIDE = '_gradient_op_type'
_RECOMPUTE = b'AshRecompute'
_PARAMETERS = ('x', 'z_k', 'alpha')

Layer = collections.namedtuple('Layer', ['name', 'x', 'z_k', 'alpha', 'leak'])
Layer.__doc__ += """: an ASH in a graph. x, z_k and alpha are names of tensors, as a node's inputs
are; the leak is a float, or the name of a tensor."""


def find_ash(nodes):
    """The ASH layers among NodeDefs, in the forms native and recompute: a list of `Layer`."""
    layers = []
    for node in nodes:
        inputs = [name for name in node.input if not name.startswith('^')]
        if node.op == 'AshForward':
            layers.append(Layer(node.name, *inputs, leak=float(node.attr['leak'].s or 0)))
        elif node.op == 'IdentityN' and node.attr[_OVERRIDE].s == _RECOMPUTE:
            _, x, z_k, alpha, _, _, *leak = inputs
            layers.append(Layer(node.name, x, z_k, alpha, leak[0] if leak else 0.0))
    return layers


def lower(graph_def):
    """Replaces every ASH in a graph by portable ops.

    Args:
      graph_def: a GraphDef without variables; not changed.

    Returns:
      A GraphDef whose tensors have the names they had.

    Raises:
      ValueError: a layer is inside a function of the graph, its rank is not known, its leak is no
        constant, or something reads its statistics; the message names the layer.
    """
    for function in graph_def.library.function:
        for layer in find_ash(function.node_def):
            raise ValueError('ASH {!r} is inside the function {!r} of the graph, as control flow '
                             'v2 makes them: build the graph after tf.disable_control_flow_v2()'
                             .format(layer.name, function.signature.name))
    layers = find_ash(graph_def.node)
    _check_statistics(graph_def, layers)
    inputs = _input_tensors(graph_def, layers)
    replaced = {layer.name for layer in layers}
    lowered = tf.GraphDef(versions=graph_def.versions, library=graph_def.library)
    lowered.node.extend(node for node in graph_def.node if node.name not in replaced)
    constants = {node.name: node for node in graph_def.node if node.op == 'Const'}
    for layer, x in zip(layers, inputs):
        lowered.node.extend(_portable(layer, x, constants))
    return lowered


def _check_statistics(graph_def, layers):
    """Raises ValueError where a node reads an output of an ASH other than its first."""
    names = {layer.name for layer in layers}
    for node in graph_def.node:
        for tensor in node.input:
            name, _, index = tensor.partition(':')
            if name in names and index not in ('', '0'):
                raise ValueError('{!r} reads output {} of ASH {!r}, its statistics, which the '
                                 'portable ops do not give'.format(node.name, index, name))


def _input_tensors(graph_def, layers):
    """The tensors that the layers take, whose rank must be known."""
    with tf.Graph().as_default():
        tensors = tf.import_graph_def(graph_def, name='', return_elements=[
            layer.x if ':' in layer.x else layer.x + ':0' for layer in layers])
    for layer, x in zip(layers, tensors):
        if x.shape.ndims is None:
            raise ValueError('ASH {!r} cannot be converted: the rank of its input {!r} is not '
                             'known'.format(layer.name, x.name))
    return tensors


def _portable(layer, x, constants):
    """The nodes of a layer in the portable form, below its name; the last one has its name."""
    leak = layer.leak
    if not isinstance(leak, float):
        if leak not in constants:
            raise ValueError('ASH {!r} cannot be converted: its leak {!r} is no constant'.format(
                layer.name, leak))
        leak = float(tf.make_ndarray(constants[leak].attr['value'].tensor))
    with tf.Graph().as_default() as graph:
        parameters = [tf.placeholder(x.dtype if name == 'x' else kernels.PRECISION[x.dtype][0],
                                     x.shape if name == 'x' else None, name)
                      for name in _PARAMETERS]
        scalars = [tf.reshape(parameter, []) for parameter in parameters[1:]]
        tf.identity(kernels.portable(parameters[0], *scalars, leak=leak), name='y')
        nodes = graph.as_graph_def().node
    names = {name: getattr(layer, name) for name in _PARAMETERS}
    names.update({node.name: '{}/{}'.format(layer.name, node.name) for node in nodes
                  if node.name not in _PARAMETERS})
    names['y'] = layer.name
    portable = []
    for node in nodes:
        if node.name not in _PARAMETERS:
            inputs = [names[name] for name in node.input]
            node.name = names[node.name]
            node.input[:] = inputs
            node.attr.pop(_OVERRIDE, None)
            portable.append(node)
    return portable
