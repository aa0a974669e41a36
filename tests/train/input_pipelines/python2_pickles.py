"""Pickles as Python 2 wrote them, and pickles that nobody should read."""
import struct

import numpy as np


class Raw(bytes):
    """Opcodes that stand in a pickle for a value, as they are."""


def pickle2(value):
    """Opcodes of a value as Python 2's cPickle wrote it in protocol 2, without the memo."""
    if isinstance(value, Raw):
        return bytes(value)
    if isinstance(value, bytes):
        if len(value) < 256:
            return b'U' + struct.pack('<B', len(value)) + value
        return b'T' + struct.pack('<i', len(value)) + value
    if isinstance(value, (int, np.integer)):
        return b'J' + struct.pack('<i', value)
    if isinstance(value, list):
        return b'](' + b''.join(pickle2(item) for item in value) + b'e'
    if isinstance(value, tuple):
        return b'(' + b''.join(pickle2(item) for item in value) + b't'
    if isinstance(value, dict):
        return b'}(' + b''.join(pickle2(key) + pickle2(value[key]) for key in value) + b'u'
    assert value.dtype == np.uint8
    return pickled_array(value.shape, value.tobytes())


def pickled_array(shape, data, code=b'u1', module=b'numpy.core.multiarray', first=(0,)):
    """Opcodes of an array, which need not be one that numpy would have written."""
    dtype = (b'cnumpy\ndtype\n' + pickle2((code, 0, 1)) + b'R'
             + b'(' + pickle2(3) + pickle2(b'|') + b'NNN' + pickle2(-1) + pickle2(-1) + pickle2(0)
             + b'tb')
    return Raw(b'c' + module + b'\n_reconstruct\n(cnumpy\nndarray\n' + pickle2(first)
               + pickle2(b'b') + b'tR(' + pickle2(1) + pickle2(tuple(shape)) + dtype + b'\x89'
               + pickle2(data) + b'tb')
