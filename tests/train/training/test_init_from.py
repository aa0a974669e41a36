"""Runs that begin with the weights of a checkpoint. At a rate of 1e-30 only averages move."""
import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1.checkpoint_import import writing
from ash_tf1.ops import get_activation
from ash_tf1.tasks import TASKS
from ash_tf1.tasks.classification.net import build_classifier, pixels_placeholder
from ash_tf1.training import loop
from ash_tf1.training.initial_weights import find_initial_weights
from ash_tf1.training.run_dir import MODEL_FILE, load_model, save_model
from ash_tf1.training.settings import Settings
from tests.train.miniature import read_weights, tiny_settings, train_quietly

TASK = TASKS['classification']

LAYERS = ['block1/unit_1/preact', 'block1/unit_1/conv1', 'postnorm']
STILL = dict(learning_rate=1e-30, weight_decay=0.0, epochs=0, steps=1)


@pytest.fixture
def spec(tiny, tiny_run):
    return load_model(str(tiny_run))[1]


@pytest.fixture
def found(spec):
    """Function (path, exclude=(), **changes of the spec): the `InitialWeights` of a new net."""
    def find(path, exclude=(), **changes):
        changed = dataclasses.replace(spec, **changes)
        with tf.Graph().as_default():
            build_classifier(pixels_placeholder(changed), changed,
                             get_activation(changed.activation), is_training=True)
            return find_initial_weights(str(path), tf.global_variables(),
                                        TASK, changed, exclude)
    return find


@pytest.fixture
def rewritten(tiny_run, tmp_path):
    """Function (*scopes, without=()): the run's net below each scope, without some endings."""
    def write(*scopes, without=()):
        values = {}
        for name, value in read_weights(tiny_run / 'model.ckpt-15').items():
            if name.startswith('tiny/') and not name.endswith(tuple(without)):
                for scope in scopes:
                    values[scope + name[len('tiny' if scope else 'tiny/'):]] = (value, value.dtype)
        writing.write_checkpoint(str(tmp_path / 'other' / 'm.ckpt'), values)
        return tmp_path / 'other'
    return write


def trained(name):
    return not ('Momentum' in name or 'moving' in name or name == 'global_step')


def test_a_run_begins_with_the_weights_of_another(tiny, tiny_run, tmp_path):
    initial = str(tiny_run / 'model.ckpt-15')
    train_quietly(tiny_settings(init_from=initial, **STILL), tmp_path / 'run')
    before, after = read_weights(initial), read_weights(tmp_path / 'run' / 'model.ckpt-1')
    for name in filter(trained, after):
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)
    assert after['global_step'] == 1


def test_a_run_begins_with_weights_of_another_scope_activation_and_number_of_classes(
        tiny, tiny_run, rewritten, tmp_path):
    lines = []
    folder = rewritten('theirs', without=['z_k', 'alpha'])
    loop.train(tiny_settings(init_from=str(folder), init_exclude=('logits',), **STILL),
                   str(tmp_path / 'run'), progress=False, report=lines.append)
    assert lines[1] == (
        '15 variables begin with those of {}, scope theirs; 6 that only the activation has '
        '(alpha, z_k) with their initial values; 2 anew (logits)'.format(folder / 'm.ckpt'))
    before = read_weights(tiny_run / 'model.ckpt-15')
    after = read_weights(tmp_path / 'run' / 'model.ckpt-1')
    for name in filter(trained, after):
        if name.endswith(('z_k', 'alpha')):
            assert after[name] == np.float32(1e-3 if name.endswith('z_k') else 1.0)
        elif 'logits' in name:
            assert np.abs(after[name] - before[name]).max() > 1e-3
        else:
            np.testing.assert_array_equal(after[name], before[name], err_msg=name)


@pytest.mark.parametrize('scope', ['tiny', 'theirs', 'model/net', ''])
def test_the_one_scope_that_has_the_names_is_found(found, rewritten, scope):
    initial = found(rewritten(scope))
    assert initial.scope == scope
    assert {name: variable.op.name for name, variable in initial.sources.items()} == {
        (scope + name[4:]).lstrip('/'): name for name in (
            variable.op.name for variable in initial.sources.values())}
    assert len(initial.sources) == 23 and not initial.filled and not initial.excluded


def test_of_several_scopes_the_model_files_or_the_own_is_taken(found, rewritten, spec):
    folder = rewritten('a', 'b', without=['z_k'])
    with pytest.raises(ValueError, match=r'in each of the scopes a, b: .* `drop a/\.\+`'):
        found(folder)
    save_model(str(folder), TASK, dataclasses.replace(spec, scope='b'))
    assert found(folder).scope == 'b'
    (folder / MODEL_FILE).unlink()
    assert found(rewritten('a', 'tiny', without=['z_k'])).scope == 'tiny'


def test_what_only_the_activation_has_may_be_missing(found, tiny_run, rewritten):
    initial = found(tiny_run / 'model.ckpt-15', activation='swish_beta')
    assert initial.filled == [layer + '/beta' for layer in LAYERS]
    assert found(rewritten('a', without=['unit_1/conv1/z_k'])).filled == [
        'block1/unit_1/conv1/z_k']
    assert not found(tiny_run, activation='relu').filled


@pytest.mark.parametrize('patterns, excluded', [
    (['logits'], ['logits/weights', 'logits/biases']), (['logits/b.*'], ['logits/biases']),
    (['.*/conv[12]/weights'], ['block1/unit_1/conv1/weights', 'block1/unit_1/conv2/weights']),
    (['conv1', 'logits/biases'], ['conv1/weights', 'logits/biases'])])
def test_an_expression_is_for_a_whole_scope_or_name(found, tiny_run, patterns, excluded):
    assert sorted(found(tiny_run, patterns).excluded) == sorted(excluded)


@pytest.mark.parametrize('path, exclude, changes, message', [
    ('nowhere/model.ckpt', (), {}, 'no checkpoint at nowhere/model.ckpt'),
    ('RUN', (), dict(net='tiny_deeper'),
     r'no variable tiny/block1/unit_2.* and 5 more, and no scope of it has more of them than tiny; '
     r'give --init-exclude block1/unit_2/preact/BatchNorm block1/unit_2/conv1 \S+/conv2 to begin'),
    ('RUN', (), dict(labels=('a', 'b')),
     r'tiny/logits/weights is \[16, 3\] there, \[16, 2\] here, .* give --init-exclude logits to'),
    ('RUN', ('logit',), {}, "init_exclude 'logit' matches no variable of tiny: .*, logits, post"),
    ('RUN', ('.*',), {}, 'leaves no variable'),
    ('OTHER', (), {}, 'no scope of it has a variable conv1/weights, .* are below x')])
def test_what_does_not_fit_is_named(found, tiny_run, tmp_path, path, exclude, changes, message):
    writing.write_checkpoint(str(tmp_path / 'm'), {'x/y': (np.ones(2), tf.float64)})
    paths = {'RUN': tiny_run, 'OTHER': tmp_path}
    with pytest.raises(ValueError, match=message):
        found(paths.get(path, path), exclude, **changes)


def test_weights_that_were_trained_on_other_input_say_so(found, tiny_run, rewritten, spec):
    assert 'input' not in str(found(tiny_run))
    folder = rewritten('theirs')
    save_model(str(folder), TASK, dataclasses.replace(
        spec, scope='theirs', channels='BGR', channel_std=(1.0, 2.0, 0.5)))
    assert str(found(folder)).endswith(
        '; they were trained on other input: --normalization channels=BGR mean=120.0,120.0,120.0 '
        'std=1.0,2.0,0.5 gives it')


def test_a_run_may_have_another_normalization_than_its_data_set(tiny):
    spec = TASK.spec(tiny_settings(normalization=('vgg', 'std=2', 'channels=BGR')), tiny())
    assert spec == dataclasses.replace(
        TASK.spec(tiny_settings(), tiny()), channel_mean=(123.68, 116.78, 103.94),
        channel_std=(2.0, 2.0, 2.0), channels='BGR')
    with pytest.raises(ValueError, match="got 'imagenet'"):
        tiny_settings(normalization=('imagenet',))


def test_weights_that_do_not_fit_leave_no_trace(tiny, tiny_run, tmp_path):
    with pytest.raises(ValueError, match='no variable tiny/block1/unit_2'):
        train_quietly(tiny_settings(init_from=str(tiny_run), net='tiny_deeper'), tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('damage', [
    lambda data: data[:2000], lambda data: data[:2000] + bytes(len(data) - 2000)],
    ids=['cut', 'zeros'])
def test_weights_that_cannot_be_read_leave_no_trace(tiny, tiny_run, tmp_path, damage):
    shutil.copytree(str(tiny_run), str(tmp_path / 'cut'))
    data = tmp_path / 'cut' / 'model.ckpt-15.data-00000-of-00001'
    data.write_bytes(damage(data.read_bytes()))
    with pytest.raises(ValueError, match='model.ckpt-15'):
        train_quietly(tiny_settings(init_from=str(tmp_path / 'cut')), tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('given, message', [
    (dict(init_exclude=('(',), init_from='x'), r"init_exclude takes regular expressions, got '\('"),
    (dict(init_exclude=('logits',)), 'init_exclude logits needs an init_from')])
def test_settings_that_cannot_be(given, message):
    with pytest.raises(ValueError, match=message):
        Settings(**given)


def test_a_run_of_before_there_were_these_settings_goes_on(tiny, tiny_run, tmp_path):
    shutil.copytree(str(tiny_run), str(tmp_path / 'run'))
    for name, new in (('settings.json', ['init_exclude', 'normalization']),
                      ('model.json', ['scope', 'channels', 'resize', 'crop', 'interpolation'])):
        path = tmp_path / 'run' / name
        values = json.loads(path.read_text())
        path.write_text(json.dumps({key: value for key, value in values.items()
                                    if key not in new}))
    assert train_quietly(tiny_settings(), tmp_path / 'run', resume=True).step == 15
