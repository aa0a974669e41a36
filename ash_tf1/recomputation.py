"""What is computed again in the backward pass, to keep less for it: BatchNorm's output, a block."""
import collections

import tensorflow.compat.v1 as tf

from ash_tf1 import gradients

# By these a condition or loop of version 1 takes a tensor from outside, and by these it gives one.
_ENTRIES = ('Enter', 'Switch')
_EXITS = ('Exit', 'Merge')
_FUNCTIONS = ('If', 'While')  # of version 2; those without stateful ops have other types
_NORMS = ('FusedBatchNorm', 'FusedBatchNormV2', 'FusedBatchNormV3')


# ---- the input of an activation ---------------------------------------------------------------

def prepare(x):
    """Prepares `input_again` for a tensor x that an op is about to take; changes nothing else."""
    if (not tf.executing_eagerly() and x.graph is tf.get_default_graph()
            and _norm_of(x) is not None):
        _handle_of(x)


def input_again(op, index, dy):
    """An input of an op as its gradient takes it: in new nodes, which wait for the gradient dy.

    Were they the forward pass's own, the graph optimiser would merge what both passes compute, and
    keep every intermediate alive in between. Where the input is the output of a fused BatchNorm,
    that is computed again: its own input is kept for its gradient anyway, so that of the two maps,
    and the activation's output, no more are kept than a ReLU keeps, which needs but its output.
    A session must not be fed another value for that output: the backward pass would not see it.

    Args:
      op: the op; anything with `inputs`, where it is not one of a graph.
      index: which of its inputs.
      dy: tensor.

    Returns:
      A tensor equal to that input. Its gradient is the input's own.
    """
    x = op.inputs[index]
    if tf.executing_eagerly():
        return x
    norm = None
    # A function's gradient is a graph of its own, and a tape does not see what is created below.
    if isinstance(op, tf.Operation) and x.graph is tf.get_default_graph():
        norm = _norm_of(x)
    with tf.control_dependencies([dy]):
        if norm is None:
            return tf.identity(x)
        first = tf.identity(norm.inputs[0])
        taken = first.op.inputs[0]
        if taken is not norm.inputs[0] and taken.op.type in _ENTRIES:
            # The gradient is in a condition or loop around which x is. Where that does not run,
            # TensorFlow would add zeros of the handle's size to gradients of x's.
            return tf.identity(x)
    return _AGAIN.attach(_norm_again(norm, first), [_handle_of(x)])


def _again_gradient(op, dy, *unused):
    """Goes to the handle, and so to the input itself, whatever it was computed again from."""
    del unused
    return [None] + [dy for _ in op.inputs[1:]]


_AGAIN = gradients.Gradient('AshInputAgain', _again_gradient)
_HANDLE = 'AshInputHandle'


def _norm_of(x):
    """The op of the fused BatchNorm whose output x is; None where it is not."""
    source = x
    while source.op.type == 'Identity' and source.op.inputs[0].dtype == x.dtype:
        source = source.op.inputs[0]
    return source.op if source.op.type in _NORMS and source.value_index == 0 else None


def _handle_of(x):
    """An empty tensor that stands for x where only a gradient has to find it.

    It takes no memory and is computed at once, so that x itself need not be kept.
    """
    for op in x.consumers():
        if gradients.bears(op, _HANDLE):
            return op.outputs[0]
    nothing = [0] * x.shape.ndims
    with tf.name_scope('input_handle'):
        # The size is not known until the graph runs: what takes this for x shall not see it empty.
        size = tf.placeholder_with_default(nothing, [x.shape.ndims])
        with tf.get_default_graph().gradient_override_map({'Slice': _HANDLE}):
            return tf.slice(x, nothing, size)


@gradients.register(_HANDLE)
def _handle_gradient(op, dy):
    """dy as it is; all zeros where nothing came, which is as empty as the handle."""
    missing = tf.shape(op.inputs[0]) - tf.shape(dy)
    dx = tf.pad(dy, tf.stack([tf.zeros_like(missing), missing], axis=1))
    dx.set_shape(op.inputs[0].shape)
    return [dx, None, None]


def _norm_again(norm, first):
    """The output of a fused BatchNorm, of its input as a given tensor."""
    _, scale, offset, mean, variance = list(norm.inputs)[:5]
    if norm.get_attr('is_training'):
        # With the batch's statistics given, it takes half the time. The variance that it puts out
        # is the unbiased estimate; it normalises by the other.
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
    """function(*inputs), of which nothing but what it takes is kept for the backward pass.

    The gradient copies the ops that the function added to the graph. The copies begin when the
    gradient of the output is there, and are what is differentiated. The first ops are not, so that
    their tensors are freed as soon as they were used: no gradient reaches a tensor inside the
    block, and none sees a value that a session is fed for one.

    Args:
      function: function of tensors that gives one tensor. It may use variables and other tensors,
        which get their gradients too.
      inputs: sequence of tensors.

    Returns:
      What the function gives.

    Raises:
      ValueError: the function adds an op that would not give the same again, such as a random one,
        or that does something, such as a check; or control flow.
    """
    before = set(tf.get_default_graph().get_operations())
    y = function(*inputs)
    _, boundary = _walk(y, lambda tensor: tensor.op in before or _is_source(tensor.op))
    return _BLOCK.attach(y, boundary)


def _block_gradient(op, dy, *unused):
    del unused
    y, *boundary = op.inputs
    with tf.control_dependencies([dy]):
        # Without the wait the copies would be merged with the first ops, whose tensors were kept.
        copies = {x.name: tf.identity(x) for x in boundary}
    sources = [copies[x.name] for x in boundary if _has_gradient(x)]
    found = iter(tf.gradients(_copy(y, copies), sources, dy))
    return [None] + [next(found) if _has_gradient(x) else None for x in boundary]


def _has_gradient(x):
    return x.dtype.is_floating or x.dtype.is_complex


_BLOCK = gradients.Gradient('AshRecomputeBlock', _block_gradient)


def _is_source(op):
    """Whether an op brings in what comes from outside: a variable, a placeholder, or a tensor of
    the graph around a condition or loop."""
    return op.type in _ENTRIES or (op.type != 'Const' and not op.inputs) or any(
        x.dtype == tf.resource or x.dtype != x.dtype.base_dtype for x in op.inputs)


def _walk(y, is_boundary):
    """The ops that y is made of, each after those it takes, down to a boundary.

    Args:
      y: tensor.
      is_boundary: function of a tensor, whether to stop there.

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
            'block computes: a DenseNet does by recompute=False'.format(
                op.name, op.type, 'control flow' if op.type in _EXITS + _FUNCTIONS
                else 'random, or does something besides giving its outputs'))


def _copy(y, copies):
    """A copy of y in the current graph, over the copies of a boundary: dict of name -> tensor."""
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
