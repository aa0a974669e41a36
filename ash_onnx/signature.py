"""The inputs and outputs that a graph declares, compared with those that are expected.

Every message here lacks the artifact's path, which `load_artifact` puts in front of it.
"""

import numpy as np
import onnx

MAX_SAMPLE = 2**28  # elements of one example of one input

# The types that onnxruntime exchanges arrays of, by the names that metadata give them.
_DTYPES = {onnx.TensorProto.STRING: 'str', **{
    getattr(onnx.TensorProto, name): np.dtype(dtype).name for name, dtype in (
        ('FLOAT16', 'f2'), ('FLOAT', 'f4'), ('DOUBLE', 'f8'), ('BOOL', '?'),
        ('INT8', 'i1'), ('INT16', 'i2'), ('INT32', 'i4'), ('INT64', 'i8'),
        ('UINT8', 'u1'), ('UINT16', 'u2'), ('UINT32', 'u4'), ('UINT64', 'u8'))}}


def graph_inputs(graph):
    """The `onnx.ValueInfoProto`s that a caller of a graph has to feed."""
    initializers = {tensor.name for tensor in graph.initializer}  # inputs too before IR version 4
    return [value for value in graph.input if value.name not in initializers]


def check_values(title, values, expected):
    """Checks that a graph declares the values that are expected, and no others.

    Args:
      title: `inputs` or `outputs`, for the message.
      values: the graph's `onnx.ValueInfoProto`s.
      expected: dict, name -> (an `onnx.TensorProto.DataType`, list of sizes, with None for one
        that must be dynamic and `...` for any).

    Raises:
      ValueError: another name, dtype or shape. A value may declare no shape, as some converters
        have it; it is the caller who checks the answers then.
    """
    found = [value.name for value in values]
    # Not sorted: a name that is not UTF-8 comes out of protobuf as bytes.
    if len(found) != len(expected) or set(found) != set(expected):
        raise ValueError(f'its {title} are {found}, expected {list(expected)}')
    for value in values:
        dtype, shape = expected[value.name]
        tensor = value.type.tensor_type
        if tensor.elem_type != dtype:
            raise ValueError(f'{value.name} is {_dtype_name(tensor.elem_type)}, '
                             f'expected {_dtype_name(dtype)}')
        if tensor.HasField('shape'):
            check_shape(value, shape, ' (N dynamic)')


def array_dtype(value):
    """The name of the dtype of an input or output; ValueError if no array can have it."""
    elem_type = value.type.tensor_type.elem_type  # 0 for what is no tensor
    if elem_type not in _DTYPES:
        raise ValueError(f'{value.name} is {_dtype_name(elem_type)}, which is no type that '
                         f'onnxruntime exchanges arrays of ({", ".join(_DTYPES.values())})')
    return _DTYPES[elem_type]


def declared_sizes(value):
    """The sizes of a value that a graph declares, a list with None for what is symbolic."""
    return [dim.dim_value if dim.HasField('dim_value') else None
            for dim in value.type.tensor_type.shape.dim]


def check_shape(value, shape, note=''):
    """Raises ValueError, with `note` at its end, if a value's declared shape does not fit one."""
    found = declared_sizes(value)
    if not fits(found, shape):
        raise ValueError(f'{value.name} has shape {shape_name(found)}, expected '
                         f'{shape_name(shape)} by its metadata{note}')


def fits(found, shape):
    """Whether each size is symbolic (None) in `found`, any (...) in `shape`, or equal in both."""
    return len(found) == len(shape) and all(
        a is None or b is ... or a == b for a, b in zip(found, shape, strict=True))


def shape_name(shape):
    """A shape as a message shows it, with N for None."""
    names = {None: 'N', ...: 'any'}
    return '[' + ', '.join(names.get(size, str(size)) for size in shape) + ']'


def _dtype_name(elem_type):
    names = {number: name.lower() for name, number in onnx.TensorProto.DataType.items()}
    return names.get(elem_type, f'of unknown type {elem_type}')
