"""Checkpoints of every format and place, from which variables are imported."""
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1 import checkpoint
from ash_tf1.checkpoint_import import import_checkpoint, writing
from tests.train.checkpoint_import.checkpoints import save
from tests.train.miniature import read_weights

pytestmark = pytest.mark.fast

FORMATS = ['v2', 'v1', 'v1 sharded']


def restored(prefix, shapes):
    """What a plain Saver restores into variables of these names: (shape, dtype)."""
    with tf.Graph().as_default(), tf.Session() as session:
        variables = {name: tf.get_variable(name, shape, dtype, tf.zeros_initializer())
                     for name, (shape, dtype) in shapes.items()}
        tf.train.Saver().restore(session, str(prefix))
        return session.run(variables)


@pytest.mark.parametrize('kind, form', [
    ('v2', '.index'), ('v2', '.data-00000-of-00001')] + [
    (kind, form) for kind in FORMATS for form in ('prefix', 'folder', '.meta')])
def test_a_checkpoint_of_any_format_is_imported(tmp_path, to_new, kind, form, small):
    old = save(tmp_path / 'old' / 'm.ckpt', small, kind, meta=True)
    path = {'prefix': old, 'folder': os.path.dirname(old)}.get(form, old + form)
    new = tmp_path / 'new' / 'm.ckpt'
    report = import_checkpoint(path, str(new), to_new)
    assert checkpoint.find_checkpoint(str(tmp_path / 'new')) == str(new)
    assert sorted(os.listdir(str(tmp_path / 'new'))) == [
        'checkpoint', 'm.ckpt.data-00000-of-00001', 'm.ckpt.index']
    expected = {name.replace('old', 'new'): value for name, value in small.items()}
    actual = restored(new, {name: (value.shape, value.dtype) for name, value in expected.items()})
    assert sorted(read_weights(new)) == sorted(expected)
    for name, value in expected.items():
        assert actual[name].dtype == value.dtype
        np.testing.assert_array_equal(actual[name], value)
    assert report.imported == [(name, name.replace('old', 'new')) for name in sorted(small)]
    assert not report.checked


@pytest.mark.parametrize('kind', FORMATS)
def test_a_folder_may_name_a_path_of_another_machine(tmp_path, kind, small):
    prefix = save(tmp_path / 'old' / 'm.ckpt', small, kind)
    state = tmp_path / 'old' / 'checkpoint'
    state.write_text(state.read_text().replace('"m.ckpt', '"/home/somebody/run/m.ckpt'))
    found = checkpoint.find_checkpoint(str(tmp_path / 'old'), v1=True)
    assert found == checkpoint.find_checkpoint(prefix, v1=True)
    assert checkpoint.list_variables(found).keys() == small.keys()


def test_a_v1_checkpoint_may_be_named_like_a_data_file(tmp_path, small):
    prefix = save(tmp_path / 'm.data', small, 'v1 sharded')
    found = checkpoint.find_checkpoint(prefix + '-00000-of-00002', v1=True)
    assert checkpoint.list_variables(found).keys() == small.keys()


@pytest.mark.parametrize('spelling', ['-00001-of-00002', '-?????-of-00002'])
def test_a_sharded_checkpoint_is_found_by_a_file_or_pattern(tmp_path, spelling, small):
    prefix = save(tmp_path / 'm.ckpt-7', small, 'v1 sharded')
    (tmp_path / 'm.ckpt-7-00000-of-00005').write_bytes(b'of another checkpoint')
    found = checkpoint.find_checkpoint(prefix + spelling, v1=True)
    assert checkpoint.list_variables(found).keys() == small.keys()
    assert len(checkpoint.checkpoint_files(found)) == 2


@pytest.mark.parametrize('kind', FORMATS)
def test_variables_in_parts_are_imported_whole(tmp_path, to_new, kind):
    with tf.Graph().as_default(), tf.Session() as session:
        with tf.variable_scope('old'):
            variable = tf.get_variable('a', [10, 4], partitioner=tf.fixed_size_partitioner(3))
        session.run(tf.global_variables_initializer())
        expected = session.run(variable.as_tensor())
        version = tf.train.SaverDef.V2 if kind == 'v2' else tf.train.SaverDef.V1
        saver = tf.train.Saver(sharded='sharded' in kind, write_version=version)
        prefix = saver.save(session, str(tmp_path / 'old.ckpt'))
    new = tmp_path / 'new.ckpt'
    import_checkpoint(prefix, str(new), to_new)
    np.testing.assert_array_equal(read_weights(new)['new/a'], expected)


def test_strings_are_imported(tmp_path, to_new):
    values = {'old/one': (b'ends in zeros\0\0', tf.string),
              'old/many': (np.array([b'a', b'\0', b''], object), tf.string)}
    writing.write_checkpoint(str(tmp_path / 'old.ckpt'), values)
    import_checkpoint(str(tmp_path / 'old.ckpt'), str(tmp_path / 'new.ckpt'), to_new)
    actual = read_weights(tmp_path / 'new.ckpt')
    assert actual['new/one'] == b'ends in zeros\0\0'
    assert actual['new/many'].tolist() == [b'a', b'\0', b'']


@pytest.mark.parametrize('kind', ['v1', 'v1 sharded'])  # TensorFlow reads no V2 from there
def test_a_v1_checkpoint_may_be_in_a_folder_named_like_a_pattern(tmp_path, to_new, kind, small):
    old = save(tmp_path / 'old' / 'm.ckpt', small, kind)
    os.rename(os.path.dirname(old), str(tmp_path / 'o[ab]*?'))
    import_checkpoint(str(tmp_path / 'o[ab]*?' / 'm.ckpt'), str(tmp_path / 'new.ckpt'), to_new)
    assert len(read_weights(tmp_path / 'new.ckpt')) == len(small)


@pytest.mark.parametrize('kind', ['v1', 'v1 sharded'])
def test_a_v1_checkpoint_is_refused_where_only_v2_will_do(tmp_path, kind, small):
    prefix = save(tmp_path / 'm.ckpt', small, kind)
    with pytest.raises(ValueError, match='m.ckpt is of the old format V1; .*import_checkpoint.py'):
        checkpoint.find_checkpoint(prefix)


def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 4
    path.write_bytes(bytes(content))


@pytest.mark.parametrize('kind, file_name, damage, message', [
    ('v2', 'm.ckpt.data-00000-of-00001', lambda path: path.unlink(), 'has lost its .data file'),
    ('v2', 'm.ckpt.data-00000-of-00001', lambda path: cut(path, -1), 'm.ckpt is damaged at old/z'),
    ('v2', 'm.ckpt.data-00000-of-00001', lambda path: cut(path, 100), 'damaged: it claims 300011 '),
    ('v2', 'm.ckpt.data-00000-of-00001', lambda path: flip(path, 99), 'damaged at old/aa'),
    ('v2', 'm.ckpt.index', lambda path: path.unlink(), 'm.ckpt has lost its .index file'),
    ('v2', 'm.ckpt.index', lambda path: cut(path, -1), 'm.ckpt cannot be read as a checkpoint'),
    ('v2', 'm.ckpt.index', lambda path: path.write_bytes(b''), 'm.ckpt cannot be read'),
    ('v1', 'm.ckpt', lambda path: path.unlink(), 'no checkpoint at .*m.ckpt'),
    ('v1', 'm.ckpt', lambda path: cut(path, -1), 'no checkpoint at .*m.ckpt: .* cut short'),
    ('v1', 'm.ckpt', lambda path: path.write_bytes(b''), 'no checkpoint at .*m.ckpt: '),
    ('v1', 'm.ckpt', lambda path: path.write_text('x'), 'no checkpoint at .*m.ckpt: .* another'),
    ('v1', 'm.ckpt', lambda path: flip(path, 700000), 'm.ckpt is damaged at old/z'),
    ('v1', 'm.ckpt', lambda path: flip(path, -60), 'm.ckpt cannot be read as a checkpoint'),
    ('v1 sharded', 'm.ckpt-00000-of-00002', lambda path: path.unlink(),
     'm.ckpt has lost its file m.ckpt-00000-of-00002'),
    ('v1 sharded', 'm.ckpt-00001-of-00002', lambda path: path.unlink(),
     'm.ckpt has lost its file m.ckpt-00001-of-00002'),
    ('v1 sharded', 'm.ckpt-00001-of-00002', lambda path: cut(path, -1),
     'm.ckpt is damaged: m.ckpt-00001-of-00002'),
    ('v1 sharded', 'm.ckpt-00001-of-00003', lambda path: path.write_bytes(b''),
     'm.ckpt-.* of several checkpoints, of 2 and 3 files'),
])
def test_what_is_damaged_is_refused_and_nothing_written(tmp_path, to_new, kind, file_name, damage,
                                                        message, small):
    values = dict(small, **{'old/aa': np.ones(100, np.float32),
                            'old/z': np.ones(299900, np.float32)})
    old = save(tmp_path / 'old' / 'm.ckpt', values, kind)
    damage(tmp_path / 'old' / file_name)
    with pytest.raises(ValueError, match=message):
        import_checkpoint(old, str(tmp_path / 'new' / 'm.ckpt'), to_new)
    assert not (tmp_path / 'new').exists()
