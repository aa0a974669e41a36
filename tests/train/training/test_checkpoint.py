"""Finding, reading and restoring checkpoints: by any of their names, moved or damaged."""
import dataclasses
import os
import re
import shutil

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1 import checkpoint
from ash_tf1.ops import get_activation
from ash_tf1.tasks.classification.net import build_classifier, pixels_placeholder
from ash_tf1.training.run_dir import load_model

pytestmark = pytest.mark.fast

DATA, INDEX = '.data-00000-of-00001', '.index'


def variables(**shapes):
    return {name: tf.get_variable(name, shape, initializer=tf.ones_initializer())
            for name, shape in sorted(shapes.items())}


@pytest.fixture
def saved(tmp_path):
    """Prefix of a checkpoint of twos: a [2, 3] and b [100], in the folder 'saved'."""
    with tf.Graph().as_default(), tf.Session() as session:
        made = variables(a=[2, 3], b=[100])
        session.run([v.assign(2.0 * tf.ones(v.shape)) for v in made.values()])
        (tmp_path / 'saved').mkdir()
        return tf.train.Saver(save_relative_paths=True).save(
            session, str(tmp_path / 'saved' / 'model.ckpt'), global_step=5)


def restore(prefix, **shapes):
    """Restores into ones of the given shapes; returns what they hold then, also after an error."""
    with tf.Graph().as_default(), tf.Session() as session:
        made = variables(**shapes)
        session.run(tf.global_variables_initializer())
        error = None
        try:
            checkpoint.restore(session, prefix)
        except ValueError as caught:
            error = caught
        return session.run(made), error


def replace(path, content):
    with open(path, 'wb') as handle:
        handle.write(content)


def read(path):
    with open(path, 'rb') as handle:
        return handle.read()


@pytest.mark.parametrize('ending', ['', INDEX, '.meta', DATA, '.data-00003-of-00017', '/..'])
def test_a_checkpoint_is_found_by_its_folder_prefix_or_files(saved, ending):
    path = os.path.dirname(saved) if ending == '/..' else saved + ending
    assert checkpoint.find_checkpoint(path) == saved


def test_a_moved_folder_is_still_found(saved, tmp_path):
    os.rename(os.path.dirname(saved), str(tmp_path / 'moved'))
    assert checkpoint.find_checkpoint(str(tmp_path / 'moved')) == str(
        tmp_path / 'moved' / 'model.ckpt-5')


def name_as_latest(folder, *paths):
    """Writes a file `checkpoint` with paths, the last of them as the latest."""
    lines = ['model_checkpoint_path: "{}"'.format(paths[-1])]
    lines += ['all_model_checkpoint_paths: "{}"'.format(path) for path in paths]
    replace(os.path.join(str(folder), 'checkpoint'), '\n'.join(lines + ['']).encode())


def test_a_folder_that_names_a_path_of_another_machine_has_it_beside(saved):
    folder = os.path.dirname(saved)
    name_as_latest(folder, '/home/somebody/run/model.ckpt-5')
    assert checkpoint.find_checkpoint(folder) == saved


def test_a_path_that_exists_goes_before_the_one_beside(saved, tmp_path):
    copy = tmp_path / 'copy'
    shutil.copytree(os.path.dirname(saved), str(copy))
    name_as_latest(copy, saved)
    assert checkpoint.find_checkpoint(str(copy)) == saved


@pytest.mark.parametrize('named', ['/home/somebody/run/model.ckpt-6', '/nowhere/../saved/..',
                                   '/nowhere/', '/nowhere/sub/model.ckpt-4'])
def test_a_path_that_is_nowhere_is_named(saved, tmp_path, named):
    sub = tmp_path / 'saved' / 'sub'  # nothing but the last part of a path is looked for
    sub.mkdir()
    for ending in (INDEX, DATA):
        shutil.copy(saved + ending, str(sub / 'model.ckpt-4') + ending)
    name_as_latest(tmp_path / 'saved', named)
    with pytest.raises(ValueError, match='no checkpoint in folder .*saved: .*' + re.escape(named)):
        checkpoint.find_checkpoint(str(tmp_path / 'saved'))


def test_the_checkpoints_that_a_folder_lists_are_those_in_it(saved, tmp_path):
    folder = os.path.dirname(saved)
    assert checkpoint.listed_checkpoints(folder) == [saved]
    for ending in (INDEX, DATA):
        shutil.copy(saved + ending, os.path.join(folder, 'model.ckpt-4' + ending))
    name_as_latest(folder, '/gone/model.ckpt-4', '/gone/model.ckpt-6', '/gone/model.ckpt-5')
    assert checkpoint.listed_checkpoints(folder) == [os.path.join(folder, 'model.ckpt-4'), saved]
    # Who removes what a copied folder lists must not remove the original.
    shutil.copytree(folder, str(tmp_path / 'copy'))
    name_as_latest(tmp_path / 'copy', saved)
    assert checkpoint.listed_checkpoints(str(tmp_path / 'copy')) == [
        str(tmp_path / 'copy' / 'model.ckpt-5')]


@pytest.mark.parametrize('content', [None, b'', b'model', b'\xff\xfe'])
def test_a_folder_without_a_whole_state_file_lists_none(saved, content):
    state = os.path.join(os.path.dirname(saved), 'checkpoint')
    os.remove(state) if content is None else replace(state, content)
    assert checkpoint.listed_checkpoints(os.path.dirname(saved)) == []


@pytest.mark.parametrize('path, message', [
    ('nowhere', 'no checkpoint at .*nowhere'),
    ('empty', 'no checkpoint in folder .*empty'),
    ('saved/model.ckpt-6', 'no checkpoint at .*model.ckpt-6'),
    ('saved/model.ckpt', 'no checkpoint at .*model.ckpt$'),
    ('notes.txt', 'no checkpoint at .*notes.txt'),
])
def test_where_there_is_none_the_path_is_named(saved, tmp_path, path, message):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'notes.txt').write_text('no checkpoint')
    with pytest.raises(ValueError, match=message):
        checkpoint.find_checkpoint(str(tmp_path / path))


@pytest.mark.parametrize('content', [b'', b'model', b'model_checkpoint_path: "gone"\n',
                                     b'\xff\xfe\x80'], ids=['empty', 'cut', 'gone', 'bytes'])
def test_a_state_file_that_leads_nowhere_names_the_folder(saved, content):
    replace(os.path.join(os.path.dirname(saved), 'checkpoint'), content)
    with pytest.raises(ValueError, match='no checkpoint in folder .*saved'):
        checkpoint.find_checkpoint(os.path.dirname(saved))


@pytest.mark.parametrize('lost, message', [(INDEX, 'lost its .index file'),
                                           (DATA, 'lost its .data file')])
@pytest.mark.parametrize('ending', ['', INDEX, DATA])
def test_a_file_of_a_checkpoint_that_is_missing_is_named(saved, ending, lost, message):
    os.remove(saved + lost)
    with pytest.raises(ValueError, match='the checkpoint at .*model.ckpt-5 has ' + message):
        checkpoint.find_checkpoint(saved + ending)


def test_restoring_sets_the_variables(saved):
    values, error = restore(saved, a=[2, 3], b=[100])
    assert error is None
    np.testing.assert_array_equal(values['a'], np.full((2, 3), 2.0))
    np.testing.assert_array_equal(values['b'], np.full(100, 2.0))


def test_more_variables_than_asked_for_may_be_stored(saved):
    values, error = restore(saved, b=[100])
    assert error is None
    assert values['b'][0] == 2.0


@pytest.mark.parametrize('shapes, message', [
    (dict(a=[2, 3], b=[100], c=[1]), 'no variable c'),
    (dict(a=[2, 4], b=[100]), r'a is \[2, 3\] there, \[2, 4\] here'),
    (dict(a=[3, 2], b=[100]), r'a is \[2, 3\] there, \[3, 2\] here'),
    (dict(a=[2, 3], b=[100, 1]), r'b is \[100\] there, \[100, 1\] here'),
])
def test_a_checkpoint_that_does_not_fit_restores_nothing(saved, shapes, message):
    values, error = restore(saved, **shapes)
    with pytest.raises(ValueError, match='checkpoint .*model.ckpt-5 does not fit.*' + message):
        raise error
    assert all(np.all(value == 1.0) for value in values.values())


@pytest.mark.parametrize('damage', [
    lambda content: content[:-1], lambda content: content[:8], lambda content: b'',
    lambda content: content[:-4] + b'\0\0\1\0',
], ids=['cut by one', 'cut', 'empty', 'one bit'])
def test_damaged_data_is_noticed(saved, damage):
    replace(saved + DATA, damage(read(saved + DATA)))
    _, error = restore(saved, a=[2, 3], b=[100])
    with pytest.raises(ValueError, match='checkpoint .*model.ckpt-5 is damaged'):
        raise error


def test_missing_data_is_noticed(saved):
    os.remove(saved + DATA)
    _, error = restore(saved, a=[2, 3], b=[100])
    with pytest.raises(ValueError, match='model.ckpt-5'):
        raise error


@pytest.mark.parametrize('content', [b'', b'This is no checkpoint.\n' * 10, None],
                         ids=['empty', 'text', 'cut'])
def test_a_file_that_is_no_index_is_named(saved, content):
    replace(saved + INDEX, read(saved + INDEX)[:-20] if content is None else content)
    _, error = restore(saved, a=[2, 3], b=[100])
    with pytest.raises(ValueError, match='model.ckpt-5 cannot be read as a checkpoint'):
        raise error


@pytest.mark.parametrize('change, message', [
    (dict(net='tiny_deeper'), 'no variable tiny/block1/unit_2/'),
    (dict(labels=('a', 'b', 'c', 'd')), r'tiny/logits/\w+ is \[.*3\] there, \[.*4\] here'),
    (dict(activation='prelu'), r'alpha is \[1\] there, \[16\] here'),
    (dict(activation='swish_beta'), 'no variable tiny/.*/beta'),
], ids=['net', 'classes', 'prelu', 'swish_beta'])
def test_a_checkpoint_of_another_net_is_told_by_its_variables(tiny, tiny_run, change, message):
    _, spec = load_model(str(tiny_run))
    with tf.Graph().as_default(), tf.Session() as session:
        other = dataclasses.replace(spec, **change)
        build_classifier(pixels_placeholder(other), other, get_activation(other.activation),
                         is_training=False)
        with pytest.raises(ValueError, match='does not fit the net: .*' + message):
            checkpoint.restore(session, str(tiny_run / 'model.ckpt-15'))
