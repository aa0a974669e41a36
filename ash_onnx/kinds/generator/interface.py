"""What the graph and the metadata of an image generator have to be."""

import numpy as np
import onnx

from ash_onnx.kinds.generator import latent
from ash_onnx.signature import MAX_SAMPLE, check_values, declared_sizes, graph_inputs

INPUT = 'z'
OUTPUT = 'images'


def interface(graph, metadata):
    """See `kinds.base.Kind`. The sizes of z and of the images are those that the graph has."""
    latent.parse(metadata['latent'])
    check_values('inputs', graph_inputs(graph), {INPUT: (onnx.TensorProto.FLOAT, [None, ...])})
    check_values('outputs', graph.output, {OUTPUT: (onnx.TensorProto.UINT8, [None, ..., ..., 3])})
    sizes = declared_sizes(graph_inputs(graph)[0])
    if not sizes or not 1 <= (sizes[1] or 0) <= MAX_SAMPLE:
        raise ValueError(f'{INPUT} must be [N, L] with a fixed L from 1 to {MAX_SAMPLE}')
    return {INPUT: np.zeros([1, sizes[1]], np.float32)}, (OUTPUT,)
