"""Keras models: any number of inputs and outputs, with a batch as the first axis of each input."""

import math

import numpy as np
import onnx

from ash_onnx.kinds.base import Kind
from ash_onnx.metadata import shorten
from ash_onnx.signature import MAX_SAMPLE, check_shape, graph_inputs


def interface(graph, metadata):
    """See `base.Kind`; the metadata `input_shapes` has the shape of one example of each input."""
    shapes, probe = metadata['input_shapes'], {}
    names = [value.name for value in graph_inputs(graph)]
    if not isinstance(shapes, dict) or set(shapes) != set(names):
        raise ValueError(f'metadata \'input_shapes\' must be a shape for each of {names}, '
                         f'got {shorten(shapes)}')
    for value in graph_inputs(graph):
        shape = shapes[value.name]
        if not (isinstance(shape, list) and all(type(size) is int and size >= 1 for size in shape)
                and math.prod(shape) <= MAX_SAMPLE):
            raise ValueError('metadata \'input_shapes\' must be lists of sizes >= 1 and at most '
                             f'{MAX_SAMPLE} elements, got {shorten(shape)} for {value.name}')
        check_shape(value, [None, *shape], ' (N dynamic)')
        try:
            dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        except KeyError as error:
            raise ValueError(f'{value.name} is no tensor') from error
        probe[value.name] = np.zeros([1, *shape], dtype)
    return probe, [value.name for value in graph.output]


KIND = Kind('keras_model', 'a Keras model', ('input_shapes',), interface, 'no Keras model')
