"""Files of text, samples and graphs that are none, or never end: one clear error, in time."""
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1.checkpoint_import.rules import read_rules
from ash_tf1.commands import convert, running
from ash_tf1.converting import containment, samples, sources
from ash_tf1.converting.graphs import Tensor
from ash_tf1.keras import hdf5
from ash_tf1.reading import read_json
from ash_tf1.tasks.classification.labels import read_labels

READERS = {
    'labels': read_labels, 'rules': read_rules, 'json': read_json, 'hdf5': hdf5.read,
    'graph': sources.read_frozen_graph,
    'samples': lambda path: samples.read(path, ['x'], [Tensor('x', tf.float32, (None, 2))])}
SPECIAL = {'pipe': os.mkfifo, 'device': lambda path: os.symlink('/dev/urandom', path),
           'huge': lambda path: os.truncate(open(path, 'wb').name, 2 ** 41)}


@pytest.mark.timeout(60)
@pytest.mark.parametrize('reader', READERS)
@pytest.mark.parametrize('special', SPECIAL)
def test_what_is_no_regular_file_or_too_large_is_not_read(tmp_path, reader, special):
    path = str(tmp_path / 'file')
    SPECIAL[special](path)
    with pytest.raises((ValueError, OSError), match='file'):
        READERS[reader](path)


@pytest.mark.parametrize('reader', READERS)
@pytest.mark.parametrize('content', [b'', b'\xff\xfe\x00', b'PK\x03\x04' + bytes(40),
                                     b'\x89HDF\r\n'],
                         ids=['empty', 'no text', 'zip', 'hdf5'])
def test_what_is_damaged_is_named(tmp_path, reader, content):
    path = tmp_path / 'file'
    path.write_bytes(content)
    if reader == 'rules' and not content:
        return  # no rules are rules
    with pytest.raises(ValueError, match='file'):
        READERS[reader](str(path))


def test_samples_are_read_as_before(tmp_path):
    value = np.ones([3, 2], np.float32)
    np.save(str(tmp_path / 'a.npy'), value)
    np.savez(str(tmp_path / 'a.npz'), x=value)
    for name in ('a.npy', 'a.npz'):
        found, = READERS['samples'](str(tmp_path / name))
        np.testing.assert_array_equal(found, value)


class Parser:
    prog = 'tool.py'

    def __init__(self, **values):
        self.values = values

    def parse_args(self, argv):
        return type('Args', (), self.values)


@pytest.mark.parametrize('error, status, line', [
    (tf.errors.ResourceExhaustedError(None, None, 'out.ckpt; No space left on device\n\t [[node x]]'
                                                  '\n\nOriginal stack trace\n  File'), 1,
     'tool.py: error: TensorFlow: out.ckpt; No space left on device'),
    (tf.errors.InternalError(None, None, 'a\x1b[31m'), 1, r'tool.py: error: TensorFlow: a\x1b[31m'),
    (ValueError('two\nlines'), 2, 'tool.py: error: two lines'),
    (MemoryError(), 1, 'tool.py: error: MemoryError'),
    (KeyboardInterrupt(), 130, 'tool.py: interrupted')])
def test_an_error_is_one_line(capsys, error, status, line):
    def function(args):
        raise error
    assert running.run(Parser(), function, []) == status
    assert capsys.readouterr().err == line + '\n'


@pytest.mark.parametrize('kind, status', [(ValueError, 2), (RuntimeError, 1)])
@pytest.mark.parametrize('message', ['it has no node x', '{} holds no graph'])
def test_an_error_of_a_conversion_names_its_source_once(
        tmp_path, capsys, monkeypatch, kind, status, message):
    source = str(tmp_path / 'graph.pb')

    def call(*args):
        raise kind(message.format(source))
    monkeypatch.setattr(containment, 'call', call)
    assert convert.main([source, str(tmp_path / 'out')]) == status
    assert capsys.readouterr().err.endswith(': error: {}\n'.format(
        '{} holds no graph'.format(source) if '{}' in message else source + ': ' + message))


def test_groups_that_hold_themselves_are_no_keras_file(tmp_path):
    path = str(tmp_path / 'model.h5')
    with h5py.File(path, 'w') as file:
        group = file.create_group('group')
        group['again'] = group
    with pytest.raises(ValueError, match=r'model\.h5 cannot be read as HDF5: .*recursion'):
        hdf5.read(path)


@pytest.mark.parametrize('name', ['run_dir', 'out_dir', 'checkpoint_dir', 'source', 'old', 'new'])
def test_an_empty_path_is_refused_first(capsys, name):
    assert running.run(Parser(**{name: ''}), lambda args: 0, []) == 2
    assert '{} must be a path'.format(name.upper()) in capsys.readouterr().err
    assert running.run(Parser(**{name: 'x'}), lambda args: 0, []) == 0


def test_reading_says_which_file(tmp_path):
    Path(str(tmp_path / 'a.json')).write_text('[' * 10 ** 5)
    with pytest.raises(ValueError, match=r'a\.json: is nested too deep'):
        read_json(str(tmp_path / 'a.json'))
