"""A run neither takes nor removes what is of others, in its own folder or where that leads to."""
import os
import shutil

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1.checkpoint_import import writing
from ash_tf1.training import checkpoints, loop
from tests.train.miniature import contents, tiny_settings, train_quietly

pytestmark = pytest.mark.fast

SETTINGS = tiny_settings(activation='relu', epochs=1)


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    from tests.train.miniature import registered_tiny
    path = tmp_path_factory.mktemp('runs') / 'run'
    with registered_tiny():
        train_quietly(SETTINGS, path)
    return path


@pytest.fixture
def copy(finished, tmp_path):
    shutil.copytree(str(finished), str(tmp_path / 'copy'))
    return tmp_path / 'copy'


@pytest.fixture
def without_graph(monkeypatch):
    monkeypatch.setattr(loop, 'build_training_graph', lambda *args: None)


@pytest.mark.parametrize('name', ['best/model.ckpt-5.index', 'best/notes.txt', 'checkpoint',
                                  'metrics.csv', 'activations.csv', 'pictures/a.png'])
def test_a_run_is_not_begun_over_what_it_would_replace(tiny, tmp_path, without_graph, name):
    path = tmp_path / 'run' / name
    path.parent.mkdir(parents=True)
    path.write_text('of others')
    with pytest.raises(ValueError, match='run has {}, as the folder of a run, but no settings'
                       .format(name.partition('/')[0])):
        train_quietly(SETTINGS, tmp_path / 'run')
    assert contents(tmp_path) == {'run/' + name: b'of others'}


@pytest.mark.parametrize('name', ['best', 'pictures'])
def test_a_run_does_not_go_on_in_a_folder_that_a_link_leads_to(
        tiny, tmp_path, copy, without_graph, name):
    other = tmp_path / 'other'
    other.mkdir()
    for step in (3, 4):
        (other / 'model.ckpt-{}.index'.format(step)).write_text('of others')
    if (copy / name).exists():
        shutil.rmtree(str(copy / name))
    (copy / name).symlink_to(str(other))
    before = contents(tmp_path)
    with pytest.raises(ValueError, match='copy/{} is a link'.format(name)):
        train_quietly(SETTINGS, copy, resume=True)
    assert contents(tmp_path) == before


def test_the_lock_does_not_empty_what_a_link_leads_to(tiny, tmp_path, copy, without_graph):
    (tmp_path / 'thesis.txt').write_text('of others')
    (copy / '.lock').unlink()
    (copy / '.lock').symlink_to(str(tmp_path / 'thesis.txt'))
    with pytest.raises(OSError, match=r'copy/\.lock'):
        train_quietly(SETTINGS, copy, resume=True)
    assert (tmp_path / 'thesis.txt').read_text() == 'of others'


def test_a_copy_goes_on_from_its_own_checkpoint(tmp_path, finished, copy):
    """Also where its file `checkpoint` names that of the original, which is there still."""
    name = str(finished / 'model.ckpt-5')
    (copy / 'checkpoint').write_text('model_checkpoint_path: "{0}"\n'
                                     'all_model_checkpoint_paths: "{0}"\n'.format(name))
    assert checkpoints.find_latest(str(copy)) == str(copy / 'model.ckpt-5')
    for path in copy.glob('model.ckpt-5*'):
        path.unlink()
    with pytest.raises(ValueError, match='no checkpoint at .*copy/model.ckpt-5'):
        checkpoints.find_latest(str(copy))


@pytest.mark.parametrize('values, message', [
    ({}, 'has no variable global_step'), ({'global_step': np.array([5, 5])}, 'holds global_step'),
    ({'global_step': np.array(6)}, 'holds global_step 6: it was renamed'),
    ({'global_step': np.array(5.5)}, 'holds global_step 5.5')])
def test_a_checkpoint_of_another_program_is_not_gone_on_from(tmp_path, values, message):
    values = dict(values, w=np.zeros(3))
    writing.write_checkpoint(str(tmp_path / 'model.ckpt-5'), {
        name: (value, tf.as_dtype(value.dtype)) for name, value in values.items()})
    with pytest.raises(ValueError, match='model.ckpt-5 ' + message):
        checkpoints.find_latest(str(tmp_path))


@pytest.mark.parametrize('name', ['model.ckpt', 'model.ckpt-', 'model.ckpt-\u00b2', 'model.ckpt-x'])
def test_a_name_without_a_step_is_named(name):
    with pytest.raises(ValueError, match=name + ' is no checkpoint of a run'):
        checkpoints.step_of('/run/' + name)


def test_a_pipe_is_no_lock(tiny, copy, without_graph):
    (copy / '.lock').unlink()
    os.mkfifo(str(copy / '.lock'))
    before = sorted(os.listdir(str(copy)))
    with pytest.raises(ValueError, match=r'copy/\.lock: not a regular file'):
        train_quietly(SETTINGS, copy, resume=True)
    assert sorted(os.listdir(str(copy))) == before
