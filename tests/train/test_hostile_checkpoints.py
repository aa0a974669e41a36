"""Checkpoints whose files are damaged, or no files at all: an error, and the process goes on."""
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1 import checkpoint, checkpoint_reading
from ash_tf1.checkpoint_import import writing
from tests.hostile import tables
from tests.hostile.old_checkpoint_cases import PARTS, VALUES, originals

PREFIX = str(Path(__file__).resolve().parents[2] / (
    'checkpoints/resnet20-cifar10-ash/run/model.ckpt-2730'))
# Of the 120 first seeds, those with which TensorFlow ended the process, and some with which not.
SEEDS = (56, 57, 60, 61, 63, 66, 69, 71, 0, 1, 2, 3)


@pytest.fixture
def copy(tmp_path):
    for ending in ('.index', '.data-00000-of-00001'):
        shutil.copy(PREFIX + ending, str(tmp_path / ('m.ckpt' + ending)))
    return str(tmp_path / 'm.ckpt')


def read_all(prefix):
    prefix = checkpoint.find_checkpoint(prefix, v1=True)
    stored = checkpoint.list_variables(prefix)
    return dict(checkpoint.read_variables(prefix, stored, {name: name for name in stored}))


def test_checksums_are_those_of_tensorflow():
    data = Path(PREFIX + '.index').read_bytes()
    assert tables.with_checksums(data, tables.blocks(data)) == data
    assert tables.with_checksums(data[:100] + b'x' + data[101:], tables.blocks(data)) != data


@pytest.mark.parametrize('seed', SEEDS)
def test_an_index_with_right_checksums_ends_no_process(copy, seed):
    data = Path(copy + '.index').read_bytes()
    Path(copy + '.index').write_bytes(tables.changed(data, np.random.RandomState(seed)))
    with pytest.raises(ValueError, match=r'm\.ckpt'):
        read_all(copy)


# Seeds of a change of a V1 checkpoint with which TensorFlow ended the process that read a variable.
@pytest.mark.parametrize('kind, seeds', [
    ('one', (5, 122, 172)), pytest.param('two', (18, 60, 70), marks=pytest.mark.slow)])
def test_values_with_right_checksums_end_no_process(tmp_path, kind, seeds):
    originals(str(tmp_path))  # by a session, which starts threads that a fork leaves behind
    home = tmp_path / kind
    *_, last = sorted(os.listdir(str(home)))
    prefix = str(home / 'input')
    assert sorted(read_all(prefix)) == sorted([*VALUES, PARTS])
    for seed in seeds:
        folder = tmp_path / str(seed)
        shutil.copytree(str(home), str(folder))
        (folder / last).write_bytes(tables.changed((folder / last).read_bytes(),
                                                   np.random.RandomState(seed)))
        with pytest.raises(ValueError, match='input.* is damaged at [a-z/]+$'):
            read_all(str(folder / 'input'))


def test_what_ends_the_reader_of_a_value_ends_no_session(copy, monkeypatch):
    """Neither a read for an import, nor a restore; and no variable has changed."""
    send = checkpoint_reading._send_values

    def crash(sender, prefix, variables, whole):
        send(sender, prefix, variables[:1], whole)
        os.abort()
    monkeypatch.setattr(checkpoint_reading, '_send_values', crash)
    stored = checkpoint.list_variables(copy)
    names = [name for name in stored if name.startswith('resnet')][:3]
    values = checkpoint.read_variables(copy, stored, {name: name for name in names})
    assert next(values)[0] == names[0]
    with pytest.raises(ValueError, match='is damaged at {}$'.format(names[1])):
        next(values)
    with tf.Graph().as_default(), tf.Session() as session:
        variables = {name: tf.Variable(tf.zeros(stored[name].shape)) for name in names}
        session.run(tf.global_variables_initializer())
        with pytest.raises(ValueError, match='is damaged at {}$'.format(names[1])):
            checkpoint.restore(session, copy, variables=variables)
        assert not any(value.any() for value in session.run(list(variables.values())))
        monkeypatch.undo()
        os.utime(copy + '.index', (1, 1))
        checkpoint.restore(session, copy, variables=variables)
        for name, value in zip(names, session.run(list(variables.values()))):
            np.testing.assert_array_equal(value, dict(checkpoint.read_variables(
                copy, stored, {name: name}))[name])


@pytest.mark.parametrize('dtype', [np.float32, np.float64, np.int64, np.bool_, np.complex64,
                                   np.float16, tf.bfloat16.as_numpy_dtype])
def test_values_come_from_the_child_as_they_are(tmp_path, monkeypatch, dtype):
    monkeypatch.setattr(checkpoint_reading, '_CHUNK', 100)
    rng = np.random.RandomState(0)
    expected = {'v{}'.format(number): np.asarray(3 * rng.standard_normal(shape)).astype(dtype)
                for number, shape in enumerate([(), (7,), (0, 3), (5, 30), (2, 3, 4)])}
    writing.write_checkpoint(str(tmp_path / 'm'), {
        name: (value, tf.as_dtype(dtype)) for name, value in expected.items()})
    found = read_all(str(tmp_path / 'm'))
    assert sorted(found) == sorted(expected)
    for name, value in expected.items():
        assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape)
        assert found[name].tobytes() == value.tobytes()


def children():
    """Ids of the processes that this one has started, those that ended and wait included."""
    return Path('/proc/{0}/task/{0}/children'.format(os.getpid())).read_text().split()


def test_a_reader_that_is_not_read_to_its_end_leaves_no_process(copy):
    before = children()
    stored = checkpoint.list_variables(copy)
    values = checkpoint.read_variables(copy, stored, {name: name for name in stored})
    next(values)
    assert len(children()) == len(before) + 1
    values.close()
    assert children() == before


def test_the_child_is_asked_again_when_the_files_have_changed(copy):
    whole = read_all(copy)
    assert len(whole) > 50
    data = Path(copy + '.index').read_bytes()
    Path(copy + '.index').write_bytes(tables.changed(data, np.random.RandomState(56)))
    with pytest.raises(ValueError, match='its index is damaged'):
        read_all(copy)
    Path(copy + '.index').write_bytes(data)
    assert sorted(read_all(copy)) == sorted(whole)


def test_an_index_that_takes_for_ever_is_given_up(copy, monkeypatch):
    monkeypatch.setattr(checkpoint_reading, 'SECONDS', 0.2)
    monkeypatch.setattr(checkpoint_reading, '_send_index', lambda *args: os.read(os.pipe()[0], 1))
    with pytest.raises(ValueError, match=r'm\.ckpt .*takes more than 0\.2 seconds'):
        checkpoint.list_variables(copy)


@pytest.mark.timeout(60)
@pytest.mark.parametrize('ending', ['.index', '.data-00000-of-00001', ''])
@pytest.mark.parametrize('make', [os.mkfifo, lambda path: os.symlink('/dev/zero', path), os.mkdir],
                         ids=['pipe', 'device', 'folder'])
def test_what_is_no_regular_file_is_not_opened(copy, ending, make):
    for path in [copy + ending] if ending else [copy + '.index']:
        os.remove(path)
    make(copy + ending)
    with pytest.raises(ValueError, match='checkpoint'):
        checkpoint.find_checkpoint(copy, v1=True)


@pytest.mark.timeout(60)
@pytest.mark.parametrize('make', [
    os.mkfifo, lambda path: os.symlink('/dev/zero', path),
    lambda path: os.truncate(open(path, 'wb').name, 2 ** 40),
    lambda path: Path(path).write_bytes(b'\xff' * 99), os.mkdir],
    ids=['pipe', 'device', 'huge', 'bytes', 'folder'])
def test_neither_is_the_list_of_checkpoints(copy, make):
    folder = os.path.dirname(copy)
    make(os.path.join(folder, 'checkpoint'))
    with pytest.raises(ValueError, match='its file `checkpoint` is missing or damaged'):
        checkpoint.find_checkpoint(folder)
    assert checkpoint.listed_checkpoints(folder) == []


@pytest.mark.parametrize('name', ['i[1]', 'a*', 'what?', 'm\\k', 'a]'])
def test_a_name_that_tensorflow_takes_for_a_pattern_is_refused(copy, name):
    folder = os.path.join(os.path.dirname(copy), name)
    os.mkdir(folder)
    for ending in ('.index', '.data-00000-of-00001'):
        shutil.copy(copy + ending, os.path.join(folder, 'm.ckpt' + ending))
    with pytest.raises(ValueError, match='for a pattern: it restores nothing from'):
        checkpoint.find_checkpoint(os.path.join(folder, 'm.ckpt'))
