"""Replaces the variables of a graph by constants, whose values it reads from the checkpoint.

No op of the graph is run for that. Its restore op says which tensor of the checkpoint each variable
takes.
"""
import re
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.core.framework import function_pb2
from tensorflow.core.framework.tensor_shape_pb2 import TensorShapeProto

from ash_tf1 import checkpoint
from ash_tf1.converting import definitions, functions
from ash_tf1.converting.definitions import node_name

VARIABLES = ('VariableV2', 'Variable', 'VarHandleOp')
_RESTORES = ('RestoreV2', 'Restore', 'RestoreSlice')
_ASSIGNS = ('Assign', 'AssignVariableOp')
# Between a variable and what reads it; of a variable by reference, their names begin with Ref.
_PASS_ON = ('Identity', 'Switch', 'Merge', 'Enter', 'Exit', 'NextIteration', 'Select')


class Slot(NamedTuple):
    """Where in a checkpoint the value of a variable is."""

    key: str
    part: str  # 'SIZES BEGIN,COUNT:...' for a part of a larger tensor, as TensorFlow writes it


class _Value(NamedTuple):
    """What a handle of a variable leads to."""

    dtype: int  # as in DataType
    shape: TensorShapeProto


def restored_variables(graph_def, restore_op=''):
    """Reads off a graph what its restore op would put into each of its variables.

    Args:
      graph_def: a whole GraphDef, of a MetaGraph.
      restore_op: name of the restore op, as a SaverDef has it; all assignments are read where it
        is empty.

    Returns:
      A dict: name of a variable's node -> `Slot`.
    """
    nodes = {node.name: node for node in graph_def.node}
    part = tf.GraphDef(node=_behind(restore_op.rpartition(':')[0] or restore_op, nodes),
                       library=graph_def.library)
    nodes = {node.name: node for node in functions.flatten(functions.with_called(part)).node}
    slots = {}
    for node in nodes.values():
        if node.op in _ASSIGNS and len(node.input) > 1:
            slot = _restored(node.input[1], nodes)
            if slot:
                slots.setdefault(node_name(node.input[0]), slot)
    return slots


def freeze(graph_def, slots, prefix):
    """Makes constants of all variables in a graph.

    Args:
      graph_def: a GraphDef, cut to what is to be converted; not changed.
      slots: what `restored_variables` gave for the whole graph; a variable that is not in it is
        looked for under its own name.
      prefix: the checkpoint, as from `checkpoint.find_checkpoint`.

    Returns:
      A GraphDef whose tensors have the names they had.

    Raises:
      ValueError: the checkpoint is damaged, lacks a variable or has it in another shape or dtype,
        or a variable is used by an op that is no mathematics; the message names it.
    """
    variables = {node.name: node for node in graph_def.node if node.op in VARIABLES}
    slots = {name: slots.get(name, Slot(name, '')) for name in variables}
    stored = checkpoint.list_variables(prefix)
    missing = sorted(slot.key for slot in slots.values() if slot.key not in stored)
    if missing:
        raise ValueError('the checkpoint {} lacks {}, which the graph needs'.format(
            prefix, ', '.join(missing)))
    keys = {name: slot.key for name, slot in slots.items()}
    constants = {name: _constant(variables[name], _part(value, slots[name]), slots[name], prefix)
                 for name, value in checkpoint.read_variables(prefix, stored, keys)}
    handles = {name: _Value(node.attr['dtype'].type, node.attr['shape'].shape)
               for name, node in variables.items() if node.op == 'VarHandleOp'}
    library = {function.signature.name: function for function in graph_def.library.function}
    nodes, _ = _reading_constants(graph_def.node, handles, library)
    frozen = tf.GraphDef(versions=graph_def.versions)
    frozen.node.extend(constants.get(node.name, node) for node in nodes)
    frozen.library.function.extend(library.values())
    return frozen


def _behind(name, nodes):
    """All nodes that an op depends on; all there are where it is none."""
    if name not in nodes:
        return list(nodes.values())
    found, waiting = {}, [name]
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in found:
            found[name] = nodes[name]
            waiting.extend(map(node_name, nodes[name].input))
    return list(found.values())


def _restored(tensor, nodes):
    """The `Slot` of a tensor that comes from a restore op, or None."""
    node, passed = nodes.get(node_name(tensor)), set()
    while node is not None and node.op in ('Identity', 'Reshape', 'Cast') and node.input:
        if node.name in passed:
            raise ValueError('the graph is damaged: {!r} depends on itself'.format(node.name))
        passed.add(node.name)
        tensor = node.input[0]
        node = nodes.get(node_name(tensor))
    number = tensor.partition(':')[2] or '0'
    if node is None or node.op not in _RESTORES or len(node.input) < 2 or not number.isdigit():
        return None
    index = int(number)
    keys, parts = (_strings(nodes.get(node_name(name))) for name in (
        node.input[1], node.input[2] if len(node.input) > 2 else ''))
    if index >= len(keys):
        return None
    return Slot(keys[index], parts[index] if index < len(parts) else '')


def _strings(node):
    """The elements of a constant of strings; none for anything else."""
    if node is None or node.op != 'Const' or node.attr['dtype'].type != tf.string.as_datatype_enum:
        return []
    values = np.atleast_1d(definitions.constant(node))
    return [value.decode('utf-8', 'replace') for value in values.ravel()
            if isinstance(value, bytes)]


def _part(value, slot):
    """The part of a stored tensor that a `Slot` names."""
    if not slot.part:
        return value
    *sizes, spec = slot.part.split(' ')
    axes = [axis.split(',') for axis in spec.split(':')]
    if (sizes != list(map(str, value.shape)) or len(axes) != value.ndim
            or not re.fullmatch(r'(-|\d+,\d+)(:(-|\d+,\d+))*', spec)
            or any(len(axis) > 1 and sum(map(int, axis)) > size
                   for axis, size in zip(axes, value.shape))):
        raise ValueError('the graph restores {!r} from {}, of shape {}'.format(
            slot.part, slot.key, list(value.shape)))
    return value[tuple(slice(None) if len(axis) == 1 else
                       slice(int(axis[0]), int(axis[0]) + int(axis[1])) for axis in axes)]


def _constant(node, value, slot, prefix):
    """The constant node in place of a variable's."""
    dtype, shape = tf.as_dtype(node.attr['dtype'].type), tf.TensorShape(node.attr['shape'].shape)
    if value.dtype != dtype.as_numpy_dtype or not shape.is_compatible_with(value.shape):
        raise ValueError('the variable {!r} is {} {} in the graph, and {} {} as {!r} in the '
                         'checkpoint {}'.format(node.name, dtype.name, shape, value.dtype,
                                                list(value.shape), slot.key, prefix))
    constant = tf.NodeDef(name=node.name, op='Const')
    constant.attr['dtype'].type = dtype.as_datatype_enum
    constant.attr['value'].tensor.CopyFrom(tf.make_tensor_proto(value, dtype))
    return constant


def _reading_constants(nodes, handles, library):
    """Nodes as they are where variables are constants.

    Args:
      nodes: NodeDefs, with inputs as in a graph; not changed.
      handles: dict of `_Value`s by the names of variables that are resources.
      library: dict of FunctionDefs by their names; those to which handles are given are changed.

    Returns:
      (list of NodeDefs, dict of `_Value`s by the names of all that give handles).
    """
    values = _all_handles(nodes, handles)
    return [fresh for node in nodes for fresh in _reading_constant(node, values, library)], values


def _all_handles(nodes, handles):
    """The `_Value` of each handle of a variable: a dict by the names of nodes."""
    values = dict(handles)
    consumers = {}
    for node in nodes:
        if node.op in _PASS_ON and node.attr['T'].type == tf.resource.as_datatype_enum:
            for name in map(node_name, node.input):
                consumers.setdefault(name, []).append(node.name)
    waiting = list(values)
    while waiting:
        name = waiting.pop()
        for consumer in consumers.get(name, ()):
            if consumer not in values:
                values[consumer] = values[name]
                waiting.append(consumer)
    return values


def _give_values(node, values, library):
    """Changes a node of control flow v2, and its functions, to take values instead of handles."""
    given = [values.get(node_name(name)) for name in node.input if name[0] != '^']
    if node.op not in functions.LOOPS:
        del given[0]  # what it decides by
    types = node.attr['T' if node.op in functions.LOOPS else 'Tin'].list.type
    types[:] = [value.dtype if value else before for value, before in zip(given, types)]
    if node.op in functions.LOOPS:
        for value, shape in zip(given, node.attr['output_shapes'].list.shape):
            if value:
                shape.CopyFrom(value.shape)
    for reference in functions.named(node):
        function = function_pb2.FunctionDef()
        function.CopyFrom(library[reference.name])
        function.arg_attr.clear()  # shapes of before
        found = functions.body(function)
        handles = {name: value for name, value in zip(found.inputs, given) if value}
        nodes, inside = _reading_constants(found.nodes, handles, library)
        for argument in function.signature.input_arg:
            if argument.name in handles:
                argument.type = handles[argument.name].dtype
        for argument, output in zip(function.signature.output_arg, found.outputs):
            if node_name(output) in inside:
                argument.type = inside[node_name(output)].dtype
        library[reference.name] = functions.with_body(function, nodes, found.outputs)


def _reading_constant(node, values, library):
    """A node as it is where variables are constants: a list of nodes."""
    fresh = tf.NodeDef()
    fresh.CopyFrom(node)
    if node.op.startswith('Ref') and node.op[3:] in _PASS_ON:
        fresh.op = node.op[3:]
    elif node.op in _PASS_ON and node.name in values:
        fresh.attr['T'].type = values[node.name].dtype
    elif node.op == 'ReadVariableOp':
        fresh.op = 'Identity'
        fresh.attr['T'].type = node.attr['dtype'].type
        del fresh.attr['dtype']
    elif node.op == 'ResourceGather':
        axis = tf.NodeDef(name=node.name + '/axis', op='Const')
        axis.attr['dtype'].type = tf.int32.as_datatype_enum
        axis.attr['value'].tensor.CopyFrom(tf.make_tensor_proto(0, tf.int32))
        fresh.op = 'GatherV2'
        fresh.input.insert(2, axis.name)
        fresh.attr.pop('validate_indices', None)
        fresh.attr['Tparams'].type = node.attr['dtype'].type
        del fresh.attr['dtype']
        fresh.attr['Taxis'].type = tf.int32.as_datatype_enum
        return [axis, fresh]
    elif any(node_name(name) in values for name in node.input) and functions.named(node):
        _give_values(fresh, values, library)
    elif any(node_name(name) in values for name in node.input):
        raise ValueError('{!r} uses a variable by an op of the type {}, which is not '
                         'converted'.format(node.name, node.op))
    return [fresh]
