"""Records what a graph answers, and measures by how much another engine's answers may differ.

The answers become the test data beside the model. The tolerance depends on the graph: one magnifies
what rounding in another order changes, another does not. The portable form has to keep it too.
"""
import re
from typing import List, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1.converting import lowering, onnx_model

# What an answer may differ by, relative to the largest: at least rounding in another order, at most
# what still means something; in between a multiple of what one rounding of the inputs changes.
LEAST, MOST, MARGIN = 1e-5, 1e-2, 64
# Ops whose outputs are not moved: what is in a loop or condition cannot be fed; a size is exact.
_BORDERS = re.compile('Enter|Switch|Merge|TensorArray.*|ShapeN?|Size|Rank')


class Proof(NamedTuple):
    """A graph in portable ops, and what the source of it answers.

    Attributes:
      graph_def: the frozen graph, every ASH in it in portable ops.
      signature: its `onnx_model.Signature`.
      inputs: an array for each input.
      answers: an array for each output: those of the source.
      tolerance: by how much an answer may differ, relative to the largest of its output.
      levels: by how much an answer in integers may differ.
    """

    graph_def: tf.GraphDef
    signature: onnx_model.Signature
    inputs: List[np.ndarray]
    answers: List[np.ndarray]
    tolerance: float
    levels: int = 0


def prove(graph_def, signature, inputs, levels=0):
    """Runs a frozen graph, and holds its portable form against what it answers.

    Args:
      graph_def: a GraphDef without variables, with ASH in any form.
      signature: its `onnx_model.Signature`.
      inputs: an array for each input of the signature, in order.
      levels: by how much an answer in integers may differ: 1 for pixels that are rounded.

    Returns:
      A `Proof`.

    Raises:
      ValueError: an ASH cannot be lowered: see `lowering.lower`.
      RuntimeError: the graph cannot be run on the inputs, an answer is NaN or infinite, or the
        portable form gives another one.
    """
    lowered = lowering.lower(graph_def)
    answers = _run(graph_def, signature, inputs)
    tolerance = _tolerance(graph_def, signature, inputs, answers)
    _check(signature, answers, _run(lowered, signature, inputs), tolerance, levels)
    return Proof(lowered, signature, inputs, answers, tolerance, levels)


def _run(graph_def, signature, values):
    try:
        return onnx_model.run_frozen(graph_def, signature, *values)
    except (tf.errors.OpError, ValueError) as error:
        message = getattr(error, 'message', str(error))
        raise RuntimeError('TensorFlow cannot run the graph on the samples: {}'.format(
            ' '.join(message.split()))) from error


def _tolerance(graph_def, signature, inputs, answers):
    """The relative tolerance of a graph, by what it makes of values moved by one rounding."""
    rng = np.random.RandomState(0)
    moved = _first_floats(graph_def, signature)
    values = _run(graph_def, signature._replace(outputs=moved), inputs)
    values = [np.nextafter(value, np.where(rng.randint(0, 2, value.shape), np.inf, -np.inf).astype(
        value.dtype)) for value in values]
    fixed = [(pair, value) for pair, value in zip(signature.inputs, inputs) if pair not in moved]
    others = _run(graph_def, signature._replace(
        inputs=moved + tuple(pair for pair, _ in fixed)),
        values + [value for _, value in fixed])
    change = max(map(_difference, answers, others), default=0.0)
    return float(min(max(LEAST, MARGIN * change), MOST))


def _first_floats(graph_def, signature):
    """The tensors in floating point that the inputs are, or become: pixels by a cast, say.

    Returns:
      Pairs as those of a signature's inputs.
    """
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name='')
    named = {tensor: (name, tensor) for name, tensor in signature.inputs}
    depend = {graph.get_tensor_by_name(tensor) for tensor in named}
    found = [tensor for tensor in depend if tensor.dtype.is_floating]
    for op in graph.get_operations():  # inputs come before what reads them
        read = depend.intersection(op.inputs)
        if (read and not any(tensor.dtype.is_floating for tensor in read)
                and not _BORDERS.fullmatch(op.type)):
            depend.update(op.outputs)
            found += [tensor for tensor in op.outputs if tensor.dtype.is_floating]
    names = sorted(tensor.name for tensor in found)
    return tuple(named.get(name, (name, name)) for name in names)


def _difference(expected, found):
    """The largest difference relative to the largest value; of floating point alone."""
    if not np.issubdtype(expected.dtype, np.floating) or not expected.size:
        return 0.0
    change, scale = np.abs(found.astype(np.float64) - expected).max(), np.abs(expected).max()
    return float(change / scale) if scale else float(change and np.inf)


def _equal(expected, found, levels):
    """Whether integers, or values of another kind, are the same up to some levels."""
    if not levels or expected.dtype.kind not in 'iu' or expected.shape != found.shape:
        return np.array_equal(expected, found)
    return not expected.size or np.abs(expected.astype(np.int64) - found).max() <= levels


def _check(signature, answers, lowered, tolerance, levels):
    """Raises RuntimeError where an answer is no number, or the portable ops give another."""
    for name, expected, found in zip(signature.output_names, answers, lowered):
        if np.issubdtype(expected.dtype, np.floating) and not np.isfinite(expected).all():
            raise RuntimeError('the graph gives NaN or infinity as {} for the samples: give others '
                               'by --samples'.format(name))
        if expected.dtype.kind != 'f' and not _equal(expected, found, levels):
            raise RuntimeError('the portable ops give other values of {}'.format(name))
        if not _difference(expected, found) <= tolerance:
            raise RuntimeError('the portable ops give {} with a relative difference of {:.1e}, '
                               'more than the {:.1e} that roundings explain'.format(
                                   name, _difference(expected, found), tolerance))
