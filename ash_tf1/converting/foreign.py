"""From a frozen graph that other code wrote to an artifact of the kind `tensors`."""
import json
import os

import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1 import files
from ash_tf1.converting import artifact, graphs, lowering, onnx_model, opsets, sources

BATCH = 4  # of inputs made up, where the graph leaves the first size open
# What an answer may differ by, relative to the largest: at least rounding in another order, at most
# what still means something; in between a multiple of what one rounding of the inputs changes.
LEAST, MOST, MARGIN = 1e-5, 1e-2, 64


def convert(path, out_dir, inputs=(), outputs=(), samples=None, seed=0, keep_graph=False,
            overwrite=False, opset=opsets.DEFAULT):
    """Converts a frozen graph, every ASH in it included.

    Args:
      path: the frozen graph, as for `sources.read_frozen_graph`.
      out_dir: folder to make; must not exist, unless it is an artifact to be overwritten.
      inputs, outputs: as for `graphs.cut`.
      samples: path of a `.npy` file (one input) or `.npz` file (arrays by the names of the inputs):
        the test data set. By default inputs are made up: normal numbers, and integers 0 and 1.
      seed: of inputs that are made up.
      keep_graph: whether the graph that was converted is kept too, as `frozen_graph.pb`.
      overwrite: whether an artifact at out_dir is replaced.
      opset: as for `onnx_model.convert`.

    Returns:
      What was `artifact.Exported`.

    Raises:
      ValueError: the file, a name, a shape, a sample or the opset is wrong, or the graph is
        refused; the message names what.
      RuntimeError: the graph cannot be run or converted, or its portable ops answer otherwise.
    """
    artifact.check_out_dir(out_dir, overwrite)
    opsets.check(opset)
    source, found, given = graphs.cut(sources.read_frozen_graph(path), inputs, outputs)
    signature = onnx_model.Signature(*(tuple((_onnx_name(tensor.name), tensor.name)
                                             for tensor in tensors) for tensors in (found, given)))
    names = signature.input_names
    values = read_samples(samples, names, found) if samples else make_samples(names, found, seed)
    answers = _run(source, signature, values)
    tolerance = _tolerance(source, signature, values, answers)
    lowered = lowering.lower(source)
    _check(signature, answers, _run(lowered, signature, values), tolerance)
    properties = {
        'kind': 'tensors',
        'net': os.path.basename(path),
        'source_sha256': files.sha256([path]),
        'inputs': json.dumps([_metadata(name, tensor, value)
                              for name, tensor, value in zip(names, found, values)]),
        'samples': os.path.basename(samples) if samples else 'made up, seed {}'.format(seed),
        'tolerance': json.dumps({'relative': tolerance}),
        'versions': artifact.versions(),
    }
    return artifact.write(out_dir, lowered, signature, values, answers, properties, keep_graph,
                          opset)


def make_samples(names, tensors, seed):
    """Seeded inputs for a graph: normal numbers; integers 0 and 1; a batch where it is open.

    Raises:
      ValueError: a shape or dtype leaves open what to make; the message says what to give.
    """
    rng, values = np.random.RandomState(seed), []
    for name, tensor in zip(names, tensors):
        shape = tensor.shape
        if shape is None or None in shape[1:]:
            raise ValueError('input {} leaves its shape open: give --input {}:SHAPE, such as '
                             '{}:4,224,224,3, or --samples'.format(tensor, name, name))
        sizes = [BATCH if size is None else size for size in shape]
        if tensor.dtype.is_floating:
            value = rng.standard_normal(sizes)
        elif tensor.dtype.is_integer or tensor.dtype.is_bool:
            value = rng.randint(0, 2, sizes)
        else:
            raise ValueError('input {} cannot be made up: give --samples'.format(tensor))
        values.append(np.asarray(value, tensor.dtype.as_numpy_dtype))
    return values


def read_samples(path, names, tensors):
    """The inputs from a `.npy` or `.npz` file, held against the graph.

    Raises:
      ValueError: it is no such file, lacks an input, or an array does not fit.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        arrays = dict(loaded) if hasattr(loaded, 'files') else {names[0]: loaded}
    except (OSError, ValueError, EOFError) as error:
        raise ValueError('{} cannot be read as .npy or .npz: {}'.format(
            path, ' '.join(str(error).split()))) from None
    if set(arrays) != set(names):
        raise ValueError('{} must hold the inputs {}, it holds {}'.format(
            path, ', '.join(names), ', '.join(sorted(arrays))))
    for name, tensor in zip(names, tensors):
        dtype, shape = tensor.dtype.as_numpy_dtype, tf.TensorShape(tensor.shape)
        if not np.can_cast(arrays[name].dtype, dtype, 'same_kind') or not shape.is_compatible_with(
                arrays[name].shape):
            raise ValueError('{} has {} as {} {}, the graph takes {}'.format(
                path, name, arrays[name].dtype, list(arrays[name].shape), tensor))
        arrays[name] = arrays[name].astype(dtype)
    return [arrays[name] for name in names]


def _onnx_name(tensor):
    """The name in the ONNX model: the node's, with the index of an output that is not the first."""
    node, _, index = tensor.rpartition(':')
    return node if index == '0' else '{}_{}'.format(node, index)


def _metadata(name, tensor, value):
    return {'name': name, 'dtype': value.dtype.name, 'example': list(value.shape),
            'shape': [None] * value.ndim if tensor.shape is None else list(tensor.shape)}


def _run(graph_def, signature, values):
    try:
        return onnx_model.run_frozen(graph_def, signature, *values)
    except (tf.errors.OpError, ValueError) as error:
        message = getattr(error, 'message', str(error))
        raise RuntimeError('TensorFlow cannot run the graph on the samples: {}'.format(
            ' '.join(message.split()))) from error


def _tolerance(graph_def, signature, values, answers):
    """The relative tolerance of a graph, by what it makes of inputs moved by one rounding."""
    rng = np.random.RandomState(0)
    moved = [value if not np.issubdtype(value.dtype, np.floating) else np.nextafter(
        value, np.where(rng.randint(0, 2, value.shape), np.inf, -np.inf).astype(value.dtype))
        for value in values]
    change = max(map(_difference, answers, _run(graph_def, signature, moved)), default=0.0)
    return float(min(max(LEAST, MARGIN * change), MOST))


def _difference(expected, found):
    """The largest difference relative to the largest value; of floating point alone."""
    if not np.issubdtype(expected.dtype, np.floating) or not expected.size:
        return 0.0
    scale = np.abs(expected).max()
    return float(np.abs(found.astype(np.float64) - expected).max() / scale) if scale else 0.0


def _check(signature, answers, lowered, tolerance):
    """Raises RuntimeError where an answer is no number, or the portable ops give another."""
    for name, expected, found in zip(signature.output_names, answers, lowered):
        if np.issubdtype(expected.dtype, np.floating) and not np.isfinite(expected).all():
            raise RuntimeError('the graph gives NaN or infinity as {} for the samples: give others '
                               'by --samples'.format(name))
        if not _difference(expected, found) <= tolerance:
            raise RuntimeError('the portable ops give {} with a relative difference of {:.1e}, '
                               'more than the {:.1e} that roundings explain'.format(
                                   name, _difference(expected, found), tolerance))
