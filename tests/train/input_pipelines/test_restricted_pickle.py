"""The reader of CIFAR's pickles: what it reads, and the hostile pickles that it refuses."""
import os
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest

from ash_tf1.input_pipelines import restricted_pickle
from ash_tf1.input_pipelines.restricted_pickle import load_pickle
from tests.train.input_pipelines.python2_pickles import Raw, pickle2, pickled_array


def refuse(content, match):
    with pytest.raises(ValueError, match=match) as caught:
        load_pickle(content, 'some_file')
    assert str(caught.value).startswith('some_file: ')


def in_dict(value, before=b''):
    return b'\x80\x02' + before + pickle2({b'data': value}) + b'.'


def some_array():
    return np.random.RandomState(0).randint(0, 256, (4, 7)).astype(np.uint8)


@pytest.mark.parametrize('module', [b'numpy.core.multiarray', b'numpy._core.multiarray'])
def test_python_2_pickle(module):
    array = some_array()
    data = pickled_array(array.shape, array.tobytes(), module=module)
    record = load_pickle(b'\x80\x02' + pickle2(
        {b'data': data, b'labels': [1, 2], b'text': b'\xff' * 300}) + b'.', 'file')
    assert sorted(record) == ['data', 'labels', 'text']
    np.testing.assert_array_equal(record['data'], array)
    assert record['data'].dtype == np.uint8
    assert record['labels'] == [1, 2] and record['text'] == b'\xff' * 300


@pytest.mark.parametrize('order', ['C', 'F'])
@pytest.mark.parametrize('protocol', [2, 3, 4])
def test_python_3_pickle(protocol, order):
    array = np.array(some_array(), order=order)
    content = pickle.dumps({b'data': array, 'labels': [3], b'same': [b'x'] * 9}, protocol)
    record = load_pickle(content, 'file')
    np.testing.assert_array_equal(record['data'], array)
    assert record['labels'] == [3] and record['same'] == [b'x'] * 9


@pytest.mark.parametrize('name', [
    'os.system', 'posix.system', 'builtins.eval', '__builtin__.eval', 'builtins.getattr',
    'subprocess.Popen', 'numpy.load', 'numpy.core.multiarray.scalar', 'numpy.zeros',
    'numpy.core.multiarray.ndarray', '_codecs.decode', 'copyreg._reconstructor',
    'ash_tf1.input_pipelines.restricted_pickle.load_pickle'])
def test_other_globals_are_refused_by_name(name):
    module, attribute = name.rsplit('.', 1)
    code = f'c{module}\n{attribute}\n'.encode()
    refuse(in_dict(Raw(code)), name.replace('.', r'\.') + ', which is not allowed')


def test_reduce_of_an_object_is_refused_and_not_run(tmp_path):
    marker = tmp_path / 'it_ran'

    class Attack:
        def __reduce__(self):
            return open, (str(marker), 'w')

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        refuse(pickle.dumps({'data': Attack()}, protocol), 'not allowed')
    assert not marker.exists()


@pytest.mark.parametrize('shape', [(2 ** 31, 3072), (2 ** 20, 2 ** 20), (-1, 3), (2 ** 70, 1),
                                   (0, 2 ** 40), (3,), (), (1, 1, 3)])
def test_array_larger_than_its_bytes_is_refused(shape):
    sizes = [Raw(b'\x8a\x0a' + size.to_bytes(10, 'little', signed=True)) for size in shape]
    refuse(in_dict(pickled_array(sizes, b'abc')), 'holds an array')


def test_array_declared_by_its_constructor_takes_no_memory():
    # numpy's own _reconstruct would ask for 4 TiB here.
    array = pickled_array((1, 3), b'abc', first=(2 ** 31 - 1, 2 ** 11))
    assert load_pickle(in_dict(array), 'file')['data'].tolist() == [[97, 98, 99]]


@pytest.mark.parametrize('code', [b'O', b'O8', b'f8', b'i8', b'S3', b'V3', b'u1,u1', b'3u1', 8])
def test_other_dtypes_are_refused(code):
    refuse(in_dict(pickled_array((1, 3), b'abc', code=code)), 'only uint8 is allowed')


def test_object_array_of_numpy_is_refused():
    refuse(pickle.dumps({'data': np.array([[None]], object)}, 2), 'only uint8 is allowed')


def test_array_whose_bytes_are_a_list_is_refused():
    code = pickled_array((1, 3), b'abc')
    refuse(in_dict(Raw(code.replace(b'U\x03abc', b']'))), 'not of plain uint8')


def test_array_without_state_is_refused():
    code = bytes(pickled_array((1, 3), b'abc'))
    refuse(in_dict(Raw(code[:code.index(b'tR') + 2])), 'array without data')


@pytest.mark.parametrize('code, match', [
    (b'cnumpy\nndarray\n(J\xff\xff\xff\x7ftR', 'calls numpy.ndarray'),
    (b'cnumpy\nndarray\n}b', 'alter a global'),
    (b'cnumpy\nndarray\n)\x81', 'not a pickle'),
    (b'cnumpy.core.multiarray\n_reconstruct\nN}(U\x01aK\x01u\x86b', 'alter a global'),
    (b'c_codecs\nencode\n(X\x01\x00\x00\x00aX\x06\x00\x00\x00utf-16tR',
     'other than text and latin1'),
    (b'c_codecs\nencode\n(U\x01aX\x06\x00\x00\x00latin1tR', 'other than text and latin1'),
    (b'Ppersistent\n', 'not a pickle'),
])
def test_allowed_globals_cannot_be_bent(code, match):
    refuse(in_dict(Raw(code)), match)


def test_encoding_cannot_multiply_the_bytes():
    text = b'X' + (10 ** 6).to_bytes(4, 'little') + b'a' * 10 ** 6 + b'q\x00'
    once = b'c_codecs\nencode\n(h\x00X\x06\x00\x00\x00latin1tR'
    record = load_pickle(in_dict(Raw(b'](' + text + once + b'e')), 'file')
    assert record['data'][1] == b'a' * 10 ** 6
    refuse(in_dict(Raw(b'](' + text + once * 1000 + b'e')), 'encodes more bytes')


@pytest.mark.parametrize('put', [b'r\xff\xff\xff\x7f', b'q\xff', b'p4000000000\n'])
def test_memo_index_that_skips_is_refused(put):
    # The C unpickler would take 16 bytes for each index below.
    refuse(in_dict(Raw(b'U\x01a' + put)), 'memo index')


def test_long_text_number_is_refused():
    refuse(in_dict(Raw(b'I' + b'9' * 10 ** 6 + b'\n')), 'line of more than')


@pytest.mark.parametrize('content', [
    b'', b'.', b'\x80', b'\x80\x02', b'\x80\x02}', b'\x80\x7f}.', b'no pickle', b'\x00' * 64,
    b'\x80\x02T\xff\xff\xff\x7fabc.', b'\x80\x04\x8e' + b'\xff' * 8 + b'.', b'\x80\x02h\x05.',
    b'\x80\x02}(U\x01au.', b'\x80\x02(K\x010K\x02000.', b'\x80\x02}K\x01a.', b'\x80\x02U\x01a)R.',
    b'\x80\x04\x95' + b'\xff' * 8 + b'}.'])
def test_garbage_is_refused(content):
    refuse(content, 'truncated or not a pickle')


@pytest.mark.parametrize('value', [[], 3, 'text', None])
def test_other_than_a_dict_is_refused(value):
    refuse(pickle.dumps(value, 2), f'holds a {type(value).__name__}, not a dict')


@pytest.mark.parametrize('key', [3, None, (), 'k' * 65])
def test_keys_are_short_strings(key):
    refuse(pickle.dumps({key: 1}, 2), 'no short string')


def test_hostile_pickles_take_little_memory(tmp_path):
    """All of the above that would ask for memory, in a process that may have only little more."""
    pytest.importorskip('resource')
    contents = [
        in_dict(pickled_array((2 ** 30, 2 ** 10), b'abc')),
        in_dict(pickled_array((1, 3), b'abc', first=(2 ** 30, 2 ** 10))),
        in_dict(Raw(b'cnumpy\nndarray\n(J\xff\xff\xff\x7ftR')),
        in_dict(Raw(b'U\x01ar\xff\xff\xff\x7f')),
        b'\x80\x02T\xff\xff\xff\x7fabc.',
        b'\x80\x04\x8e' + (2 ** 40).to_bytes(8, 'little') + b'abc.']
    for i, content in enumerate(contents):
        (tmp_path / str(i)).write_bytes(content)
    # The parent package is left out because it imports TensorFlow, which takes seconds.
    script = '''
import resource, sys, types
sys.modules['ash_tf1'] = types.ModuleType('ash_tf1')
sys.modules['ash_tf1'].__path__ = [sys.argv[1]]
from ash_tf1.input_pipelines.restricted_pickle import load_pickle
used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2 ** 27,) * 2)
for path in sys.argv[2:]:
    try:
        load_pickle(open(path, 'rb').read(), path)
    except ValueError as error:
        assert 'MemoryError' not in str(error), error
assert 'tensorflow' not in sys.modules
'''
    if not sys.platform.startswith('linux'):
        pytest.skip('reads /proc')
    package = os.path.dirname(os.path.dirname(restricted_pickle.__file__))
    subprocess.run([sys.executable, '-c', script, package] + [
        str(tmp_path / str(i)) for i in range(len(contents))], check=True)


@pytest.mark.timeout(20)
@pytest.mark.parametrize('content, match', [
    (b'\x80\x02}U\x01a)' + b'\x85' * 200000 + b's.', 'nests more than 8 containers'),
    (b'\x80\x02}U\x01a' + b'(' * 200000 + b't' * 200000 + b's.', 'nests more than 8'),
    (b'\x80\x02}' + b']' * 200000 + b'a' * 199999 + b's.', 'nests more than 8'),
    # Multiples of 2**61 - 1 have one hash.
    (b'\x80\x02}(' + b''.join(b'\x8a\x0a' + ((2 ** 61 - 1) * i).to_bytes(10, 'little') + b'N'
                             for i in range(100000)) + b'u.', 'no short string'),
    (b'\x80\x02}(' + b''.join(struct.pack('<cd', b'G', i) + b'N' for i in range(99)) + b'u.',
     'no short string'),
    (b'\x80\x02](' + b']' * 2 ** 21 + b'e.', 'has more than 1048576 opcodes'),
    # What a frame hides from one reader is a memo index to another.
    (b'\x80\x04\x95\x03' + bytes(7) + b'K\x01r\xff\xff\xff\x7f.', 'memo index 2147483647'),
    (b'\x80\x04\x95' + (2 ** 40).to_bytes(8, 'little') + b'}.', 'a frame is longer')],
    ids=['deep tuple', 'deep marks', 'deep list', 'equal hashes', 'numbers as keys', 'objects',
         'frame', 'long frame'])
def test_hostile_pickles_end_soon(content, match):
    refuse(content, match)


@pytest.mark.parametrize('protocol', range(5))
def test_data_are_those_of_python_s_own(protocol):
    value = {'a': [1, -1, 255, 256, 65536, -2 ** 31, 2 ** 70, -2 ** 70, True, False, None, 1.5,
                   'text \u2603', '', ('x', (), [[]], {'b': [2]}), b'\xff' * 300],
             'b': 'x' * 4000}
    value['same'] = value['a']
    found = load_pickle(pickle.dumps(value, protocol), 'file')
    assert found == value and found['same'] is found['a']
    assert [type(item) for item in found['a']] == [type(item) for item in value['a']]


def test_a_pickle_of_python_2_in_text():
    content = (b"(dp1\nS'num'\np2\nI10000\nsS'names'\np3\n(lp4\nS'air\\x41\\n'\np5\na"
               b"S\"it's\"\np6\nag5\nasS'big'\nL123L\nsS'u'\nVa\\u2603\nsS'f'\nF1.5\nsS't'\n(I01\nI00\nts.")
    assert load_pickle(content, 'file') == {
        'num': 10000, 'names': [b'airA\n', b"it's", b'airA\n'], 'big': 123, 'u': 'a\u2603',
        'f': 1.5, 't': (True, False)}
