"""The records of a run's folder."""
import dataclasses
import json
import os

import pytest

from ash_tf1 import files
from ash_tf1.tasks import TASKS
from ash_tf1.tasks.classification.spec import ClassifierSpec
from ash_tf1.training.recipes import RECIPES, get_recipe
from ash_tf1.training.run_dir import (
    MODEL_FILE,
    SETTINGS_FILE,
    load_model,
    load_settings,
    save_model,
)
from ash_tf1.training.settings import Settings

pytestmark = pytest.mark.fast

TASK = TASKS['classification']
SPEC = ClassifierSpec(net='tiny', activation='ash', dataset='tiny', input_shape=(8, 8, 3),
                      channel_mean=(1.0, 2.5, 3.0), channel_std=(4.0, 5.0, 6.5),
                      labels=('cat', 'D\xfcn', '2'), training_images=7)
# What reads a record, the file that it reads, and what that is called.
LOADERS = [(load_settings, SETTINGS_FILE, 'settings'), (load_model, MODEL_FILE, 'model')]


def save_settings(folder, settings):
    files.write_json(str(folder / SETTINGS_FILE), dataclasses.asdict(settings))


def types(record):
    return [type(value) for value in dataclasses.astuple(record)]


@pytest.mark.parametrize('settings', [
    Settings(), Settings(step_at=(0.25,), nesterov=True, seed=7),
    Settings(net_options=('dropout_rate=0.3', 'recompute=false'), image_size=(32, 48)),
    *(get_recipe(name) for name in sorted(RECIPES))])
def test_settings_come_back_equal(tmp_path, settings):
    save_settings(tmp_path, settings)
    again = load_settings(str(tmp_path))
    assert again == settings
    assert types(again) == types(settings)


@pytest.mark.parametrize('spec', [
    SPEC, dataclasses.replace(SPEC, net_options=('dropout_rate=0.3',), scope='vgg')])
def test_a_model_comes_back_equal(tmp_path, spec):
    save_model(str(tmp_path), TASK, spec)
    task, again = load_model(str(tmp_path))
    assert (task, again) == (TASK, spec)
    assert types(again) == types(spec)


@pytest.mark.parametrize('missing', ['net_options', 'task', 'scope'])
def test_a_model_of_before_there_was_a_field_still_loads(tmp_path, missing):
    save_model(str(tmp_path), TASK, SPEC)
    values = json.loads((tmp_path / MODEL_FILE).read_text())
    del values[missing]
    (tmp_path / MODEL_FILE).write_text(json.dumps(values))
    assert load_model(str(tmp_path)) == (TASK, SPEC)


def test_settings_that_say_nothing_of_validation_held_out_nothing(tmp_path):
    save_settings(tmp_path, Settings(epochs=3))
    values = json.loads((tmp_path / SETTINGS_FILE).read_text())
    del values['validation_share'], values['task'], values['image_size']
    (tmp_path / SETTINGS_FILE).write_text(json.dumps(values))
    assert load_settings(str(tmp_path)) == Settings(epochs=3, validation_share=0.0)


def test_saving_replaces_the_whole_file_and_leaves_nothing_beside_it(tmp_path):
    save_model(str(tmp_path), TASK, dataclasses.replace(SPEC, labels=('long',) * 500))
    save_model(str(tmp_path), TASK, SPEC)
    assert load_model(str(tmp_path)) == (TASK, SPEC)
    assert [path.name for path in tmp_path.iterdir()] == [MODEL_FILE]


@pytest.mark.parametrize('load, name, what', LOADERS)
def test_a_folder_without_the_file_is_no_run(tmp_path, load, name, what):
    with pytest.raises(ValueError, match='no folder of a training run') as error:
        load(str(tmp_path))
    assert str(tmp_path) in str(error.value)
    assert name in str(error.value)


@pytest.mark.parametrize('load, name, what', LOADERS)
@pytest.mark.parametrize('content', [
    b'', b'{"net": ', b'\x80\x81\xff', b'[1, 2]', b'null', b'3', b'"net"',
    b'{"net": "tiny", "colour": "red"}', b'{"batch_size": "8"}',
], ids=['empty', 'cut', 'bytes', 'list', 'null', 'number', 'string', 'other keys', 'text number'])
def test_a_file_that_holds_something_else_is_named(tmp_path, load, name, what, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match='does not hold the {} of a run'.format(what)) as error:
        load(str(tmp_path))
    assert str(path) in str(error.value)


def test_an_impossible_setting_in_a_file_is_named_with_the_file(tmp_path):
    (tmp_path / SETTINGS_FILE).write_text(json.dumps({'momentum': 1.5}))
    with pytest.raises(ValueError, match=r'settings\.json.*momentum'):
        load_settings(str(tmp_path))


@pytest.mark.parametrize('change', [
    {'batch_size': True}, {'batch_size': 8.0}, {'batch_size': '8'}, {'batch_size': None},
    {'batch_size': 2 ** 63}, {'seed': False}, {'learning_rate': True}, {'learning_rate': '0.1'},
    {'learning_rate': 10 ** 350}, {'learning_rate': float('nan')}, {'nesterov': 1},
    {'nesterov': 'false'}, {'step_at': 0.5}, {'step_at': ['0.5']}, {'step_at': [True]},
    {'net': ['resnet_v2_20']}, {'image_size': [32.0, 32]}, {'data_dir': 0}, {'net_options': 'a=b'},
    {'schedule': {}}, {'augmentation': []}], ids=str)
def test_a_setting_of_another_type_is_named(tmp_path, change):
    name, = change
    values = dict(dataclasses.asdict(Settings()), **change)
    (tmp_path / SETTINGS_FILE).write_text(json.dumps(values))
    with pytest.raises(ValueError, match=r'settings\.json does not hold .* ' + name + ' must be'):
        load_settings(str(tmp_path))


@pytest.mark.timeout(60)
@pytest.mark.parametrize('content, message', [
    (b'[' * 10 ** 6, 'nested too deep'), (b'{"a":' * 10 ** 5, 'nested too deep'),
    (b'{"seed": ' + b'9' * 10 ** 6 + b'}', 'an integer of 1000000 digits'),
    (b'\xff\xfe{}', 'no text in UTF-8')], ids=['list', 'object', 'digits', 'encoding'])
@pytest.mark.parametrize('load, name, what', LOADERS)
def test_a_file_that_cannot_be_parsed_is_named(tmp_path, load, name, what, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=name + ' does not hold the ' + what + '.*' + message):
        load(str(tmp_path))


@pytest.mark.timeout(20)
@pytest.mark.parametrize('load, name, what', LOADERS)
@pytest.mark.parametrize('make', [os.mkfifo, lambda path: os.symlink('/dev/zero', path),
                                  lambda path: os.truncate(open(path, 'wb').name, 2 ** 40)],
                         ids=['pipe', 'device', 'huge'])
def test_a_file_that_never_ends_is_not_read(tmp_path, load, name, what, make):
    make(str(tmp_path / name))
    with pytest.raises(ValueError, match=name):
        load(str(tmp_path))


@pytest.mark.parametrize('change', [
    {'labels': 'abc'}, {'labels': 3}, {'input_shape': None}, {'input_shape': [8, 8]},
    {'channel_std': ['1', '1', '1']}, {'channel_mean': [1.0]}, {'net': 5}, {'labels': []},
    {'training_images': None}, {'task': 'juggling'}, {'task': ['classification']},
    {'input_shape': [8, 8, True]}, {'input_shape': [0, 8, 3]}, {'input_shape': [8, 10 ** 9, 3]},
    {'input_shape': [8.0, 8, 3]}, {'channel_std': [0, 0, 0]}, {'channel_std': [1e-50] * 3},
    {'channel_std': [True] * 3}, {'channel_mean': [1e300] * 3}, {'channel_mean': [10 ** 350] * 3},
    {'channel_std': 0}, {'labels': ['a', 'b\x1b[31m']}, {'labels': ['a', '']}, {'crop': True},
    {'crop': '1'}, {'training_images': -1}, {'scope': 3}, {'net_options': ['a', 3]},
    {'resize': ['cover']}, {'channels': None},
], ids=lambda change: '{}'.format(*change))
def test_a_model_file_with_wrong_values_is_named(tmp_path, change):
    (tmp_path / MODEL_FILE).write_text(json.dumps(dict(dataclasses.asdict(SPEC), **change)))
    with pytest.raises(ValueError, match=r'model\.json'):
        load_model(str(tmp_path))


def test_a_model_spec_takes_the_data_sets_facts(tiny):
    dataset = tiny()
    spec = TASK.spec(Settings(net='tiny', activation='elu'), dataset)
    assert spec == ClassifierSpec(
        net='tiny', activation='elu', dataset='tiny', input_shape=(8, 8, 3),
        channel_mean=dataset.channel_mean, channel_std=dataset.channel_std, labels=dataset.labels,
        training_images=40)
    assert spec.num_classes == 3
