"""Cuts a graph of other code to what lies between inputs and outputs, and checks that it may run.

A graph is a program. What is cut out here holds nothing but ops that tf2onnx converts, or that
`lowering` replaces: none of them reads or writes files, runs Python or opens connections. That is
checked before anything is imported: to know a shape TensorFlow runs what it depends on.
"""
import re
from typing import NamedTuple, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf
from tf2onnx.handler import tf_op

from ash_tf1.converting import definitions, freezing, functions, simplifying

# Known to tf2onnx, but sources of data or chance; the first ones may be cut off as inputs.
_NO_MATHEMATICS = re.compile('Iterator|Queue|Table|Random|Multinomial|SampleDistorted')
# Nodes that are no output: by where they stand, and by what they do.
_NO_FORWARD_NAME = re.compile(r'(^|/)(gradients|save|ash_pass_share|init)(_\d+)?(/|$)')
_NO_FORWARD_OP = re.compile(
    '^NoOp$|^Assert$|Summary|^(Resource)?(Sparse)?Apply|^Assign|Save|Restore')
# What tf2onnx makes loops and conditions of, and what holds no op of its own.
_CONTROL_FLOW = ('Switch', 'Merge', 'Enter', 'Exit', 'NextIteration', 'LoopCond', 'RefSwitch',
                 'TensorArrayV3', 'TensorArrayReadV3', 'TensorArrayWriteV3', 'TensorArrayGatherV3',
                 'TensorArrayScatterV3', 'TensorArraySizeV3')
_OURS = ('AshForward',)
_HARMLESS = ('Const', 'Placeholder', 'PlaceholderWithDefault', 'NoOp', 'Identity', 'IdentityN',
             'StopGradient')
_VARIABLES = freezing.VARIABLES + ('ReadVariableOp', 'ResourceGather', 'RefSwitch', 'RefMerge',
                                   'RefEnter', 'RefExit', 'RefIdentity')
_RANDOM = ('RandomUniform', 'RandomUniformInt', 'RandomStandardNormal', 'TruncatedNormal',
           'Multinomial', 'RandomGamma', 'RandomShuffle', 'SampleDistortedBoundingBox',
           'SampleDistortedBoundingBoxV2')


MAX_SET = 2 ** 20  # elements of a placeholder that becomes a constant


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


def cut(graph_def, inputs=(), outputs=(), values=None, variables=False):
    """Cuts a graph to what lies between its inputs and outputs, and simplifies it.

    Args:
      graph_def: a GraphDef; not changed.
      inputs: sequence of (name of a tensor, shape or None). Where there is none, the one
        placeholder that the outputs depend on.
      outputs: sequence of names of tensors. Where there is none, the one tensor that no node reads.
      values: dict of names of placeholders to what they become constants of, as text.
      variables: whether the graph may hold variables.

    Returns:
      (GraphDef in which each input is a placeholder, tuple of input `Tensor`s, tuple of output
      `Tensor`s).

    Raises:
      ValueError: a name is unknown, an input or output is not given and there is not one of it, the
        graph is no graph, or it holds an op that is refused; the message names it.
    """
    nodes = _by_name(graph_def)
    outputs = [_full_name(name, nodes) for name in outputs] or [_only_output(graph_def, nodes)]
    shapes = {_full_name(name, nodes): shape for name, shape in inputs}
    graph_def = _with_placeholders(graph_def, shapes)
    set_constants(graph_def, values or {})
    part = extract(graph_def, outputs)
    definitions.check_inputs(part)
    part = _flat(part, outputs)
    open_inputs = _open(part)
    _check_inputs(open_inputs, shapes, outputs)
    if set(outputs) <= {tensor.name for tensor in open_inputs}:
        raise ValueError('{} is an input itself: there is nothing to convert'.format(
            _listed(outputs)))
    check_ops(part, variables)
    functions.check_loops(part)
    found, given = _import(part, outputs)
    order = list(shapes) or list(found)
    return part, tuple(_describe(found[name]) for name in order), tuple(map(_describe, given))


def extract(graph_def, outputs):
    """What the outputs, names of tensors, depend on, functions included, on no certain device."""
    try:
        part = tf.graph_util.extract_sub_graph(
            graph_def, [name.rpartition(':')[0] for name in outputs])
    except (AssertionError, KeyError) as error:
        raise ValueError('the graph is damaged: it has no node {}'.format(error)) from None
    for node in part.node:
        node.device = ''
        # With what it is to be placed, which may not be here; and shapes of before.
        for name in ('_class', '_output_shapes'):
            node.attr.pop(name, None)
    return functions.with_called(part)


def _flat(part, outputs):
    """What the outputs depend on without calls of functions and what constants decide."""
    while True:
        part = extract(simplifying.simplify(functions.flatten(part)), outputs)
        if not any(node.op in functions.CALLS for node in part.node):
            return part  # else branches of control flow v2 that are taken: calls now


def set_constants(graph_def, values):
    """Makes constants of placeholders, and of those with a default their default.

    Args:
      graph_def: a GraphDef; changed.
      values: dict of names to text: true or false, or a number.

    Raises:
      ValueError: a name is no placeholder, or its value does not fit its dtype.
    """
    placeholders = {node.name: node for node in graph_def.node
                    if node.op in ('Placeholder', 'PlaceholderWithDefault')}
    for name, text in values.items():
        node = placeholders.get(name.rpartition(':0')[0] or name)
        if node is None:
            raise ValueError('{!r} is no placeholder that could be set; there are {}'.format(
                name, _listed(list(placeholders))))
        _, dtype, sizes = _placeholder(node)
        shape = tf.TensorShape(sizes)
        if shape.is_fully_defined() and shape.num_elements() > MAX_SET:
            raise ValueError('{} has {} elements, too many to be set'.format(
                name, shape.num_elements()))
        value = np.full(shape.as_list() if shape.is_fully_defined() else [],
                        _parse(name, text, dtype), dtype.as_numpy_dtype)
        node_name = node.name
        node.Clear()
        node.name, node.op = node_name, 'Const'
        node.attr['dtype'].type = dtype.as_datatype_enum
        node.attr['value'].tensor.CopyFrom(tf.make_tensor_proto(value, dtype))
    for node in placeholders.values():
        if node.op == 'PlaceholderWithDefault':
            node.op = 'Identity'
            node.attr['T'].type = node.attr['dtype'].type
            del node.attr['dtype'], node.attr['shape']


def _parse(name, text, dtype):
    try:
        if dtype.is_bool:
            return {'true': True, 'false': False}[text.lower()]
        if dtype.is_floating or dtype.is_integer:
            return dtype.as_numpy_dtype(float(text) if dtype.is_floating else int(text))
    except (KeyError, ValueError, OverflowError):
        pass
    raise ValueError('{} cannot be set to {!r}: it takes {}'.format(
        name, text, 'true or false' if dtype.is_bool else 'one ' + dtype.name))


def _import(part, outputs):
    """({name: placeholder}, output tensors) of a checked graph, as TensorFlow sees them."""
    with tf.Graph().as_default() as graph:
        try:
            tf.import_graph_def(part, name='')
            given = [graph.get_tensor_by_name(name) for name in outputs]
        except (ValueError, KeyError, TypeError, tf.errors.OpError) as error:
            raise ValueError('the graph is damaged: {}'.format(error)) from None
        return {op.outputs[0].name: op.outputs[0] for op in graph.get_operations()
                if op.type == 'Placeholder'}, given


def _check_inputs(found, shapes, outputs):
    """Raises ValueError where the inputs that are given are not those that there are."""
    unused = set(shapes) - {tensor.name for tensor in found}
    if unused:
        raise ValueError('the outputs do not depend on {}'.format(', '.join(sorted(unused))))
    others = [tensor for tensor in found if tensor.name not in shapes]
    if others and shapes:
        raise ValueError('the outputs depend on inputs that are not given: {}{}; or name by '
                         '--output what does without'.format(_described(others),
                                                             suggest_settings(others)))
    if len(others) > 1:
        raise ValueError('{} depends on {} placeholders: {}; name those that are inputs by '
                         '--input{}'.format(_listed(outputs), len(others), _described(others),
                                            suggest_settings(others)))


def suggest_settings(tensors):
    """What to say of `Tensor`s that look like switches of the training: '' for none."""
    settings = []
    for tensor in tensors:
        name = tensor.name.rpartition(':0')[0]
        ndims = None if tensor.shape is None else len(tensor.shape)
        if ndims in (0, None) and tensor.dtype.is_bool:
            settings.append(name + '=false')
        elif tensor.dtype.is_floating and (ndims == 0 or ndims is None
                                           and re.search('keep|drop|rate|prob', name.lower())):
            settings.append('{}={}'.format(name, '1.0' if 'keep' in name.lower() else '0.0'))
    return '; what only training needs becomes a constant by --set ' + ' '.join(
        settings) if settings else ''


def _described(tensors):
    return ', '.join(map(str, tensors))


def check_ops(graph_def, variables=False, random=False):
    """Raises ValueError where a graph holds an op that is not converted; it is never run then.

    Args:
      graph_def: a GraphDef.
      variables: whether it may hold variables.
      random: whether it may hold random numbers.
    """
    allowed = {name for versions in tf_op.get_opsets().values() for names in versions
               for name in names if not _NO_MATHEMATICS.search(name)}
    allowed.update(_CONTROL_FLOW + _OURS + _HARMLESS + (_VARIABLES if variables else ())
                   + (_RANDOM if random else ()))
    called = {function.signature.name for function in graph_def.library.function}
    for node in definitions.all_nodes(graph_def):
        if node.op in allowed or node.op in called:
            continue
        if node.op in _VARIABLES:
            raise ValueError('the graph is not frozen: it holds the variable {!r}; give the '
                             'SavedModel, or the MetaGraph with its checkpoint, or make constants '
                             'of them by tf.graph_util.convert_variables_to_constants'.format(
                                 node.name))
        if node.op in _RANDOM:
            raise ValueError('op {!r} draws random numbers ({}), as dropout does in training: '
                             'convert the graph that evaluates{}'.format(
                                 node.name, node.op, suggest_settings(_open(graph_def))))
        raise ValueError('op {!r} is of the type {}, which is not converted, and so not run; '
                         'where it is a source of data, give its output as --input'.format(
                             node.name, node.op))


def _open(graph_def):
    """The placeholders of a graph, which may be one that must not be imported."""
    return [_placeholder(node) for node in graph_def.node if node.op == 'Placeholder']


def _placeholder(node):
    """The `Tensor` of a placeholder, of a NodeDef; not changed."""
    dtype, shape = (definitions.attribute(node, key) for key in ('dtype', 'shape'))
    try:
        return Tensor(node.name + ':0', tf.as_dtype(dtype.type), _sizes(tf.TensorShape(
            shape.shape if shape.HasField('shape') else None)))
    except (TypeError, ValueError) as error:
        raise ValueError('the graph is damaged: the placeholder {!r} has a wrong dtype or shape: '
                         '{}'.format(node.name, error)) from None


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
    """The nodes that give something that none of the forward pass reads.

    Left aside are gradients, what saves, sums up and updates, and what depends on no placeholder.
    """
    forward = {name: node for name, node in nodes.items()
               if not _NO_FORWARD_NAME.search(name) and not _NO_FORWARD_OP.search(node.op)}
    read = {definitions.node_name(name) for node in forward.values() for name in node.input}
    fed, before = set(_placeholders(nodes)), 0
    while len(fed) > before:
        before = len(fed)
        fed.update(name for name, node in forward.items()
                   if name not in fed and any(definitions.node_name(one) in fed
                                              for one in node.input))
    return [name for name, node in forward.items()
            if name not in read and node.input and (name in fed or not fed)]


def _only_output(graph_def, nodes):
    ends = _ends(nodes)
    if len(ends) != 1:
        raise ValueError('the graph has {} outputs that nothing reads ({}): name those to keep by '
                         '--output'.format(len(ends), _listed_tensors(graph_def, ends)))
    return ends[0] + ':0'


def _listed_tensors(graph_def, names):
    """The first outputs of nodes with dtype and shape; names alone where TensorFlow knows none."""
    shown = []
    for name in names[:8]:
        try:
            part = extract(graph_def, [name + ':0'])
            check_ops(part, variables=True, random=True)
            shown.append(str(_describe(_import(part, [name + ':0'])[1][0])))
        except ValueError:  # another part of the graph may be damaged than what will be converted
            shown.append(name)
    return ', '.join(shown + ['...'] * (len(names) > 8)) or 'none'


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
        dtype = definitions.first_dtype(node)
        if dtype is None:
            raise ValueError('input {!r} is of the type {}, whose dtype is not known'.format(
                name, node.op))
        before = node.attr['shape'].shape if node.op == 'Placeholder' else None
        node.Clear()
        node.name, node.op = node_name, 'Placeholder'
        node.attr['dtype'].type = dtype.as_datatype_enum
        if shape is not None:
            if any(size is not None and size < 0 for size in shape):
                raise ValueError('input {!r} cannot have a size below 0: {}'.format(
                    name, ','.join('?' if size is None else str(size) for size in shape)))
            node.attr['shape'].shape.CopyFrom(tf.TensorShape(shape).as_proto())
        elif before is not None:
            node.attr['shape'].shape.CopyFrom(before)
        else:
            node.attr['shape'].shape.unknown_rank = True
    return changed


def _describe(tensor):
    return Tensor(tensor.name, tensor.dtype, _sizes(tensor.shape))


def _sizes(shape):
    return None if shape.ndims is None else tuple(shape.as_list())


def check_inference(graph_def):
    """Raises ValueError where a node normalises by the statistics of its batch, as in training."""
    for nodes in [graph_def.node] + [function.node_def for function in graph_def.library.function]:
        by_name = {node.name: node for node in nodes}
        for node in nodes:
            if _trains(node, by_name):
                raise ValueError(
                    '{!r} normalises by the statistics of the batch that it is given, as BatchNorm '
                    'does in training: convert the graph that evaluates{}; or '
                    '--allow-training-mode, where it is meant'.format(
                        node.name, suggest_settings(_open(graph_def))))


def _trains(node, nodes):
    if node.op.startswith('FusedBatchNorm') and node.op.rstrip('V23') == 'FusedBatchNorm':
        # TensorFlow's default where the attribute is not written.
        return 'is_training' not in node.attr or node.attr['is_training'].b
    return node.op == 'Rsqrt' and _is_over_batch(node, nodes)


def _is_over_batch(node, nodes):
    """Whether what a node takes is a variance over the first axis of something, and no constant."""
    def ahead(name):
        return nodes.get(definitions.node_name(name))  # none for an argument of a function

    while node.op in ('Rsqrt', 'Add', 'AddV2', 'Identity', 'Squeeze', 'Reshape'):
        read = [ahead(name) for name in node.input if name[0] != '^']
        read = [one for one in read if one is None or one.op != 'Const']
        if len(read) != 1 or read[0] is None:
            return False
        node = read[0]
    axes = ahead(node.input[1]) if node.op == 'Mean' else None
    return (axes is not None and axes.op == 'Const'
            and 0 in tf.make_ndarray(axes.attr['value'].tensor))
