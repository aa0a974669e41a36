"""The functions in the library of a graph, which nodes call as their op or name as an attribute.

A call is replaced by the function's nodes. Branches and loop bodies of control flow v2 stay
functions, one of its own for each node that names it, and call none themselves. All this is done to
the GraphDef, and runs nothing.
"""
from typing import List, NamedTuple, Tuple

import tensorflow.compat.v1 as tf
from tensorflow.core.framework import function_pb2

from ash_tf1.converting import definitions

LOOPS = ('While', 'StatelessWhile')  # of control flow v2
CALLS = ('PartitionedCall', 'StatefulPartitionedCall')
MAX_DEPTH = 32  # TensorFlow recurses over calls, and crashes where they have no end
MAX_NODES = 2 ** 17  # of functions, that a graph may have with a copy for each call


class Body(NamedTuple):
    """A function as a graph: its inputs are names that its nodes read, and no nodes."""

    nodes: List[tf.NodeDef]
    inputs: Tuple[str, ...]
    outputs: Tuple[str, ...]  # names of tensors


def with_called(graph_def):
    """The graph with those functions of its library that its nodes call, directly or not.

    Raises:
      ValueError: one calls itself, or the calls are nested too deep; the message names it.
    """
    functions = {function.signature.name: function for function in graph_def.library.function}
    called, level = set(), _names(graph_def.node) & set(functions)
    for _ in range(MAX_DEPTH):
        called |= level
        level = set().union(*(_names(functions[name].node_def) for name in level)) & set(functions)
    if level:
        raise ValueError('the function {!r} calls itself, or is called through more than {} others'
                         .format(min(level), MAX_DEPTH))
    kept = tf.GraphDef(node=graph_def.node, versions=graph_def.versions)
    kept.library.function.extend(functions[name] for name in sorted(called))
    return kept


def flatten(graph_def):
    """A graph without calls.

    Args:
      graph_def: a GraphDef with the functions that it calls, as from `with_called`; not changed.

    Returns:
      A GraphDef whose tensors have the names they had: a node that called is a copy of what the
      function gives. Nodes of a function are below its name.

    Raises:
      ValueError: there are too many calls, or a function is damaged; the message names it.
    """
    if not graph_def.library.function:
        return graph_def
    flat = _Flattening(graph_def)
    flattened = tf.GraphDef(versions=graph_def.versions)
    flattened.node.extend(flat.without_calls(graph_def.node))
    flattened.library.function.extend(flat.kept)
    return flattened


def check_loops(graph_def):
    """Raises ValueError where a loop of control flow v2 is none that tf2onnx takes.

    It takes the first two values of one for a counter and the largest number of iterations, as
    `tf.while_loop` makes them, and converts others wrongly or not at all.
    """
    library = {function.signature.name: function for function in graph_def.library.function}
    for node in definitions.all_nodes(graph_def):
        if node.op in LOOPS and not _counts(library[node.attr['body'].func.name]):
            raise ValueError('the loop {!r} has no counter of its own, as tf.while_loop makes one: '
                             'it is not converted'.format(node.name))


def _counts(function):
    """Whether the body of a loop begins with a counter and what it is counted to."""
    found = body(function)
    nodes = {node.name: node for node in found.nodes}

    def source(name):
        while name in nodes and nodes[name].op == 'Identity':
            name = nodes[name].input[0]
        return name

    if len(found.outputs) < 2 or source(found.outputs[1]) != found.inputs[1]:
        return False
    step = nodes.get(source(found.outputs[0]))
    return (step is not None and step.op in ('Add', 'AddV2')
            and found.inputs[0] in map(source, step.input))


def named(node):
    """The NameAttrLists by which a node names functions, to be changed."""
    return [function for _, value in sorted(node.attr.items())
            for function in [value.func] * value.HasField('func') + list(value.list.func)]


def body(function, functions=()):
    """The `Body` of a FunctionDef.

    Args:
      function: the FunctionDef.
      functions: dict of FunctionDefs that its nodes may have as their op.

    Raises:
      ValueError: one of its nodes reads what there is not; the message names it.
    """
    inputs = tuple(argument.name for argument in function.signature.input_arg)
    starts = {node.name: _starts(node, functions) for node in function.node_def}

    def tensor(name):
        node, _, place = name.partition(':')
        if node in inputs or name.startswith('^'):
            return node
        output, _, index = place.partition(':')
        if output not in starts.get(node, ()) or not (index or '0').isdigit():
            raise ValueError('the graph is damaged: the function {!r} has no tensor {!r}'.format(
                function.signature.name, name))
        number = starts[node][output] + int(index or 0)
        return '{}:{}'.format(node, number) if number else node

    nodes = []
    for node in function.node_def:
        nodes.append(tf.NodeDef())
        nodes[-1].CopyFrom(node)
        nodes[-1].input[:] = [tensor(name) for name in node.input if name[1:] not in inputs
                              or name[0] != '^']
    for argument in function.signature.output_arg:
        if argument.name not in function.ret or argument.number_attr or argument.type_list_attr:
            raise ValueError('the graph is damaged: the function {!r} does not give {!r}'.format(
                function.signature.name, argument.name))
    return Body(nodes, inputs, tuple(tensor(function.ret[argument.name])
                                     for argument in function.signature.output_arg))


def with_body(function, nodes, outputs):
    """A FunctionDef with other nodes and outputs than it had, these as those of a `Body`.

    Nodes that the outputs do not depend on are left out.
    """
    nodes = _needed(nodes, outputs)
    inputs = {argument.name for argument in function.signature.input_arg}
    starts = {node.name: _starts(node) for node in nodes}

    def place(name):
        node, _, number = name.partition(':')
        if node in inputs or name.startswith('^'):
            return node
        # The last one: an output of no tensors begins where the next one does.
        output, start = [pair for pair in starts[node].items() if pair[1] <= int(number or 0)][-1]
        return '{}:{}:{}'.format(node, output, int(number or 0) - start)

    changed = function_pb2.FunctionDef()
    changed.CopyFrom(function)
    del changed.node_def[:]
    changed.ret.clear()
    changed.control_ret.clear()
    for node in nodes:
        copy = changed.node_def.add()
        copy.CopyFrom(node)
        copy.input[:] = [place(name) for name in node.input
                         if not (name.startswith('^') and name[1:] in inputs)]
    for argument, output in zip(function.signature.output_arg, outputs):
        changed.ret[argument.name] = place(output)
    return changed


def _needed(nodes, outputs):
    """Those of the nodes that tensors depend on, in their order."""
    by_name, found = {node.name: node for node in nodes}, set()
    waiting = list(map(definitions.node_name, outputs))
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in found:
            found.add(name)
            waiting.extend(map(definitions.node_name, by_name[name].input))
    return [node for node in nodes if node.name in found]


def _names(nodes):
    """What could be the name of a function in NodeDefs."""
    return {name for node in nodes for name in [node.op] + [
        function.name for value in node.attr.values() for function in [value.func,
                                                                       *value.list.func]]}


def _starts(node, functions=()):
    """The number of the first tensor of each output of a node: a dict by names of outputs."""
    definition = (functions[node.op].signature if node.op in functions
                  else definitions.of(node.op))
    if definition is None:
        raise ValueError('op {!r} is of the type {}, which is not converted, and so not run'.format(
            node.name, node.op))
    starts, count = {}, 0
    for output in definition.output_arg:
        starts[output.name] = count
        count += definitions.arity(output, node)
    return starts


class _Flattening:
    """Replaces the calls in a graph, and keeps the functions that are left."""

    def __init__(self, graph_def):
        self.kept = []
        self._functions = {function.signature.name: function
                           for function in graph_def.library.function}
        self._nodes = 0

    def without_calls(self, nodes):
        """NodeDefs of a graph without calls, each with functions of its own."""
        taken = {scope for node in nodes for scope in _scopes(node.name)}
        # There a constant must wait for something of the loop's.
        in_loops = any(node.op == 'Enter' for node in nodes)
        moved, flat = {}, []
        for node in nodes:
            called = self._called(node)
            if called is None:
                flat += self._with_own_functions(node)
                continue
            scope = node.name
            while scope in taken:
                scope += '_'
            taken.add(scope)
            inside, outputs = self._inlined(called, node, scope, in_loops)
            flat += inside
            flat.append(_copy_of(outputs, node, called))
            for number, output in enumerate(outputs):
                moved['{}:{}'.format(node.name, number) if number else node.name] = output
        for node in flat:
            node.input[:] = [_follow(name, moved) for name in node.input]
        return flat

    def _called(self, node):
        """The function that a node calls, the types in it those of the call; or None."""
        if node.op in CALLS:
            return self._function(node.attr['f'].func.name, node.attr['f'].func.attr)
        return self._function(node.op, node.attr) if node.op in self._functions else None

    def _function(self, name, attributes):
        if name not in self._functions:
            raise ValueError('the graph is damaged: it has no function {!r}'.format(name))
        function = function_pb2.FunctionDef()
        function.CopyFrom(self._functions[name])
        for node in function.node_def:
            node.device = ''
            node.attr.pop('_class', None)  # the names of nodes that it is to be placed with
            for key, value in node.attr.items():
                if value.placeholder in attributes:
                    node.attr[key].CopyFrom(attributes[value.placeholder])
        for argument in list(function.signature.input_arg) + list(function.signature.output_arg):
            if argument.type_attr in attributes:
                argument.type = attributes[argument.type_attr].type
        return function

    def _body(self, function):
        """The `Body` of a function, without calls."""
        self._nodes += len(function.node_def)
        if self._nodes > MAX_NODES:
            raise ValueError('the graph calls functions so often that it has more than {} nodes'
                             .format(MAX_NODES))
        found = body(function, self._functions)
        return found._replace(nodes=self.without_calls(found.nodes))

    def _inlined(self, function, call, scope, in_loops):
        """(the nodes of a function in place of a call, the names of the tensors that it gives)."""
        found = self._body(function)
        read = [name for name in call.input if not name.startswith('^')]
        if len(read) != len(found.inputs):
            raise ValueError('the graph is damaged: {!r} has {} inputs, the function {!r} takes {}'
                             .format(call.name, len(read), function.signature.name,
                                     len(found.inputs)))
        given = dict(zip(found.inputs, read))

        def outside(name):
            node, colon, index = name.lstrip('^').partition(':')
            if node in given:
                return given[node] if name[0] != '^' else '^' + definitions.node_name(given[node])
            return '{}{}/{}{}{}'.format('^' * name.startswith('^'), scope, node, colon, index)

        for node in found.nodes:
            node.name = '{}/{}'.format(scope, node.name)
            node.input[:] = [outside(name) for name in node.input] or (
                ['^' + definitions.node_name(read[0])] if in_loops and read else [])
        return found.nodes, [outside(name) for name in found.outputs]

    def _with_own_functions(self, node):
        """A copy of a node, and what it needs; the functions that it names are without calls."""
        copy = tf.NodeDef()
        copy.CopyFrom(node)
        # tf2onnx knows control flow v2 better than what TensorFlow's optimizer makes of it.
        copy.attr.pop('_lower_using_switch_merge', None)
        for reference in named(copy):
            function = self._function(reference.name, reference.attr)
            found = self._body(function)
            name = '{}_{}'.format(reference.name, len(self.kept))
            self.kept.append(_renamed(function, found, name))
            reference.name = name
            reference.attr.clear()
        # tf2onnx makes an int64 of the largest number of iterations, for whoever else reads it too.
        if node.op not in LOOPS or list(node.input[1:]).count(''.join(node.input[1:2])) < 2:
            return [copy]
        own = tf.NodeDef(name=node.name + '/own_maximum', op='Identity', input=[node.input[1]])
        own.attr['T'].type = tf.int32.as_datatype_enum
        copy.input[1] = own.name
        return [copy, own]


def _renamed(function, found, name):
    """A function of another name with the nodes of a `Body`, below that name.

    A graph in ONNX sees the tensors of the graph that it is within: names in both would be one.
    """
    scope = name.lstrip('_')
    inputs = {argument: '{}_{}'.format(scope, argument) for argument in found.inputs}

    def below(tensor):
        node = tensor.lstrip('^')
        return inputs.get(tensor) or '{}{}/{}'.format('^' * (node != tensor), scope, node)

    for node in found.nodes:
        node.name = below(node.name)
        node.input[:] = map(below, node.input)
    changed = function_pb2.FunctionDef()
    changed.CopyFrom(function)
    changed.signature.name = name
    for argument in changed.signature.input_arg:
        argument.name = inputs[argument.name]
    return with_body(changed, found.nodes, [below(tensor) for tensor in found.outputs])


def _scopes(name):
    """The scopes that a name is in."""
    parts = name.split('/')
    return ['/'.join(parts[:count]) for count in range(1, len(parts))]


def _follow(name, moved):
    """The name of a tensor that no call gives."""
    passed = set()
    while name in moved:
        if name in passed:
            raise ValueError('the graph is damaged: {!r} depends on itself'.format(name))
        passed.add(name)
        name = moved[name]
    return name


def _type(argument, node):
    return argument.type or definitions.attribute(node, argument.type_attr).type


def _copy_of(outputs, call, function):
    """A node of a call's name that gives copies of tensors."""
    waits = [name for name in call.input if name.startswith('^')]
    if not outputs:
        return tf.NodeDef(name=call.name, op='NoOp', input=waits)
    types = [_type(argument, call) for argument in function.signature.output_arg]
    copy = tf.NodeDef(name=call.name, op='Identity' if len(outputs) == 1 else 'IdentityN',
                      input=list(outputs) + waits)
    if len(outputs) == 1:
        copy.attr['T'].type = types[0]
    else:
        copy.attr['T'].list.type[:] = types
    return copy
