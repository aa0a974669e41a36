"""What the graph and the metadata of an image classifier have to be."""

import numpy as np
import onnx

from ash_onnx.metadata import shorten
from ash_onnx.signature import check_values, graph_inputs

INPUT = 'images'
OUTPUTS = ('logits', 'probabilities')
MAX_SIDE = 4096  # pixels; a larger input_shape is a mistake, not an image net


def interface(graph, metadata):
    """See `kinds.base.Kind`."""
    labels, shape = metadata['labels'], metadata['input_shape']
    # isprintable: labels go to terminals and pictures, where control characters do harm.
    if not (isinstance(labels, list) and labels
            and all(isinstance(label, str) and label and label.isprintable() for label in labels)):
        raise ValueError('metadata \'labels\' must be a JSON list of printable strings, '
                         f'got {shorten(labels)}')
    if not (isinstance(shape, list) and len(shape) == 3 and shape[2] == 3
            and all(type(size) is int and 1 <= size <= MAX_SIDE for size in shape)):
        raise ValueError('metadata \'input_shape\' must be [height, width, 3] with sides '
                         f'from 1 to {MAX_SIDE}, got {shorten(shape)}')
    check_values('inputs', graph_inputs(graph), {INPUT: (onnx.TensorProto.UINT8, [None, *shape])})
    check_values('outputs', graph.output,
                 {name: (onnx.TensorProto.FLOAT, [None, len(labels)]) for name in OUTPUTS})
    return {INPUT: np.zeros([1, *shape], np.uint8)}, OUTPUTS
