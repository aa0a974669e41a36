"""Every ASH in a frozen graph becomes portable ops: those of `kernels.portable`.

Native ops have no counterpart in ONNX, and the form `recompute` computes its statistics in double
precision and its gate by an exponential that overflows on purpose. What owners wrote from the paper
has an exponential that overflows, too, and often a variance that loses its digits.
"""
import collections

import tensorflow.compat.v1 as tf

from ash_tf1 import kernels
from ash_tf1.converting import argument, definitions, functions, published

_OVERRIDE = '_gradient_op_type'
_RECOMPUTE = b'AshRecompute'

Layer = collections.namedtuple('Layer', ['name', 'x', 'z_k', 'alpha', 'leak', 'form'])
Layer.__doc__ += """: an ASH in a graph. x is the name of a tensor, as a node's inputs are; z_k,
alpha and the leak are floats, or names of tensors. The form is 'native', 'recompute', 'exponential'
or 'sigmoid': the last two are made of ordinary ops, with x / (1 + exp(-u)) or x * sigmoid(u)."""


def find_ash(nodes):
    """The ASH layers among NodeDefs, in the forms native and recompute.

    Args:
      nodes: NodeDefs; not changed.

    Returns:
      A list of `Layer`.

    Raises:
      ValueError: a layer has too few inputs, or its leak is no number in [0, 1).
    """
    layers = []
    for node in nodes:
        inputs = [name for name in node.input if not name.startswith('^')]
        if node.op == 'AshForward':
            layers.append(Layer(node.name, *inputs, leak=_native_leak(node), form='native'))
        elif node.op == 'IdentityN' and definitions.attribute(node, _OVERRIDE).s == _RECOMPUTE:
            if not 6 <= len(inputs) <= 7:
                raise ValueError('ASH {!r} is damaged: it has {} inputs instead of 6 or 7'.format(
                    node.name, len(inputs)))
            _, x, z_k, alpha, _, _, *leak = inputs
            layers.append(Layer(node.name, x, z_k, alpha, leak[0] if leak else 0.0, 'recompute'))
    return layers


def _native_leak(node):
    """The leak of a native layer, a float; TensorFlow itself may crash on one that is no text."""
    text = definitions.attribute(node, 'leak').s if 'leak' in node.attr else b'0'
    try:
        leak = float(text.decode('ascii'))
    except ValueError:
        leak = -1.0
    if not 0.0 <= leak < 1.0:
        raise ValueError('ASH {!r} has the leak {!r}, which is no number in [0, 1)'.format(
            node.name, text.decode('ascii', 'replace')))
    return leak


def find_layers(graph_def):
    """The ASH layers of a graph in every form, those that ordinary ops make up included.

    Args:
      graph_def: a GraphDef without variables.

    Returns:
      A list of `Layer`.
    """
    return find_ash(graph_def.node) + _of_ordinary_ops(graph_def, _imported(graph_def))[0]


def lower(graph_def):
    """Replaces every ASH in a graph by portable ops.

    That includes ASH as owners wrote it from the paper, x / (1 + exp(-u)) or x * sigmoid(u), where
    u is proved to be ASH's. With another u that is made of x, as Swish's is, x / (1 + exp(-u))
    becomes x * sigmoid(u): the same function, without an exponential that overflows. So does
    x * exp(u) / (1 + exp(u)), with any u. What is left is as it was.

    Args:
      graph_def: a GraphDef without variables; not changed.

    Functions of the graph that are called are no more, and those of conditions and loops of control
    flow v2 are lowered too.

    Returns:
      A GraphDef whose tensors have the names they had. What nothing reads any more is still there.

    Raises:
      ValueError: a layer's rank is not known, its leak is no constant, or something reads its
        statistics; the message names the layer.
    """
    return _lower(functions.flatten(functions.with_called(graph_def)))


def _lower(graph_def):
    """Lowers a graph without calls, with functions that are each named by one node."""
    graph = _imported(graph_def)
    layers = find_ash(graph_def.node)
    _check_statistics(graph_def, layers)
    _check_ranks(graph, layers)
    ordinary, gates = _of_ordinary_ops(graph_def, graph)
    layers += ordinary
    replaced = {replaced.name for replaced in layers + gates}
    lowered = tf.GraphDef(versions=graph_def.versions)
    lowered.library.function.extend(_lowered_functions(graph_def, graph))
    lowered.node.extend(node for node in graph_def.node if node.name not in replaced)
    constants = {node.name: node for node in graph_def.node if node.op == 'Const'}
    for layer in layers:
        lowered.node.extend(_portable(layer, graph, constants))
    for gate in gates:
        lowered.node.extend(_with_sigmoid(gate, graph))
    return lowered


def _lowered_functions(graph_def, graph):
    """The functions of a graph, those that its nodes name and those that these name."""
    library = {function.signature.name: function for function in graph_def.library.function}
    for node in graph_def.node:
        given = _given(node, graph.get_operation_by_name(node.name), library)
        for reference in functions.named(node):
            function = library[reference.name]
            found = functions.body(function)
            part = tf.GraphDef(versions=graph_def.versions)
            part.node.extend(_arguments(found.inputs, given))
            part.node.extend(found.nodes)
            part.library.function.extend(library.values())
            lowered = _lower(part)
            library.update((one.signature.name, one) for one in lowered.library.function)
            library[reference.name] = functions.with_body(function, [
                one for one in lowered.node if one.name not in found.inputs], found.outputs)
    return library.values()


def _given(node, op, library):
    """What an op gives to its functions: a dtype, a shape and, if it is the same ever, its op."""
    if op.type not in functions.LOOPS:
        return [(tensor.dtype, tensor.shape, tensor.op) for tensor in op.inputs[1:]]
    body = functions.body(library[node.attr['body'].func.name])
    # What a loop changes has neither the value nor, perhaps, the shape that it had first.
    return [(after.dtype, after.shape, before.op if output == argument else None)
            for before, after, argument, output in zip(op.inputs, op.outputs, body.inputs,
                                                       body.outputs)]


def _arguments(names, given):
    """Nodes for the arguments of a function: the constants that they are, or placeholders."""
    with tf.Graph().as_default() as graph:
        for name, (dtype, shape, op) in zip(names, given):
            if op is not None and op.type == 'Const':
                node = op.node_def
                node.name = name
                tf.import_graph_def(tf.GraphDef(node=[node]), name='')
            else:
                tf.placeholder(dtype, shape, name)
        return graph.as_graph_def().node


def _imported(graph_def):
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name='')
    return graph


def _tensor(graph, name):
    """A tensor by its name as in a node's inputs."""
    return graph.get_tensor_by_name(name if ':' in name else name + ':0')


def _of_ordinary_ops(graph_def, graph):
    """What ordinary ops make up: a list of `Layer`s, and a list of other `Gate`s to be replaced."""
    nodes = {node.name: node for node in graph_def.node}
    layers, gates = {}, {}
    for gate in published.find(nodes):
        x = _tensor(graph, gate.x)
        if x.dtype not in kernels.PRECISION:
            continue
        parameters = argument.ash_parameters(
            nodes, graph_def.versions, gate.x, x.shape, x.dtype, gate.argument)
        if parameters:
            z_k, alpha = parameters
            layers[gate.name] = Layer(gate.name, gate.x, z_k, gate.sign * alpha, 0.0, gate.form)
        elif gate.form == published.EXPONENTIAL and (
                gate.sign > 0 or argument.is_made_of(nodes, gate.x, gate.argument)):
            # A sigmoid ends at 1e-8 or so, an exponential goes on: (exp(u) - 1) / (1 + exp(u)) has
            # an x for which that matters, and x is not in its u.
            gates[gate.name] = gate
    return list(layers.values()), [gate for gate in gates.values() if gate.name not in layers]


def _check_statistics(graph_def, layers):
    """Raises ValueError where a node reads an output of an ASH other than its first."""
    names = {layer.name for layer in layers}
    for node in graph_def.node:
        for tensor in node.input:
            name, _, index = tensor.partition(':')
            if name in names and index not in ('', '0'):
                raise ValueError('{!r} reads output {} of ASH {!r}, its statistics, which the '
                                 'portable ops do not give'.format(node.name, index, name))


def _check_ranks(graph, layers):
    """Raises ValueError where the rank of a layer's input is not known."""
    for layer in layers:
        if _tensor(graph, layer.x).shape.ndims is None:
            raise ValueError('ASH {!r} cannot be converted: the rank of its input {!r} is not '
                             'known'.format(layer.name, _tensor(graph, layer.x).name))


def _portable(layer, graph, constants):
    """The nodes of a layer in the portable form."""
    leak = layer.leak
    if not isinstance(leak, float):
        if leak not in constants:
            raise ValueError('ASH {!r} cannot be converted: its leak {!r} is no constant'.format(
                layer.name, leak))
        leak = float(tf.make_ndarray(constants[leak].attr['value'].tensor))
    compute = kernels.PRECISION[_tensor(graph, layer.x).dtype][0]

    def portable(x, *trained):
        z_k, alpha = trained or [tf.constant(value, compute) for value in (layer.z_k, layer.alpha)]
        return kernels.portable(x, tf.reshape(z_k, []), tf.reshape(alpha, []), leak)

    trained = [name for name in (layer.z_k, layer.alpha) if not isinstance(name, float)]
    return _nodes(layer.name, graph, portable, [layer.x] + trained)


def _with_sigmoid(gate, graph):
    """The nodes of a gate with an exponential as x * sigmoid(u)."""
    return _nodes(gate.name, graph, lambda x, u: x * tf.sigmoid(u if gate.sign > 0 else -u),
                  [gate.x, gate.argument])


def _nodes(name, graph, function, inputs):
    """The nodes of a function of tensors of a graph; the last one has the given name.

    The others are below it. Constants wait for the first input, as they must inside of a loop.
    """
    with tf.Graph().as_default() as made:
        tensors = [_tensor(graph, read) for read in inputs]
        placeholders = [tf.placeholder(tensor.dtype, tensor.shape) for tensor in tensors]
        tf.identity(function(*placeholders), name='y')
        nodes = made.as_graph_def().node
    scope = name
    while any(op.name.startswith(scope + '/') for op in graph.get_operations()):
        scope += '_'
    names = {node.name: '{}/{}'.format(scope, node.name) for node in nodes}
    names.update({placeholder.op.name: read for placeholder, read in zip(placeholders, inputs)},
                 y=name)
    placed = [node for node in nodes if node.op != 'Placeholder']
    for node in placed:
        read = [names[tensor] for tensor in node.input]
        node.name = names[node.name]
        node.input[:] = read or ['^' + inputs[0].partition(':')[0]]
        node.attr.pop(_OVERRIDE, None)
    return placed
