"""The checkpoint that an import writes: what it replaces, and what it leaves behind on failure."""
import dataclasses
import os
import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1 import checkpoint
from ash_tf1.checkpoint_import import import_checkpoint, writing
from ash_tf1.preprocessing import parse
from ash_tf1.tasks import TASKS
from ash_tf1.tasks.classification.spec import ClassifierSpec
from ash_tf1.training.run_dir import load_model
from tests.train.checkpoint_import.checkpoints import save
from tests.train.miniature import contents, read_weights

TASK = TASKS['classification']
SPEC = ClassifierSpec('tiny', 'relu', '', (8, 8, 3), (0.0,) * 3, (1.0,) * 3, ('a',), 0)
FORMATS = ['v2', 'v1', 'v1 sharded']


@pytest.fixture
def existing(tmp_path):
    """A folder with an older checkpoint and, as the latest, one of the name that is imported to."""
    folder = tmp_path / 'new'
    for name in ('first.ckpt', 'm.ckpt'):
        save(folder / name, {'x': np.ones(3)}, meta=True)
    (folder / 'm.ckpt.data-00001-of-00002').write_bytes(b'of an even older one')
    (folder / 'm.ckpt-notes').write_text('not of the checkpoint')
    tf.train.update_checkpoint_state(str(folder), 'm.ckpt', ['first.ckpt', 'm.ckpt'])
    return folder


@pytest.mark.parametrize('name', ['m.ckpt', 'm.ckpt.index', 'm.ckpt-00000-of-00002'])
def test_nothing_is_overwritten_unasked(tmp_path, to_new, name, small):
    old = save(tmp_path / 'old' / 'm.ckpt', small)
    (tmp_path / 'new').mkdir()
    (tmp_path / 'new' / name).write_text('of a checkpoint')
    before = contents(tmp_path / 'new')
    with pytest.raises(ValueError, match='there is a checkpoint at .*m.ckpt .*--overwrite'):
        import_checkpoint(old, str(tmp_path / 'new' / 'm.ckpt'), to_new)
    assert contents(tmp_path / 'new') == before


def test_a_checkpoint_is_replaced_on_request(tmp_path, to_new, existing, small):
    old = save(tmp_path / 'old' / 'm.ckpt', small)
    import_checkpoint(old, str(existing / 'm.ckpt'), to_new, overwrite=True)
    assert sorted(read_weights(existing / 'm.ckpt')) == ['new/a', 'new/b', 'new/c', 'new/d']
    assert sorted(os.listdir(str(existing))) == [
        'checkpoint', 'first.ckpt.data-00000-of-00001', 'first.ckpt.index', 'first.ckpt.meta',
        'm.ckpt-notes', 'm.ckpt.data-00000-of-00001', 'm.ckpt.index']
    state = tf.train.get_checkpoint_state(str(existing))
    assert [os.path.basename(path) for path in state.all_model_checkpoint_paths] == [
        'first.ckpt', 'm.ckpt']


def test_the_new_checkpoint_becomes_the_latest(tmp_path, to_new, existing, small):
    old = save(tmp_path / 'old' / 'm.ckpt', small)
    import_checkpoint(old, str(existing / 'later.ckpt'), to_new)
    assert checkpoint.find_checkpoint(str(existing)) == str(existing / 'later.ckpt')
    state = tf.train.get_checkpoint_state(str(existing))
    assert [os.path.basename(path) for path in state.all_model_checkpoint_paths] == [
        'first.ckpt', 'm.ckpt', 'later.ckpt']


def test_a_moved_folder_lists_what_is_in_it(tmp_path, to_new, existing, small):
    old = save(tmp_path / 'old' / 'm.ckpt', small)
    (existing / 'checkpoint').write_text('model_checkpoint_path: "/gone/m.ckpt"\n' + ''.join(
        'all_model_checkpoint_paths: "/gone/%s.ckpt"\n' % name for name in ('lost', 'm')))
    import_checkpoint(old, str(existing / 'later.ckpt'), to_new)
    state = tf.train.get_checkpoint_state(str(existing))
    assert list(state.all_model_checkpoint_paths) == [
        str(existing / 'm.ckpt'), str(existing / 'later.ckpt')]


@pytest.mark.parametrize('content', [b'', b'\xff\xfe', b'model'])
def test_a_damaged_state_file_is_replaced(tmp_path, to_new, existing, content, small):
    old = save(tmp_path / 'old' / 'm.ckpt', small)
    (existing / 'checkpoint').write_bytes(content)
    import_checkpoint(old, str(existing / 'later.ckpt'), to_new)
    assert checkpoint.find_checkpoint(str(existing)) == str(existing / 'later.ckpt')


@pytest.mark.parametrize('kind', FORMATS)
def test_a_checkpoint_never_replaces_itself(tmp_path, to_new, kind, small):
    old = save(tmp_path / 'm.ckpt', small, kind)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match='m.ckpt is the checkpoint to import'):
        import_checkpoint(old, str(tmp_path / '.' / 'm.ckpt'), to_new, overwrite=True)
    assert contents(tmp_path) == before


@pytest.mark.parametrize('new', ['folder', 'folder/'])
def test_a_folder_is_no_prefix(tmp_path, to_new, new, small):
    old = save(tmp_path / 'm.ckpt', small)
    (tmp_path / 'folder').mkdir()
    with pytest.raises(ValueError, match='folder/? is a folder: .*folder/model.ckpt'):
        import_checkpoint(old, str(tmp_path) + '/' + new, to_new)


@pytest.fixture
def labelled(tiny_target):
    """The miniature net as a model of three classes, the first two of one name."""
    return labelled_as(tiny_target, 'crane', 'crane', 'D\xfcne')


def labelled_as(target, *labels):
    caffe = parse(['caffe'])
    return target._replace(described=True, spec=dataclasses.replace(
        target.spec, labels=labels, channels='BGR', channel_mean=caffe.mean, crop=caffe.crop,
        interpolation=caffe.interpolation))


def test_a_model_file_is_written_beside_the_checkpoint(tmp_path, old_tiny, labelled):
    new = tmp_path / 'new' / 'm.ckpt'
    import_checkpoint(old_tiny(), None, old_tiny.rules, labelled, dry_run=True)
    assert not new.parent.exists()
    import_checkpoint(old_tiny(), str(new), old_tiny.rules, labelled)
    assert load_model(str(new.parent)) == (TASK, ClassifierSpec(
        net='tiny', activation='relu', dataset='', input_shape=(8, 8, 3),
        channel_mean=(103.939, 116.779, 123.68), channel_std=(1.0, 1.0, 1.0),
        labels=('crane', 'crane', 'D\xfcne'), training_images=0, channels='BGR', crop=0.875,
        interpolation='bilinear'))


def test_another_model_file_is_replaced_only_on_request(tmp_path, old_tiny, labelled):
    folder = tmp_path / 'new'
    other = labelled_as(labelled, 'a', 'b', 'c')
    import_checkpoint(old_tiny(), str(folder / 'm.ckpt'), old_tiny.rules, labelled)
    before = contents(folder)
    with pytest.raises(ValueError, match='new/model.json describes another net: .*--overwrite'):
        import_checkpoint(old_tiny(), str(folder / 'later.ckpt'), old_tiny.rules, other)
    assert contents(folder) == before
    import_checkpoint(old_tiny(), str(folder / 'later.ckpt'), old_tiny.rules, labelled)
    import_checkpoint(old_tiny(), str(folder / 'm.ckpt'), old_tiny.rules, other, overwrite=True)
    assert load_model(str(folder)) == (TASK, other.spec)


@pytest.mark.parametrize('described', [True, False])
def test_the_folder_of_a_run_is_left_alone(tmp_path, tiny_run, old_tiny, labelled, described):
    for name in ('model.json', 'settings.json'):
        (tmp_path / name).write_bytes((tiny_run / name).read_bytes())
    with pytest.raises(ValueError, match='is the folder of a training run'):
        import_checkpoint(old_tiny(), str(tmp_path / 'm.ckpt'), old_tiny.rules,
                          labelled if described else None, overwrite=True)


def fail(*args, **kwargs):
    raise RuntimeError('the disk is gone')


def rename_fails_at(count):
    rename, calls = os.rename, []

    def failing(source, destination):
        calls.append(source)
        if len(calls) == count:
            fail()
        rename(source, destination)
    return failing


@pytest.mark.parametrize('target, name, replacement', [
    (tf.train, 'update_checkpoint_state', fail),
    (writing, '_save', fail),
    (tf.raw_ops, 'SaveV2', fail),
] + [(os, 'rename', i) for i in (1, 3, 5, 8)])
@pytest.mark.parametrize('fresh', [False, True], ids=['over an old one', 'fresh'])
def test_after_a_failure_all_is_as_before(existing, monkeypatch, target, name, replacement, fresh):
    (existing / 'model.json').write_text('of another net')
    before = contents(existing)
    if name == 'rename':
        replacement = rename_fails_at(min(replacement, 4) if fresh else replacement)
    monkeypatch.setattr(target, name, replacement)
    new = str(existing / ('fresh.ckpt' if fresh else 'm.ckpt'))
    with pytest.raises(RuntimeError, match='the disk is gone'):
        writing.write_checkpoint(new, {'x': (np.ones(2), tf.float64)}, (TASK, SPEC))
    assert contents(existing) == before
    assert not list(existing.glob('.partial-*'))


@pytest.mark.parametrize('name', ['i[1]/m', 'm\\k', 'a*', 'what?/m.ckpt'])
def test_a_name_that_nothing_reads_is_not_written(tmp_path, to_new, small, name):
    old = save(tmp_path / 'old' / 'm.ckpt', small)
    with pytest.raises(ValueError, match='it restores nothing from .*' + re.escape(name)):
        import_checkpoint(old, str(tmp_path / 'new' / name), to_new)
    assert not (tmp_path / 'new').exists()


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('dtype', [np.float32, np.float64, np.float16])
def test_weights_that_are_no_numbers_are_not_imported(tmp_path, to_new, small, value, dtype):
    small = dict(small)
    name = sorted(small)[0]
    small[name] = small[name].astype(dtype)
    small[name].flat[-1] = value
    old = save(tmp_path / 'old' / 'm.ckpt', small)
    with pytest.raises(ValueError, match='cannot be imported: {} holds NaN or infinity'.format(
            name)):
        import_checkpoint(old, str(tmp_path / 'new' / 'm.ckpt'), to_new)
    assert not (tmp_path / 'new').exists()
