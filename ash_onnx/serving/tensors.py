"""Tensors of the Open Inference Protocol, which a client says anything about, as arrays."""

import math
import struct
from dataclasses import dataclass

import numpy as np

from ash_onnx.protocol import DTYPES
from ash_onnx.serving.refusals import invalid

MAX_ELEMENTS = 2**28  # sizes of 0 do not count, so that no shape overflows
_CHUNK = 2**15  # values of JSON that are made an array at once; other threads run in between

_PYTHON = {'b': {bool}, 'i': {int}, 'u': {int}, 'f': {int, float}, 'O': {str}}
_CONTENTS = {'BOOL': 'bool_contents', 'INT64': 'int64_contents', 'UINT64': 'uint64_contents',
             'FP32': 'fp32_contents', 'FP64': 'fp64_contents', 'BYTES': 'bytes_contents',
             **dict.fromkeys(('INT8', 'INT16', 'INT32'), 'int_contents'),
             **dict.fromkeys(('UINT8', 'UINT16', 'UINT32'), 'uint_contents')}


@dataclass(frozen=True)
class Spec:
    """One input or output of a model.

    Attributes:
      name: a string.
      datatype: a key of `protocol.DTYPES`.
      shape: tuple of sizes, -1 for one that is open.
    """

    name: str
    datatype: str
    shape: tuple

    def to_dict(self):
        """Returns it as the protocol's metadata have it."""
        return {'name': self.name, 'datatype': self.datatype, 'shape': list(self.shape)}

    def check(self, datatype, shape, max_batch=None):
        """Checks what a client says of a tensor, before there is an array.

        Args:
          datatype: any JSON value.
          shape: any JSON value.
          max_batch: the largest first size, which is then 1 or more; None where it is no batch.

        Returns:
          The shape, a tuple.

        Raises:
          Refused: it does not fit.
        """
        if datatype != self.datatype:
            raise invalid(f'{self.name} must be {self.datatype}, got {datatype!r:.40}')
        if not (isinstance(shape, (list, tuple)) and all(type(size) is int for size in shape)):
            raise invalid(f'the shape of {self.name} must be a list of integers, got {shape!r:.60}')
        wanted = '[' + ', '.join('any' if size < 0 else str(size) for size in self.shape) + ']'
        if len(shape) != len(self.shape) or any(
                size < 0 or expected not in (-1, size)
                for size, expected in zip(shape, self.shape, strict=True)):
            raise invalid(f'{self.name} must have the shape {wanted}, got {str(list(shape)):.60}')
        if max_batch is not None and not 1 <= shape[0] <= max_batch:
            raise invalid(f'a batch of {self.name} must have 1 to {max_batch} examples, '
                          f'got {shape[0]}')
        if math.prod(size for size in shape if size) > MAX_ELEMENTS:
            raise invalid(f'{self.name} must have at most {MAX_ELEMENTS} elements, '
                          f'got the shape {str(list(shape)):.60}')
        return tuple(shape)


def from_binary(spec, shape, data):
    """The array of a tensor in binary: little-endian, row by row, or texts with their lengths.

    Args:
      spec: its `Spec`.
      shape: tuple, as from `Spec.check`.
      data: a bytes-like object.

    Returns:
      An array of `shape`, read-only, on the memory of `data`; of `bytes` for BYTES.

    Raises:
      Refused: data of another length.
    """
    count = math.prod(shape)
    if spec.datatype == 'BYTES':
        return _array(_split(spec, bytes(data), count), shape)
    dtype = DTYPES[spec.datatype]
    if len(data) != count * dtype.itemsize:
        raise invalid(f'{spec.name} has {len(data)} bytes of data, and its shape {list(shape)} '
                      f'takes {count * dtype.itemsize}')
    array = np.frombuffer(data, dtype.newbyteorder('<')).reshape(shape)
    if spec.datatype == 'BOOL' and count and array.view(np.uint8).max() > 1:
        raise invalid(f'{spec.name} is BOOL, whose bytes are 0 or 1')
    return array


def _split(spec, data, count):
    texts, offset = [], 0
    while offset < len(data) and len(texts) < count:
        if offset + 4 > len(data):
            break
        length, = struct.unpack_from('<I', data, offset)
        texts.append(data[offset + 4:offset + 4 + length])
        offset += 4 + length
    if offset != len(data) or len(texts) != count:
        raise invalid(f'{spec.name} must be {count} texts, each behind its length in 4 bytes; '
                      f'its {len(data)} bytes of data are not')
    return texts


def from_json(spec, shape, data):
    """The array of a tensor in JSON.

    Args:
      spec: its `Spec`.
      shape: tuple, as from `Spec.check`.
      data: any JSON value; right are lists as deep as the shape, or one flat list.

    Returns:
      An array of `shape`; of `bytes` for BYTES.

    Raises:
      Refused: data of another shape or type, or values out of the dtype's range.
    """
    if spec.datatype == 'FP16':
        raise invalid(f'{spec.name} is FP16, for which JSON has no numbers: send it in binary')
    if not isinstance(data, list):
        raise invalid(f'the data of {spec.name} must be a list, got {data!r:.40}')
    count = math.prod(shape)
    flat = data
    if data and isinstance(data[0], list):
        flat = _flatten(spec, data, shape)
    if len(flat) != count:
        raise invalid(f'{spec.name} has {len(flat)} values, and its shape {list(shape)} takes '
                      f'{count}')
    dtype = DTYPES[spec.datatype]
    array = np.empty(count, dtype)
    for start in range(0, count, _CHUNK):
        array[start:start + _CHUNK] = _convert(spec, dtype, flat[start:start + _CHUNK])
    return array.reshape(shape)


def _flatten(spec, data, shape):
    """The values of lists in lists, whose lengths are those of a shape."""
    level = data
    for depth, size in enumerate(shape):
        if depth:
            level = [item for row in level for item in row]
        elif len(level) != size:
            raise invalid(f'the lists of {spec.name} do not fit its shape {list(shape)}')
        if depth + 1 < len(shape) and not all(
                type(row) is list and len(row) == shape[depth + 1] for row in level):
            raise invalid(f'the lists of {spec.name} do not fit its shape {list(shape)}')
    return level


def _convert(spec, dtype, values):
    found = set(map(type, values)) - _PYTHON[dtype.kind]
    if found:
        names = ', '.join(sorted(kind.__name__ for kind in found))
        raise invalid(f'{spec.name} is {spec.datatype}, and its data have values of type {names}')
    if dtype.kind == 'O':
        return np.array([value.encode() for value in values], object)
    try:
        with np.errstate(over='ignore'):
            array = np.array(values, dtype)
    except OverflowError:
        array = None
    if array is None or dtype.kind == 'f' and not np.isfinite(array).all():
        raise invalid(f'{spec.name} is {spec.datatype}, and its data have a value out of its range')
    return array


def from_contents(spec, shape, contents):
    """The array of a tensor in the typed fields of a gRPC message.

    Args:
      spec: its `Spec`.
      shape: tuple, as from `Spec.check`.
      contents: an `InferTensorContents`.

    Returns:
      An array of `shape`; of `bytes` for BYTES.

    Raises:
      Refused: another field than that of the dtype, another number of values, or values out of
        the dtype's range.
    """
    field = _CONTENTS.get(spec.datatype)
    if field is None:
        raise invalid(f'{spec.name} is {spec.datatype}, which has no contents: send it in '
                      'raw_input_contents')
    filled = [descriptor.name for descriptor, _ in contents.ListFields()]
    if filled not in ([field], []):
        raise invalid(f'{spec.name} is {spec.datatype}, and has {", ".join(filled)}')
    values, count = getattr(contents, field), math.prod(shape)
    if len(values) != count:
        raise invalid(f'{spec.name} has {len(values)} values, and its shape {list(shape)} takes '
                      f'{count}')
    if spec.datatype == 'BYTES':
        return _array(list(values), shape)
    dtype = DTYPES[spec.datatype]
    array = np.empty(count, dtype)
    for start in range(0, count, _CHUNK):
        try:
            array[start:start + _CHUNK] = np.array(values[start:start + _CHUNK], dtype)
        except OverflowError:
            raise invalid(f'{spec.name} is {spec.datatype}, and its data have a value out of its '
                          'range') from None
    return array.reshape(shape)


def _array(texts, shape):
    array = np.empty(len(texts), object)
    array[:] = texts
    return array.reshape(shape)


def to_text(spec, array):
    """An array of `bytes` as one of `str`.

    Raises:
      Refused: they are no UTF-8.
    """
    try:
        return _array([text.decode() for text in array.flat], array.shape)
    except UnicodeDecodeError:
        raise invalid(f'{spec.name} must be texts in UTF-8') from None
