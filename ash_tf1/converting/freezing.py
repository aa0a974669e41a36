"""The variables of a graph become constants, with values that no op of the graph has read.

The graph's restore op says which tensor of the checkpoint each variable takes, and is not run.
"""
import re
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1 import checkpoint
from ash_tf1.converting import definitions
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
    slots = {}
    for node in _behind(restore_op.rpartition(':')[0] or restore_op, nodes):
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
    dtypes = _resource_dtypes(graph_def, variables)
    frozen = tf.GraphDef(versions=graph_def.versions, library=graph_def.library)
    for node in graph_def.node:
        frozen.node.extend([constants[node.name]] if node.name in constants
                           else _reading_constants(node, dtypes))
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
    spec = slot.part.split(' ')[-1]
    if not re.fullmatch(r'(-|\d+,\d+)(:(-|\d+,\d+))*', spec) or spec.count(':') + 1 != value.ndim:
        raise ValueError('the graph restores {!r} from {}, of shape {}'.format(
            slot.part, slot.key, list(value.shape)))
    axes = [axis.split(',') for axis in spec.split(':')]
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


def _resource_dtypes(graph_def, variables):
    """The dtype of what each handle of a variable leads to: a dict by the names of nodes."""
    dtypes = {name: node.attr['dtype'].type for name, node in variables.items()
              if node.op == 'VarHandleOp'}
    consumers = {}
    for node in graph_def.node:
        if node.op in _PASS_ON and node.attr['T'].type == tf.resource.as_datatype_enum:
            for name in map(node_name, node.input):
                consumers.setdefault(name, []).append(node.name)
    waiting = list(dtypes)
    while waiting:
        name = waiting.pop()
        for consumer in consumers.get(name, ()):
            if consumer not in dtypes:
                dtypes[consumer] = dtypes[name]
                waiting.append(consumer)
    return dtypes


def _reading_constants(node, dtypes):
    """A node as it is where variables are constants: a list of nodes."""
    fresh = tf.NodeDef()
    fresh.CopyFrom(node)
    if node.op.startswith('Ref') and node.op[3:] in _PASS_ON:
        fresh.op = node.op[3:]
    elif node.op in _PASS_ON and node.name in dtypes:
        fresh.attr['T'].type = dtypes[node.name]
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
    elif any(node_name(name) in dtypes for name in node.input):
        raise ValueError('{!r} uses a variable by an op of the type {}, which is not '
                         'converted'.format(node.name, node.op))
    return [fresh]
