"""Limits for a model that is not trusted: what it declares, and the memory of the process."""

import contextlib
import math
import os

import onnx
from onnx import TensorProto

MAX_DECLARED_BYTES = 2**33  # of all values that one example goes through, whatever they are
LEAST_GIGABYTES = 0.5  # below it libraries end the process where they get no memory
_SMALL = 1024  # elements; a larger tensor says nothing of shapes


def check_declared_sizes(proto):
    """Adds up the sizes that a model's values have for one example, before any is made.

    Shapes are inferred from those that the file declares and from its constants. What a model
    decides while it runs is not known here.

    Args:
      proto: an `onnx.ModelProto`, which stays as it is.

    Raises:
      ValueError: they are more than `MAX_DECLARED_BYTES`; the message names the largest.
    """
    sizes = {value.name: _bytes(value) for graph in _graphs(_inferred(proto).graph)
             for value in (*graph.input, *graph.value_info, *graph.output)}
    if sum(sizes.values()) > MAX_DECLARED_BYTES:
        largest = max(sizes, key=sizes.get)
        raise ValueError(f'its values take {sum(sizes.values())} bytes for one example, '
                         f'{largest!r} alone {sizes[largest]}; at most {MAX_DECLARED_BYTES} are '
                         'run')


def _inferred(proto):
    """A copy of a model without its weights, whose values have the shapes that are known."""
    copy = onnx.ModelProto(ir_version=proto.ir_version, opset_import=proto.opset_import,
                           functions=proto.functions)
    graph = copy.graph
    graph.name = proto.graph.name
    graph.node.extend(proto.graph.node)
    for field in ('input', 'output', 'value_info'):
        getattr(graph, field).extend(getattr(proto.graph, field))
    known = {value.name for value in graph.input}
    for tensor in proto.graph.initializer:
        if math.prod(tensor.dims) <= _SMALL:
            graph.initializer.append(tensor)
        elif tensor.name not in known:
            graph.input.append(onnx.helper.make_tensor_value_info(
                tensor.name, tensor.data_type, tensor.dims))
    try:
        return onnx.shape_inference.infer_shapes(copy, data_prop=True)
    except Exception:  # of a graph that onnxruntime will refuse with a better message
        return copy


def _graphs(graph):
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from _graphs(inner)


def _bytes(value):
    tensor = value.type.tensor_type
    try:
        itemsize = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).itemsize
    except KeyError:  # what is no tensor
        return 0
    if tensor.elem_type == TensorProto.STRING:
        itemsize = 8
    # A size that is symbolic or unknown counts as 1, that of one example.
    return itemsize * math.prod(max(1, dim.dim_value) for dim in tensor.shape.dim)


@contextlib.contextmanager
def memory_limit(gigabytes):
    """Limits what the process may take for its data; None does nothing, as does Windows.

    Raises:
      ValueError: the limit is below `LEAST_GIGABYTES`, or no finite number.
    """
    if gigabytes is None:
        yield
        return
    if not LEAST_GIGABYTES <= gigabytes < math.inf:
        raise ValueError(f'--memory-limit must be a number of gigabytes, {LEAST_GIGABYTES:g} or '
                         f'more, got {gigabytes:g}')
    try:
        import resource
    except ImportError:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = int(gigabytes * 1e9)
    ceilings = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min([wanted, *ceilings]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def default_gigabytes():
    """Three quarters of this machine's memory; None where it is not known."""
    try:
        return round(0.75 * os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9, 1)
    except (AttributeError, ValueError, OSError):
        return None
