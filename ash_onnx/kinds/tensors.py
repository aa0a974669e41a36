"""Any TensorFlow graph: inputs and outputs of any number, rank and dtype."""

import math

import numpy as np

from ash_onnx.kinds.base import Kind
from ash_onnx.metadata import shorten
from ash_onnx.signature import (
    MAX_SAMPLE,
    array_dtype,
    check_shape,
    fits,
    graph_inputs,
    shape_name,
)

MAX_RANK = 32  # numpy 1 makes no array of a higher one


def interface(graph, metadata):
    """See `base.Kind`; the metadata `inputs` describes each input and gives an example's shape."""
    inputs, values = metadata['inputs'], {value.name: value for value in graph_inputs(graph)}
    if not (isinstance(inputs, list) and all(isinstance(entry, dict) for entry in inputs)):
        raise ValueError('metadata \'inputs\' must be a JSON list of objects, '
                         f'got {shorten(inputs)}')
    names = [entry.get('name') for entry in inputs]
    if not all(isinstance(name, str) for name in names) or sorted(names) != sorted(values):
        raise ValueError(f'metadata \'inputs\' must name each of {sorted(values)} once, '
                         f'got {shorten(names)}')
    if not graph.output:
        raise ValueError('it has no outputs')
    for value in graph.output:
        array_dtype(value)
    return ({entry['name']: _probe(values[entry['name']], entry) for entry in inputs},
            [value.name for value in graph.output])


def _probe(value, entry):
    """Zeros, or empty strings, of the example's shape, after the checks of one input."""
    name, dtype = value.name, entry.get('dtype')
    shape, example = entry.get('shape'), entry.get('example')
    if dtype != array_dtype(value):
        raise ValueError(f'{name} is {array_dtype(value)}, expected {shorten(dtype)} by its '
                         'metadata')
    if not (_is_shape(shape, dynamic=True) and _is_shape(example)):
        which, got = ('example', example) if _is_shape(shape, dynamic=True) else ('shape', shape)
        raise ValueError(f'metadata \'inputs\' must have lists of sizes from 0, at most '
                         f'{MAX_SAMPLE} elements and rank {MAX_RANK}, got {shorten(got)} as '
                         f'{which} of {name}')
    if not fits(shape, example):
        raise ValueError(f'metadata \'inputs\' has the example {shorten(example)} of {name}, '
                         f'which does not fit its shape {shape_name(shape)}')
    if value.type.tensor_type.HasField('shape'):  # an unknown rank fits any
        check_shape(value, shape)
    return np.zeros(example, np.dtype(dtype))  # for str an array of ''


def _is_shape(shape, dynamic=False):
    """Whether it is a list of sizes small enough to be made, in which None may be a size."""
    if not isinstance(shape, list) or len(shape) > MAX_RANK:
        return False
    sizes = [size for size in shape if not (dynamic and size is None)]
    # Sizes of 0 do not count: numpy multiplies the others before it looks at them.
    return (all(type(size) is int and size >= 0 for size in sizes)
            and math.prod(size for size in sizes if size) <= MAX_SAMPLE)


KIND = Kind('tensors', 'a TensorFlow graph', ('inputs',), interface, 'no TensorFlow graph')
