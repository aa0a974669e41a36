"""Finds the gates that other code has made of TensorFlow's ops, from the paper's formula.

    x / (1 + exp(-u)) = x * sigmoid(u)

What is looked at here are the ops of the gate alone. Its argument u may be that of ASH, which
`argument` decides, or another, as that of Swish.
"""
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from ash_tf1.converting import argument

EXPONENTIAL, SIGMOID = 'exponential', 'sigmoid'
_DIVISIONS, _INVERSES, _SUMS = ('RealDiv', 'Div'), ('Reciprocal', 'Inv'), ('Add', 'AddV2')


class Gate(NamedTuple):
    """A node that gives x * sigmoid(sign * argument); x and argument are names of tensors."""

    name: str
    x: str
    argument: str
    sign: int
    form: str  # SIGMOID, or EXPONENTIAL where exp makes it up


class _Sigmoid(NamedTuple):
    argument: str
    sign: int
    form: str


def find(nodes):
    """The gates in a graph.

    Args:
      nodes: dict of NodeDefs by name.

    Returns:
      List of `Gate`s; more than one for a node that may be read in more than one way.
    """
    return [Gate(node.name, x, *sigmoid) for node in nodes.values()
            for x, sigmoid in _factors(nodes, node)]


def _factors(nodes, node):
    """The ways to read a node as a product: pairs of x and a `_Sigmoid`."""
    if node.op == 'Mul':
        for x, factor in (_inputs(node), _inputs(node)[::-1]):
            sigmoid = _sigmoid(nodes, factor)
            if sigmoid:
                yield x, sigmoid
    elif node.op in _DIVISIONS:
        above, below = _inputs(node)
        exponent = _one_plus_exp(nodes, below)
        if exponent:
            for x, factor in _pairs(nodes, above, ['Mul']):
                if _same(nodes, _exp(nodes, factor), exponent):
                    yield x, _Sigmoid(exponent, 1, EXPONENTIAL)
            yield above, _Sigmoid(exponent, -1, EXPONENTIAL)


def _sigmoid(nodes, tensor):
    """The `_Sigmoid` that a tensor is, or None."""
    node = _giver(nodes, tensor)
    if node.op == 'Sigmoid':
        return _Sigmoid(_inputs(node)[0], 1, SIGMOID)
    if node.op not in _DIVISIONS + _INVERSES:
        return None
    *above, below = _inputs(node)
    exponent = _one_plus_exp(nodes, below)
    if exponent and (not above or _is_one(nodes, above[0])):
        return _Sigmoid(exponent, -1, EXPONENTIAL)
    if exponent and _same(nodes, _exp(nodes, above[0]), exponent):
        return _Sigmoid(exponent, 1, EXPONENTIAL)
    return None


def _one_plus_exp(nodes, tensor):
    """The argument of exp where a tensor is 1 + exp(argument), or None."""
    return next((_exp(nodes, other) for one, other in _pairs(nodes, tensor, _SUMS)
                 if _exp(nodes, other) and _is_one(nodes, one)), None)


def _exp(nodes, tensor):
    """The argument where a tensor is an exponential, or None."""
    node = _giver(nodes, tensor)
    return _inputs(node)[0] if node.op == 'Exp' else None


def _pairs(nodes, tensor, ops):
    """Both orders of the inputs of what gives a tensor, where it is one of these ops."""
    node = _giver(nodes, tensor)
    return [_inputs(node), _inputs(node)[::-1]] if node.op in ops else []


def _same(nodes, one, other):
    return one is not None and _source(nodes, one) == _source(nodes, other)


def _is_one(nodes, tensor):
    node = _giver(nodes, tensor)
    if node.op != 'Const':
        return False
    value = tf.make_ndarray(node.attr['value'].tensor)
    return value.size == 1 and value.item() == 1.0


def _giver(nodes, tensor):
    """The node that gives a tensor, or what it is a copy of."""
    return nodes[_source(nodes, tensor).partition(':')[0]]


def _source(nodes, tensor):
    # Within a condition or loop: what is put in place of a gate reads no tensor from outside.
    return argument.source(nodes, tensor, argument.COPIES)


def _inputs(node):
    return [name for name in node.input if not name.startswith('^')]
