"""Proves that the argument of a gate, u in x * sigmoid(u), is that of ASH.

The argument of ASH can be written in hundreds of ways. All are polynomials in x, in statistics of x
and in constants, and equal functions have equal polynomials. So the ops between x and the argument
are applied to polynomials instead of numbers, with constants in float64. A root is taken of a
variance alone. An op or a shape that no rule covers leaves the argument unknown.
"""
import math

import numpy as np
import tensorflow.compat.v1 as tf

COPIES = ('Identity', 'StopGradient')  # Their output is their first input.
_BORDERS = ('Switch', 'Enter')  # So is theirs, within a condition or loop.
# Variables. A polynomial is a dict: a sorted tuple of variables -> its factor. A deviation is
# ('deviation', what is added to the variance below its root); what raises a variance to a floor is
# ('floor', the height of the floor, the name of the op).
_X, _MEAN, _SQUARE = ('x',), ('mean',), ('mean of squares',)
_DEVIATION, _FLOOR = 'deviation', 'floor'
_ROUNDING = 8 * np.finfo(np.float32).eps  # what may come of constants that float32 rounded
# Sizes of x that the graph leaves open: each different, and none that a graph has as a constant.
_OPEN_SIZES = (10007, 1009, 1013, 1019, 1021, 1031, 1033, 1039)


def source(nodes, tensor, through=COPIES + _BORDERS):
    """The tensor that a tensor is a copy of; without the index of an output 0.

    Args:
      nodes: dict of NodeDefs by name.
      tensor: name of a tensor, as in a node's inputs.
      through: types of ops that copy.
    """
    while nodes[_node(tensor)].op in through:
        tensor = nodes[_node(tensor)].input[0]
    return tensor[:-2] if tensor.endswith(':0') else tensor


def is_made_of(nodes, x, argument):
    """Whether a tensor is made of x and constants alone, by arithmetic and statistics.

    Args:
      nodes: dict of NodeDefs by name.
      x, argument: names of tensors.
    """
    return _between(nodes, source(nodes, x), source(nodes, argument)) is not None


def ash_parameters(nodes, versions, x, shape, dtype, argument):
    """The parameters of ASH, where a tensor is the argument of its gate.

    Args:
      nodes: dict of the graph's NodeDefs by name.
      versions: the graph's VersionDef.
      x: name of the tensor that the gate is for.
      shape, dtype: those of x, a TensorShape and a DType.
      argument: name of the gate's argument, a tensor.

    Returns:
      (z_k, alpha) as floats where the argument is 2 * alpha * (x - mean - z_k * deviation) for
      every x, with the statistics of each sample over all axes but the first; else None. What is
      added to the variance, the deviation or the argument is disregarded where it changes the
      layer's output by less than 1e-6 of itself for every x, as 1e-12 below a root mostly does.
    """
    if shape.ndims is None or not 2 <= shape.ndims <= len(_OPEN_SIZES):
        return None
    x, argument = source(nodes, x), source(nodes, argument)
    between = _between(nodes, x, argument)
    if between is None:
        return None
    sizes = [open_size if size is None else size
             for size, open_size in zip(shape.as_list(), _OPEN_SIZES)]
    with tf.Graph().as_default() as graph:
        start = tf.placeholder(dtype, sizes, _node(x))
        between.node.extend(graph.as_graph_def().node)
    between.versions.CopyFrom(versions)
    with tf.Graph().as_default() as graph:
        try:
            tf.import_graph_def(between, name='')
        except ValueError:  # The ops do not take what may be the size of x.
            return None
        value = _evaluate(graph, start.name, _node(argument) + ':0')
    return value and _parameters(value)


def _node(tensor):
    return tensor.partition(':')[0]


def _between(nodes, x, argument):
    """The nodes that the argument takes after x, copies left out; None where a rule or x lacks."""
    between = tf.GraphDef()
    seen, waiting = set(), [argument]
    while waiting:
        tensor = waiting.pop()
        known = tensor in seen
        seen.add(tensor)
        if known or tensor == x:
            continue
        node = nodes[_node(tensor)]
        if node.op not in _RULES and node.op not in _OF_CONSTANTS and node.op not in _SHAPES:
            return None
        copy = between.node.add()
        copy.CopyFrom(node)
        copy.attr.pop('_class', None)  # the names of nodes that it is to be placed with
        inputs = [source(nodes, name) for name in node.input if not name.startswith('^')]
        waiting.extend(inputs)
        copy.input[:] = [_node(x) if name == x else name for name in inputs]
    return between if x in seen else None


def _evaluate(graph, x, argument):
    """The polynomial of a tensor of a graph with the placeholder x, both names, or None."""
    x, argument = graph.get_tensor_by_name(x), graph.get_tensor_by_name(argument)
    values = {x: {(_X,): 1.0}}
    for op in graph.get_operations():  # inputs come before what reads them
        tensor = op.outputs[0]
        if op.type != 'Placeholder' and tensor.dtype.is_floating:
            if not all(shaped.shape.is_fully_defined() for shaped in [tensor, *op.inputs]):
                return None
            values[tensor] = _apply(op, [values[read] for read in op.inputs if read in values])
            if values[tensor] is None:
                return None
    return values.get(argument) if argument.shape == x.shape else None


def _apply(op, values):
    """The polynomial of an op's output, of those of its inputs in floating point; or None."""
    constants = [_constant(value) for value in values]
    if op.type in _OF_CONSTANTS and None not in constants:
        with np.errstate(all='ignore'):
            return {(): float(_OF_CONSTANTS[op.type](*constants))}
    if op.type not in _RULES or len(values) == 2 and not _meet(
            *[tensor.shape.as_list() for tensor in op.inputs]):
        return None
    return _RULES[op.type](op, *values)


def _meet(one, other):
    """Whether broadcasting shapes brings samples together with samples, elements with elements."""
    for small, large in ((one, other), (other, one)):
        if np.prod(small) == 1 and len(small) <= len(large):
            return True
        if len(small) == len(large) and small[0] == large[0] and np.prod(small[1:]) == 1:
            return True
    return one == other


def _constant(value):
    """The number that a polynomial is, or None."""
    return value.get((), 0.0) if set(value) <= {()} else None


def _sum(*parts):
    """The sum of pairs of a factor and a polynomial."""
    total = {}
    for factor, value in parts:
        for variables, coefficient in value.items():
            total[variables] = total.get(variables, 0.0) + factor * coefficient
    return {variables: coefficient for variables, coefficient in total.items() if coefficient}


def _product(one, other):
    return _sum(*((a, {tuple(sorted(left + right, key=repr)): b})
                  for left, a in one.items() for right, b in other.items()))


def _quotient(op, value, by):
    by = _constant(by)
    return _sum((1.0 / by, value)) if by else None


def _square(op, value):
    return _product(value, value)


def _squared_difference(op, one, other):
    return _square(op, _sum((1.0, one), (-1.0, other)))


def _number(op):
    """A constant of one element."""
    number = tf.get_static_value(op.outputs[0])
    return {(): float(number.ravel()[0])} if number.size == 1 else None


def _power(op, value, power):
    rule = {2.0: _square, 0.5: _root}.get(_constant(power))
    return rule and rule(op, value)


def _root(op, value):
    variance = _variance(value)
    if variance is None:
        return None
    scale, excess = variance
    return {((_DEVIATION, excess),): math.sqrt(scale)}


def _variance(value):
    """(scale, excess) where a polynomial is scale * (variance + excess), or None."""
    rest = dict(value)
    scale, minus_scale = rest.pop((_SQUARE,), 0.0), rest.pop((_MEAN, _MEAN), 0.0)
    excess = rest.pop((), 0.0)
    for variables in list(rest):
        if len(variables) == 1 and variables[0][0] == _FLOOR and rest[variables] > 0:
            excess += rest.pop(variables) * variables[0][1]
    if rest or scale <= 0 or excess < 0 or abs(scale + minus_scale) > _ROUNDING * scale:
        return None
    return scale, excess / scale


def _floor(op, value, height=None):
    """A variance that is not let below a height: more than it was, by no more than the height."""
    if height is not None and _constant(height) is None:
        value, height = height, value
    height = 0.0 if height is None else _constant(height)
    if height is None or height < 0 or _variance(value) is None:
        return None
    return _sum((1.0, value), (1.0, {((_FLOOR, height, op.name),): 1.0}))


def _mean(op, value):
    """A mean over all axes of each sample, and over the first where that has size 1."""
    sizes, axes = op.inputs[0].shape.as_list(), tf.get_static_value(op.inputs[1])
    if axes is None:
        return None
    reduced = {int(axis) % len(sizes) for axis in np.ravel(axes)}
    if any((axis in reduced) != (axis > 0) for axis, size in enumerate(sizes) if size != 1):
        return None
    parts = []
    for variables, coefficient in value.items():
        others = tuple(variable for variable in variables if variable != _X)
        power = len(variables) - len(others)
        if power > 2:
            return None
        moment = {((), (_MEAN,), (_SQUARE,))[power]: 1.0}
        parts.append((coefficient, _product({others: 1.0}, moment)))
    return _sum(*parts)


def _reshaped(op, value):
    """The same elements in the same order; the first axis is the samples' before and after."""
    before, after = (tensor.shape.as_list() for tensor in (op.inputs[0], op.outputs[0]))
    if np.prod(before) != np.prod(after) or np.prod(after) > 1 and before[0] != after[0]:
        return None
    if op.type == 'StridedSlice' and np.any(np.not_equal(tf.get_static_value(op.inputs[3]), 1)):
        return None
    return value


def _cast(op, *value):
    return value[0] if value else None  # None for integers, which may be sizes


def _parameters(value):
    """(z_k, alpha) of the polynomial of an argument, or None."""
    rest = dict(value)
    slope, minus_slope = rest.pop((_X,), 0.0), rest.pop((_MEAN,), 0.0)
    # By how much the gate's argument differs at most, which is the relative change of the gate.
    change = abs(rest.pop((), 0.0))
    tilt = 0.0
    for variables in list(rest):
        if len(variables) == 1 and variables[0][0] == _DEVIATION:
            factor = rest.pop(variables)
            tilt += factor
            change += abs(factor) * math.sqrt(variables[0][1])
    if rest or not slope or not abs(slope + minus_slope) <= _ROUNDING * abs(slope):
        return None
    parameters = -tilt / slope, slope / 2
    return parameters if change <= _ROUNDING and np.isfinite(parameters).all() else None


_SHAPES = ('Shape', 'Size', 'Rank', 'Prod', 'Pack', 'Range', 'ConcatV2')  # integers
_OF_CONSTANTS = {  # what alpha and z_k may be made by, from what was trained
    'Abs': np.abs, 'Exp': np.exp, 'Maximum': np.maximum, 'Minimum': np.minimum,
    'Relu': lambda a: np.maximum(a, 0.0), 'Sigmoid': lambda a: 1.0 / (1.0 + np.exp(-a)),
    'Softplus': lambda a: np.logaddexp(a, 0.0), 'Sqrt': np.sqrt}
_RULES = {
    'Const': _number, 'Cast': _cast, 'Mean': _mean,
    'Neg': lambda op, a: _sum((-1.0, a)),
    'Add': lambda op, a, b: _sum((1.0, a), (1.0, b)),
    'Sub': lambda op, a, b: _sum((1.0, a), (-1.0, b)),
    'Mul': lambda op, a, b: _product(a, b),
    'RealDiv': _quotient, 'Div': _quotient,
    'Square': _square, 'SquaredDifference': _squared_difference, 'Pow': _power, 'Sqrt': _root,
    'Relu': _floor, 'Maximum': _floor,
    'Reshape': _reshaped, 'Squeeze': _reshaped, 'ExpandDims': _reshaped, 'StridedSlice': _reshaped,
}
_RULES['AddV2'] = _RULES['Add']
