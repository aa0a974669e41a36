"""Reads the pickles in which CIFAR is published, without running anything that they name.

A pickle is a program. This reader gives it only the few names that the official files use, and
behind these names stand plain recorders of its arguments: neither numpy nor any codec is called
on its behalf, so that it can make no array larger than the bytes it brings along.
"""
import io
import pickle
import pickletools

import numpy as np

from ash_tf1.input_pipelines.dataset import DataFileError

_LONGEST_LINE = 4096


def load_pickle(content, name):
    """Reads a pickled dictionary of numbers, strings, lists and two-dimensional uint8 arrays.

    Args:
        content: bytes of the file; the caller bounds their number before reading.
        name: how messages call the file.

    Returns:
        A dict with str keys. Strings of Python 2 come as bytes, arrays as read-only uint8 [N, M].
        Everything inside is otherwise unchecked.

    Raises:
        ValueError: the pickle is truncated or broken, names a global that is not allowed, holds
            another kind of array, or is no dictionary.
    """
    try:
        _check_memo(_Stream(content))
        record = _Unpickler(_Stream(content), len(content)).load()
    except DataFileError as error:
        raise DataFileError(f'{name}: {error}') from None
    except Exception as error:  # broken pickles raise nearly every kind
        raise DataFileError(f'{name}: truncated or not a pickle '
                            f'({type(error).__name__}: {str(error):.200})') from None
    if not isinstance(record, dict):
        raise DataFileError(f'{name}: holds a {type(record).__name__}, not a dict')
    try:
        return {_text(key): value.array if isinstance(value, _Array) else value
                for key, value in record.items()}
    except DataFileError as error:
        raise DataFileError(f'{name}: {error}') from None


def _text(key):
    if isinstance(key, (bytes, str)) and len(key) <= 64:
        return key.decode('latin-1') if isinstance(key, bytes) else key
    raise DataFileError('its dict has a key that is no short string')


class _Stream(io.BytesIO):
    """Bytes whose lines are short: the text opcodes parse long numbers in quadratic time."""

    def readline(self, size=-1):
        line = super().readline(_LONGEST_LINE + 1)
        if len(line) > _LONGEST_LINE:
            raise DataFileError(f'has a line of more than {_LONGEST_LINE} bytes')
        return line


def _check_memo(stream):
    """Refuses memo indices that skip: the C unpickler takes memory for all indices below."""
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if opcode.name in ('PUT', 'BINPUT', 'LONG_BINPUT') and argument > count:
            raise DataFileError(f'memo index {argument} after {count} opcodes')


class _Global:
    """Stands for an allowed global: can be called, and not altered by the pickle."""

    __slots__ = ('_call',)

    def __init__(self, call):
        self._call = call

    def __call__(self, *args):
        return self._call(*args)

    def __setstate__(self, state):
        raise DataFileError('tries to alter a global')


class _Dtype:
    """Stands for the dtype uint8; its state (byte order and such) says nothing more."""

    __slots__ = ()

    def __init__(self, code, *_):
        if code not in (b'u1', 'u1'):
            shown = repr(code) if isinstance(code, (bytes, str)) and len(code) < 20 else 'another'
            raise DataFileError(f'holds an array of dtype {shown}; only uint8 is allowed')

    def __setstate__(self, state):
        pass


class _Array:
    """Stands for an array until its state arrives; the array is then a view of these bytes."""

    __slots__ = ('_array',)

    def __setstate__(self, state):
        _, shape, dtype, fortran_order, data = state
        if type(dtype) is not _Dtype or type(data) is not bytes:
            raise DataFileError('holds an array that is not of plain uint8 bytes')
        if (type(shape) is not tuple or len(shape) != 2 or not all(
                type(size) is int and 0 < size < 2 ** 31 for size in shape)):
            raise DataFileError('holds an array that is not of two dimensions')
        if shape[0] * shape[1] != len(data):
            raise DataFileError(
                f'holds an array of declared shape {list(shape)} with {len(data)} bytes of data')
        order = 'F' if fortran_order else 'C'
        self._array = np.frombuffer(data, np.uint8).reshape(shape, order=order)

    @property
    def array(self):
        if not hasattr(self, '_array'):
            raise DataFileError('holds an array without data')
        return self._array


class _Unpickler(pickle.Unpickler):

    def __init__(self, stream, size):
        super().__init__(stream, encoding='bytes')
        self._encode_budget = size
        array_type = _Global(_refuse_call)
        reconstruct = _Global(lambda *args: _Array())
        self._globals = {
            ('numpy', 'ndarray'): array_type,
            ('numpy', 'dtype'): _Global(_Dtype),
            ('numpy.core.multiarray', '_reconstruct'): reconstruct,
            ('numpy._core.multiarray', '_reconstruct'): reconstruct,
            ('_codecs', 'encode'): _Global(self._encode),
        }

    def find_class(self, module, name):
        if (module, name) not in self._globals:
            raise DataFileError(f'names the global {module:.80}.{name:.80}, which is not allowed; '
                                'nothing of it was run')
        return self._globals[module, name]

    def _encode(self, text, codec):
        # Python 3 writes bytes this way in protocol 2. One string can be encoded over and over
        # from a few bytes of pickle, so the sum is bounded, not only each result.
        if type(text) is not str or codec not in ('latin1', b'latin1'):
            raise DataFileError('calls _codecs.encode on other than text and latin1')
        self._encode_budget -= len(text)
        if self._encode_budget < 0:
            raise DataFileError('encodes more bytes than the file has')
        return text.encode('latin-1')


def _refuse_call(*_):
    raise DataFileError('calls numpy.ndarray itself')
