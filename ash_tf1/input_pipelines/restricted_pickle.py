"""Reads the pickles in which CIFAR is published, without running anything that they name.

A pickle is a program. This interpreter knows only the opcodes that make data, and the few names
that the official files use. Behind these names stand plain recorders of their arguments: neither
numpy nor any codec is called, so that no array is larger than the bytes that it brings along.
Python's own unpickler is not used: it crashes on what is nested deep, and takes the memory that a
pickle asks for.
"""
import codecs
import struct

import numpy as np

from ash_tf1.input_pipelines.dataset import DataFileError

_LONGEST_LINE = 4096
_LONGEST_KEY = 64
_MOST_OPCODES = 2 ** 20  # about 200 MB of objects; the official files have at most 400,000
_DEEPEST = 8             # containers in containers; the official files have 3


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
        record = _Interpreter(content).run()
    except DataFileError as error:
        raise DataFileError('{}: {}'.format(name, error)) from None
    except Exception as error:  # broken pickles raise nearly every kind
        raise DataFileError('{}: truncated or not a pickle '
                            '({}: {:.200})'.format(
                                name, type(error).__name__, str(error))) from None
    if not isinstance(record, dict):
        raise DataFileError('{}: holds a {}, not a dict'.format(name, type(record).__name__))
    try:
        return {_text(key): value.array if isinstance(value, _Array) else value
                for key, value in record.items()}
    except DataFileError as error:
        raise DataFileError('{}: {}'.format(name, error)) from None


def _text(key):
    return key.decode('latin-1') if isinstance(key, bytes) else key


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
            raise DataFileError('holds an array of dtype {}; only uint8 is allowed'.format(shown))

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
                'holds an array of declared shape {} with {} bytes of data'.format(
                    list(shape), len(data)))
        order = 'F' if fortran_order else 'C'
        self._array = np.frombuffer(data, np.uint8).reshape(shape, order=order)

    @property
    def array(self):
        if not hasattr(self, '_array'):
            raise DataFileError('holds an array without data')
        return self._array


class _Interpreter:
    """The state of a pickle that is read: a stack of (value, depth), marks in it, and the memo."""

    def __init__(self, content):
        self._content, self._position = content, 0
        self._stack, self._marks, self._memo, self._count = [], [], {}, 0
        self._encode_budget = len(content)
        reconstruct = _Global(lambda *args: _Array())
        self._globals = {
            ('numpy', 'ndarray'): _Global(_refuse_call),
            ('numpy', 'dtype'): _Global(_Dtype),
            ('numpy.core.multiarray', '_reconstruct'): reconstruct,
            ('numpy._core.multiarray', '_reconstruct'): reconstruct,
            ('_codecs', 'encode'): _Global(self._encode),
        }

    def run(self):
        """Returns what the pickle makes; raises nearly anything where it is none."""
        while True:
            opcode = self._read(1)
            if opcode == b'.':
                return self._pop()
            self._count += 1
            if self._count > _MOST_OPCODES:
                raise DataFileError('has more than {} opcodes'.format(_MOST_OPCODES))
            if opcode not in _OPCODES:
                raise ValueError('the opcode {!r} is not allowed'.format(opcode))
            _OPCODES[opcode](self)

    def _read(self, count):
        end = self._position + count
        if end > len(self._content):
            raise EOFError('it ends early')
        data, self._position = self._content[self._position:end], end
        return data

    def _number(self, form):
        return struct.unpack('<' + form, self._read(struct.calcsize(form)))[0]

    def _line(self):
        end = self._content.find(b'\n', self._position, self._position + _LONGEST_LINE)
        if end < 0:
            raise DataFileError('has a line of more than {} bytes, or without an end'.format(
                _LONGEST_LINE))
        line, self._position = self._content[self._position:end], end + 1
        return line

    def _push(self, value, depth=0):
        if depth > _DEEPEST:
            raise DataFileError('nests more than {} containers'.format(_DEEPEST))
        self._stack.append((value, depth))

    def _pop(self):
        if self._marks and len(self._stack) <= self._marks[-1]:
            raise IndexError('it takes a mark for a value')
        return self._stack.pop()[0]

    def _top(self, kind):
        value = self._stack[-1][0]
        if type(value) is not kind:
            raise TypeError('a {} where a {} is expected'.format(
                type(value).__name__, kind.__name__))
        return value

    def _since_mark(self):
        mark = self._marks.pop()
        entries = self._stack[mark:]
        del self._stack[mark:]
        return entries

    def _last(self, count):
        entries = self._stack[-count:]
        if len(entries) < count or self._marks and len(self._stack) - count < self._marks[-1]:
            raise IndexError('it takes more values than there are')
        del self._stack[-count:]
        return entries

    def _push_container(self, make, entries):
        self._push(make([value for value, _ in entries]),
                   1 + max((depth for _, depth in entries), default=0))

    def _deepen(self, entries):
        """Puts a container that got entries back, as deep as it is now."""
        value, depth = self._stack.pop()
        self._push(value, max([depth] + [1 + inner for _, inner in entries]))

    def make_dict(self, entries):
        self._push_container(lambda values: _pairs([(value, 0) for value in values]), entries)

    def append(self, entries):
        self._top(list).extend(value for value, _ in entries)
        self._deepen(entries)

    def set_items(self, entries):
        self._top(dict).update(_pairs(entries))
        self._deepen(entries)

    def remember(self, index):
        if index > self._count:
            raise DataFileError('memo index {} after {} opcodes'.format(index, self._count))
        self._memo[index] = self._stack[-1]

    def recall(self, index):
        self._push(*self._memo[index])

    def find(self, module, name):
        if (module, name) not in self._globals:
            raise DataFileError('names the global {:.80}.{:.80}, which is not allowed; '
                                'nothing of it was run'.format(module, name))
        self._push(self._globals[module, name])

    def call(self):
        function, arguments = (value for value, _ in self._last(2))
        if type(function) is not _Global or type(arguments) is not tuple:
            raise TypeError('it calls what is no function')
        self._push(function(*arguments))

    def build(self):
        state, = self._last(1)
        target = self._stack[-1][0]
        if type(target) not in (_Global, _Dtype, _Array):
            raise TypeError('it gives a state to what has none')
        target.__setstate__(state[0])

    def _encode(self, text, codec):
        # Python 3 writes bytes this way in protocol 2. One string can be encoded over and over
        # from a few bytes of pickle, so the sum is bounded, not only each result.
        if type(text) is not str or codec not in ('latin1', b'latin1'):
            raise DataFileError('calls _codecs.encode on other than text and latin1')
        self._encode_budget -= len(text)
        if self._encode_budget < 0:
            raise DataFileError('encodes more bytes than the file has')
        return text.encode('latin-1')


def _pairs(entries):
    values = [value for value, _ in entries]
    if len(values) % 2:
        raise ValueError('a key without a value')
    for key in values[::2]:
        # Of other keys many could have one hash, and a dict of them takes the square of their time.
        if type(key) not in (bytes, str) or len(key) > _LONGEST_KEY:
            raise DataFileError('its dict has a key that is no short string')
    return dict(zip(values[::2], values[1::2]))


def _quoted(line):
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b'"', b"'"):
        raise ValueError('a string without quotes')
    return codecs.escape_decode(line[1:-1])[0]


def _integer(line):
    return {b'00': False, b'01': True}[line] if line in (b'00', b'01') else int(line.rstrip(b'L'))


def _check_protocol(pickle):
    protocol = pickle._number('B')
    if protocol > 5:
        raise ValueError('protocol {} is not known'.format(protocol))


def _check_frame(pickle):
    if pickle._number('Q') > len(pickle._content):
        raise EOFError('a frame is longer than the file')


def _value(read):
    """What an opcode does that reads a value."""
    return lambda pickle: pickle._push(read(pickle))


def _sized(form, make=bytes):
    """What an opcode does that reads the size of a value, and then the value."""
    return _value(lambda pickle: make(pickle._read(pickle._number(form))))


def _utf8(data):
    return data.decode('utf-8', 'surrogatepass')


def _little_endian(data):
    return int.from_bytes(data, 'little', signed=True)


def _empty(make):
    return lambda pickle: pickle._push(make(), 1)


def _tuple_of(count):
    return lambda pickle: pickle._push_container(tuple, pickle._last(count))


_OPCODES = {
    b'\x80': _check_protocol, b'\x95': _check_frame,
    b'(': lambda pickle: pickle._marks.append(len(pickle._stack)),
    b'0': _Interpreter._pop, b'1': _Interpreter._since_mark,
    b'N': _value(lambda pickle: None),
    b'\x88': _value(lambda pickle: True), b'\x89': _value(lambda pickle: False),
    b'K': _value(lambda pickle: pickle._number('B')),
    b'M': _value(lambda pickle: pickle._number('H')),
    b'J': _value(lambda pickle: pickle._number('i')),
    b'G': _value(lambda pickle: struct.unpack('>d', pickle._read(8))[0]),
    b'\x8a': _sized('B', _little_endian),
    b'I': _value(lambda pickle: _integer(pickle._line())),
    b'L': _value(lambda pickle: _integer(pickle._line())),
    b'F': _value(lambda pickle: float(pickle._line())),
    b'S': _value(lambda pickle: _quoted(pickle._line())),
    b'V': _value(lambda pickle: pickle._line().decode('raw-unicode-escape')),
    b'U': _sized('B'), b'T': _sized('I'),                        # strings of Python 2
    b'C': _sized('B'), b'B': _sized('I'), b'\x8e': _sized('Q'),  # bytes
    b'\x8c': _sized('B', _utf8), b'X': _sized('I', _utf8), b'\x8d': _sized('Q', _utf8),
    b']': _empty(list), b'}': _empty(dict), b')': _empty(tuple),
    b'\x85': _tuple_of(1), b'\x86': _tuple_of(2), b'\x87': _tuple_of(3),
    b't': lambda pickle: pickle._push_container(tuple, pickle._since_mark()),
    b'l': lambda pickle: pickle._push_container(list, pickle._since_mark()),
    b'd': lambda pickle: pickle.make_dict(pickle._since_mark()),
    b'a': lambda pickle: pickle.append(pickle._last(1)),
    b'e': lambda pickle: pickle.append(pickle._since_mark()),
    b's': lambda pickle: pickle.set_items(pickle._last(2)),
    b'u': lambda pickle: pickle.set_items(pickle._since_mark()),
    b'p': lambda pickle: pickle.remember(int(pickle._line())),
    b'q': lambda pickle: pickle.remember(pickle._number('B')),
    b'r': lambda pickle: pickle.remember(pickle._number('I')),
    b'\x94': lambda pickle: pickle.remember(len(pickle._memo)),
    b'g': lambda pickle: pickle.recall(int(pickle._line())),
    b'h': lambda pickle: pickle.recall(pickle._number('B')),
    b'j': lambda pickle: pickle.recall(pickle._number('I')),
    b'c': lambda pickle: pickle.find(pickle._line().decode(), pickle._line().decode()),
    b'\x93': lambda pickle: pickle.find(*(value for value, _ in pickle._last(2))),
    b'R': _Interpreter.call, b'b': _Interpreter.build,
}


def _refuse_call(*_):
    raise DataFileError('calls numpy.ndarray itself')
