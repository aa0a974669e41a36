"""A graph of somebody else: what lies between its inputs and outputs, and whether that may run.

A graph is a program. What is cut out here holds nothing but ops that tf2onnx converts, or that
`lowering` replaces: none of them reads or writes files, runs Python or opens connections.
"""
import re
from typing import NamedTuple, Optional, Tuple

import tensorflow.compat.v1 as tf
from tf2onnx.handler import tf_op

# Known to tf2onnx, but sources of data or chance; the first ones may be cut off as inputs.
_NO_MATHEMATICS = re.compile('Iterator|Queue|Table|Random|Multinomial')
# What tf2onnx makes loops and conditions of, and what holds no op of its own.
_CONTROL_FLOW = ('Switch', 'Merge', 'Enter', 'Exit', 'NextIteration', 'LoopCond', 'RefSwitch',
                 'TensorArrayV3', 'TensorArrayReadV3', 'TensorArrayWriteV3', 'TensorArrayGatherV3',
                 'TensorArrayScatterV3', 'TensorArraySizeV3')
_OURS = ('AshForward',)
_HARMLESS = ('Const', 'Placeholder', 'PlaceholderWithDefault', 'NoOp', 'Identity', 'IdentityN',
             'StopGradient')
_VARIABLES = ('VariableV2', 'Variable', 'VarHandleOp', 'ReadVariableOp')


class Tensor(NamedTuple):
    """An input or output: the name of its tensor, dtype, and shape with None for unknown sizes."""

    name: str
    dtype: tf.DType
    shape: Optional[Tuple]  # None where the rank is unknown

    def __str__(self):
        sizes = 'of unknown rank' if self.shape is None else '[{}]'.format(
            ', '.join('?' if size is None else str(size) for size in self.shape))
        return '{} ({} {})'.format(self.name.rpartition(':0')[0] or self.name, self.dtype.name,
                                   sizes)


def cut(graph_def, inputs=(), outputs=()):
    """Cuts a frozen graph to what lies between its inputs and outputs.

    Args:
      graph_def: a GraphDef without variables; not changed.
      inputs: sequence of (name of a tensor, shape or None). Where there is none, the placeholders
        that the outputs depend on.
      outputs: sequence of names of tensors. Where there is none, the one tensor that no node reads.

    Returns:
      (GraphDef in which each input is a placeholder, tuple of input `Tensor`s, tuple of output
      `Tensor`s).

    Raises:
      ValueError: a name is unknown, an input or output is not given and there is not one of it, the
        graph is no graph, or it holds an op that is refused; the message names it.
    """
    nodes = _by_name(graph_def)
    outputs = [_full_name(name, nodes) for name in outputs] or [_only_output(nodes)]
    shapes = {_full_name(name, nodes): shape for name, shape in inputs}
    graph_def = _with_placeholders(graph_def, shapes)
    try:
        part = tf.graph_util.extract_sub_graph(
            graph_def, [name.rpartition(':')[0] for name in outputs])
    except (AssertionError, KeyError) as error:
        raise ValueError('the graph is damaged: {}'.format(error)) from None
    part = _with_called_functions(part)
    check_ops(part)
    with tf.Graph().as_default() as graph:
        try:
            tf.import_graph_def(part, name='')
            found = [op.outputs[0] for op in graph.get_operations() if op.type == 'Placeholder']
            given = [graph.get_tensor_by_name(name) for name in outputs]
        except (ValueError, KeyError, TypeError, tf.errors.OpError) as error:
            raise ValueError('the graph is damaged: {}'.format(error)) from None
    unused = set(shapes) - {tensor.name for tensor in found}
    if unused:
        raise ValueError('the outputs do not depend on {}'.format(', '.join(sorted(unused))))
    if shapes and len(found) > len(shapes):
        raise ValueError('the outputs depend on inputs that are not given: {}'.format(', '.join(
            str(_describe(tensor)) for tensor in found if tensor.name not in shapes)))
    order = list(shapes) or [tensor.name for tensor in found]
    found = {tensor.name: tensor for tensor in found}
    return (part, tuple(_describe(found[name]) for name in order),
            tuple(_describe(tensor) for tensor in given))


def check_ops(graph_def):
    """Raises ValueError where a graph holds an op that is not converted; it is never run then."""
    allowed = {name for versions in tf_op.get_opsets().values() for names in versions
               for name in names if not _NO_MATHEMATICS.search(name)}
    allowed.update(_CONTROL_FLOW + _OURS + _HARMLESS)
    functions = {function.signature.name for function in graph_def.library.function}
    nodes = list(graph_def.node) + [node for function in graph_def.library.function
                                    for node in function.node_def]
    for node in nodes:
        if node.op in _VARIABLES:
            raise ValueError('the graph is not frozen: it holds the variable {!r}; make constants '
                             'of them by tf.graph_util.convert_variables_to_constants'.format(
                                 node.name))
        if 'Random' in node.op or 'Multinomial' in node.op:
            raise ValueError('op {!r} draws random numbers ({}), as dropout does in training: '
                             'freeze the graph that evaluates'.format(node.name, node.op))
        if node.op not in allowed and node.op not in functions:
            raise ValueError('op {!r} is of the type {}, which is not converted, and so not run; '
                             'where it is a source of data, give its output as --input'.format(
                                 node.name, node.op))


def _with_called_functions(graph_def):
    """The graph with those functions of its library that its nodes call, directly or not."""
    functions = {function.signature.name: function for function in graph_def.library.function}
    called, waiting = {}, list(graph_def.node)
    while waiting:
        node = waiting.pop()
        names = {node.op} | {function.name for value in node.attr.values()
                             for function in [value.func, *value.list.func]}
        for name in names & set(functions) - set(called):
            called[name] = functions[name]
            waiting.extend(functions[name].node_def)
    kept = tf.GraphDef(node=graph_def.node, versions=graph_def.versions)
    kept.library.function.extend(functions[name] for name in sorted(called))
    return kept


def _by_name(graph_def):
    nodes = {node.name: node for node in graph_def.node}
    if not nodes or len(nodes) < len(graph_def.node):
        raise ValueError('it holds no graph' if not nodes else
                         'the graph is damaged: several of its nodes have one name')
    return nodes


def _full_name(name, nodes):
    """The name of a tensor with its index; of the first output of a node by default."""
    node, _, index = name.partition(':')
    if node not in nodes or not (index or '0').isdigit():
        raise ValueError('the graph has no tensor {!r}; its placeholders are {}, and what no node '
                         'reads is {}'.format(
                             name, _listed(_placeholders(nodes)), _listed(_ends(nodes))))
    return '{}:{}'.format(node, index or 0)


def _placeholders(nodes):
    return [name for name, node in nodes.items() if node.op == 'Placeholder']


def _ends(nodes):
    """The nodes that give something that no other node reads."""
    read = {name.lstrip('^').partition(':')[0] for node in nodes.values() for name in node.input}
    return [name for name, node in nodes.items()
            if name not in read and node.input and node.op not in ('NoOp', 'Assert')]


def _only_output(nodes):
    ends = _ends(nodes)
    if len(ends) != 1:
        raise ValueError('the graph has {} outputs that nothing reads ({}): name those to keep by '
                         '--output'.format(len(ends), _listed(ends)))
    return ends[0] + ':0'


def _listed(names):
    return (', '.join(names[:8]) + (', ...' if len(names) > 8 else '')) or 'none'


def _with_placeholders(graph_def, shapes):
    """The graph with a placeholder in place of each node that gives an input, and of its shape."""
    changed = tf.GraphDef()
    changed.CopyFrom(graph_def)
    for name, shape in shapes.items():
        node_name, _, index = name.rpartition(':')
        node = next(node for node in changed.node if node.name == node_name)
        if index != '0':
            raise ValueError('input {!r} is not the first output of its node (a shape of one size '
                             'ends in a comma)'.format(name))
        if node.op == 'Placeholder':
            dtype = node.attr['dtype'].type
        else:
            with tf.Graph().as_default():
                dtype = tf.import_graph_def(graph_def, name='', return_elements=[name])[
                    0].dtype.as_datatype_enum
        before = node.attr['shape'].shape if node.op == 'Placeholder' else None
        node.Clear()
        node.name, node.op = node_name, 'Placeholder'
        node.attr['dtype'].type = dtype
        if shape is not None:
            node.attr['shape'].shape.CopyFrom(tf.TensorShape(shape).as_proto())
        elif before is not None:
            node.attr['shape'].shape.CopyFrom(before)
        else:
            node.attr['shape'].shape.unknown_rank = True
    return changed


def _describe(tensor):
    shape = tensor.shape
    return Tensor(tensor.name, tensor.dtype, None if shape.ndims is None
                  else tuple(shape.as_list()))
