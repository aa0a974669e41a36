"""Computes tensors again in the backward pass, so that the forward pass keeps fewer of them.

`input_again` does so for an activation's input that is the output of a fused BatchNorm, and
`recompute_in_backward` for all tensors inside a block.
"""
import collections

import tensorflow.compat.v1 as tf

from ash_tf1 import gradients

# The ops through which a condition or loop of version 1 takes a tensor in, and gives one out.
_ENTRIES = ('Enter', 'Switch')
_EXITS = ('Exit', 'Merge')
_FUNCTIONS = ('If', 'While')  # of version 2, with stateful ops; others are StatelessIf and ...While
_NORMS = ('FusedBatchNorm', 'FusedBatchNormV2', 'FusedBatchNormV3')


# ---- the input of an activation ---------------------------------------------------------------

def prepare(x):
    """Adds the handle that `input_again` needs, for a tensor x that an op is about to take."""
    if (not tf.executing_eagerly() and x.graph is tf.get_default_graph()
            and _norm_of(x) is not None):
        _handle_of(x)


def input_again(op, index, dy):
    """An input of an op for the op's gradient, in new nodes that wait for the gradient dy.

    If the gradient took the forward pass's own nodes, the graph optimiser would merge what both
    passes compute, and would keep every intermediate tensor alive between them.

    If the input is the output of a fused BatchNorm, that output is computed again. BatchNorm's own
    input is kept anyway, for BatchNorm's gradient. So as much is kept as with a ReLU: the input of
    BatchNorm and the output of the activation, but not the map between them. A session must not be
    fed another value for BatchNorm's output, because the backward pass would not see it.

    Args:
      op: a `tf.Operation`, or any object with `inputs`.
      index: which of its inputs.
      dy: tensor.

    Returns:
      A tensor equal to that input. Gradients of it go to the input itself.
    """
    x = op.inputs[index]
    if tf.executing_eagerly():
        return x
    norm = None
    # Not in the gradient of a function, which is a graph of its own. Nor under a tape, where op is
    # no tf.Operation: a tape does not record the op that `_norm_again` creates.
    if isinstance(op, tf.Operation) and x.graph is tf.get_default_graph():
        norm = _norm_of(x)
    with tf.control_dependencies([dy]):
        if norm is None:
            return tf.identity(x)
        first = tf.identity(norm.inputs[0])
        taken = first.op.inputs[0]
        if taken is not norm.inputs[0] and taken.op.type in _ENTRIES:
            # The gradient is inside a condition or loop, and x is outside. If the branch does not
            # run, TensorFlow would add zeros of the handle's size to a gradient of x's size.
            return tf.identity(x)
    return _AGAIN.attach(_norm_again(norm, first), [_handle_of(x)])


def _again_gradient(op, dy, *unused):
    """Passes dy to the handle, and so to the input itself, not to what it was computed from."""
    del unused
    return [None] + [dy for _ in op.inputs[1:]]


_AGAIN = gradients.Gradient('AshInputAgain', _again_gradient)
_HANDLE = 'AshInputHandle'


def _norm_of(x):
    """The fused BatchNorm op that x is the output of; None if it is no such output."""
    source = x
    while source.op.type == 'Identity' and source.op.inputs[0].dtype == x.dtype:
        source = source.op.inputs[0]
    return source.op if source.op.type in _NORMS and source.value_index == 0 else None


def _handle_of(x):
    """An empty slice of x, through which a gradient finds its way to x.

    It takes no memory and is computed in the forward pass, so that x itself need not be kept.
    """
    for op in x.consumers():
        if gradients.bears(op, _HANDLE):
            return op.outputs[0]
    nothing = [0] * x.shape.ndims
    with tf.name_scope('input_handle'):
        # A placeholder hides the size until the graph runs. Code that takes this tensor for x must
        # not see a shape that is empty.
        size = tf.placeholder_with_default(nothing, [x.shape.ndims])
        with tf.get_default_graph().gradient_override_map({'Slice': _HANDLE}):
            return tf.slice(x, nothing, size)


@gradients.register(_HANDLE)
def _handle_gradient(op, dy):
    """Returns dy. If no gradient came, dy is as empty as the handle, and becomes zeros of x's size.
    """
    missing = tf.shape(op.inputs[0]) - tf.shape(dy)
    dx = tf.pad(dy, tf.stack([tf.zeros_like(missing), missing], axis=1))
    dx.set_shape(op.inputs[0].shape)
    return [dx, None, None]


def _norm_again(norm, first):
    """Computes the output of a fused BatchNorm op again, from `first` in place of its input."""
    _, scale, offset, mean, variance = list(norm.inputs)[:5]
    if norm.get_attr('is_training'):
        # In inference mode, with the batch's statistics as its inputs, the op takes half the time.
        # It has put out the unbiased variance, but it normalises by the biased one.
        mean, variance = norm.outputs[1:3]
        count = tf.cast(tf.size(first, out_type=tf.int64)
                        // tf.cast(tf.size(scale), tf.int64), variance.dtype)
        variance *= tf.maximum(count - 1, 1) / count
    attrs = {name: norm.node_def.attr[name] for name in ('T', 'U', 'epsilon', 'data_format')
             if name in norm.node_def.attr}
    return tf.get_default_graph().create_op(
        norm.type, [first, scale, offset, mean, variance],
        [output.dtype for output in norm.outputs], name='norm_again',
        attrs=dict(attrs, is_training=tf.AttrValue(b=False))).outputs[0]


# ---- a block ----------------------------------------------------------------------------------

def recompute_in_backward(function, inputs):
    """Calls function(*inputs) and keeps only what it takes from outside for the backward pass.

    The gradient copies the ops that the function added to the graph. The copies run once the
    gradient of the output is there, and only the copies are differentiated. So the tensors of the
    original ops are freed as soon as they have been used. It also means that no gradient reaches a
    tensor inside the block, and that the backward pass does not see a value fed for such a tensor.

    Args:
      function: function of tensors that returns one tensor. It may use variables and other tensors,
        which get their gradients too.
      inputs: sequence of tensors.

    Returns:
      The tensor that the function returned.

    Raises:
      ValueError: the function adds an op that cannot run twice: a random op, one with a side effect
        such as a check, or control flow.
    """
    before = set(tf.get_default_graph().get_operations())
    y = function(*inputs)
    _, boundary = _walk(y, lambda tensor: tensor.op in before or _is_source(tensor.op))
    return _BLOCK.attach(y, boundary)


def _block_gradient(op, dy, *unused):
    del unused
    y, *boundary = op.inputs
    with tf.control_dependencies([dy]):
        # Without this wait the graph optimiser would merge the copies with the original ops, and
        # would keep their tensors.
        copies = {x.name: tf.identity(x) for x in boundary}
    sources = [copies[x.name] for x in boundary if _has_gradient(x)]
    found = iter(tf.gradients(_copy(y, copies), sources, dy))
    return [None] + [next(found) if _has_gradient(x) else None for x in boundary]


def _has_gradient(x):
    return x.dtype.is_floating or x.dtype.is_complex


_BLOCK = gradients.Gradient('AshRecomputeBlock', _block_gradient)


def _is_source(op):
    """Whether an op brings a value into the block: it reads a variable or a placeholder, or takes a
    tensor into a condition or loop.
    """
    return op.type in _ENTRIES or (op.type != 'Const' and not op.inputs) or any(
        x.dtype == tf.resource or x.dtype != x.dtype.base_dtype for x in op.inputs)


def _walk(y, is_boundary):
    """The ops that compute y, down to a boundary. Each comes after the ops of its inputs.

    Args:
      y: tensor.
      is_boundary: function of a tensor: whether to stop at it.

    Returns:
      (ops, tensors of the boundary).
    """
    ops, boundary, stack = collections.OrderedDict(), collections.OrderedDict(), [(y, False)]
    while stack:
        tensor, is_done = stack.pop()
        if is_done:
            ops[tensor.op] = True
        elif is_boundary(tensor):
            boundary[tensor.name] = tensor
        elif tensor.op not in ops:
            _check_copies(tensor.op)
            stack.append((tensor, True))
            stack += [(x, False) for x in tensor.op.inputs]
    return list(ops), list(boundary.values())


def _check_copies(op):
    if op.type in _EXITS + _FUNCTIONS or op.op_def.is_stateful:
        raise ValueError(
            'op {!r} ({}) cannot be computed again in the backward pass: it is {}. Keep what the '
            'block computes instead: in a DenseNet, set recompute=False'.format(
                op.name, op.type, 'control flow' if op.type in _EXITS + _FUNCTIONS
                else 'random, or does something besides giving its outputs'))


def _copy(y, copies):
    """Copies the ops that compute y, on top of copies of the boundary: dict name -> tensor."""
    made = dict(copies)
    ops, _ = _walk(y, lambda tensor: tensor.name in copies)
    for op in ops:
        attrs = {name: value for name, value in op.node_def.attr.items() if name != '_class'}
        with tf.device(op.device):
            copy = tf.get_default_graph().create_op(
                op.type, [made[x.name] for x in op.inputs], [x.dtype for x in op.outputs],
                name=op.name.rsplit('/', 1)[-1], attrs=attrs)
        made.update(zip((x.name for x in op.outputs), copy.outputs))
    return made[y.name]
