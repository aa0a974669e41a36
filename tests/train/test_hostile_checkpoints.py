"""Checkpoints whose files are damaged, or no files at all: an error, and the process goes on."""
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from ash_tf1 import checkpoint
from tests.hostile import tables

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
    stored = checkpoint.list_variables(checkpoint.find_checkpoint(prefix))
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
    monkeypatch.setattr(checkpoint, 'INDEX_SECONDS', 0.2)
    monkeypatch.setattr(checkpoint, '_open_reader', lambda prefix: os.read(os.pipe()[0], 1))
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
