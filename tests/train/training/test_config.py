import dataclasses
import json

import pytest

from ash_tf1 import config
from ash_tf1.input_pipelines import DATASETS
from ash_tf1.input_pipelines.transforms import get_augmentation
from ash_tf1.nets import get_net
from ash_tf1.ops import get_activation

SPEC = config.ModelSpec(net='tiny', activation='ash', dataset='tiny', input_shape=(8, 8, 3),
                        channel_mean=(1.0, 2.5, 3.0), channel_std=(4.0, 5.0, 6.5),
                        labels=('cat', 'D\xfcn', '2'), training_images=7)


@pytest.mark.parametrize('name', sorted(config.RECIPES))
def test_a_recipe_names_things_that_exist_and_has_one_length(name):
    settings = config.get_recipe(name)
    get_net(settings.net)
    get_activation(settings.activation, settings.implementation)
    get_augmentation(settings.augmentation)
    assert settings.dataset in DATASETS or name == 'resnet-imagenet'  # that one leaves it open
    assert bool(settings.steps) != bool(settings.epochs)
    assert settings.data_dir == ''  # where the data is, is the user's to say


@pytest.mark.parametrize('name, values', [
    ('wide-resnet-cifar', dict(net='wrn_28_10', epochs=200, batch_size=128, learning_rate=0.1,
                               step_factor=0.2, nesterov=True, momentum=0.9, weight_decay=5e-4)),
    ('densenet-cifar', dict(net='densenet_100_12', epochs=300, batch_size=64, learning_rate=0.1,
                            step_factor=0.1, nesterov=True, momentum=0.9, weight_decay=1e-4)),
    ('resnet-imagenet', dict(net='resnet_v1_50', epochs=90, batch_size=256, learning_rate=0.1,
                             step_factor=0.1, nesterov=False, momentum=0.9, weight_decay=1e-4))])
def test_recipes_of_the_papers(name, values):
    settings = config.get_recipe(name)
    assert {key: getattr(settings, key) for key in values} == values
    drops = {'wide-resnet-cifar': (60, 120, 160), 'densenet-cifar': (150, 225),
             'resnet-imagenet': (30, 60)}[name]
    assert settings.schedule == 'step'
    assert tuple(round(share * settings.epochs, 6) for share in settings.step_at) == drops


def test_a_model_of_before_there_were_options_still_loads(tmp_path):
    config.save(str(tmp_path), 'model.json', SPEC)
    values = json.loads((tmp_path / 'model.json').read_text())
    del values['net_options']
    (tmp_path / 'model.json').write_text(json.dumps(values))
    assert config.load(str(tmp_path), 'model.json', config.ModelSpec) == SPEC


def test_an_unknown_recipe_lists_the_known():
    with pytest.raises(ValueError, match='resnet-cifa\\b') as error:
        config.get_recipe('resnet-cifa')
    assert all(name in str(error.value) for name in config.RECIPES)


@pytest.mark.parametrize('name, value', [
    *((name, value) for name in ('batch_size', 'log_every', 'eval_batch_size')
      for value in (0, -1)),
    *((name, value) for name in ('learning_rate', 'step_factor') for value in (0.0, -0.1)),
    ('epochs', -1), ('steps', -1), ('seed', -1), ('seed', 2 ** 32), ('weight_decay', -1e-4),
    ('clip_norm', -1.0),
    ('momentum', -0.1), ('momentum', 1.0), ('warmup', 0.0), ('warmup', 1.0),
    ('warmup', float('nan')), ('step_at', (0.5, 1.0)), ('step_at', (0.0, 0.5)),
    ('schedule', 'linear'), ('augmentation', 'mixup'), ('implementation', 'fast'),
])
def test_an_impossible_value_is_named(name, value):
    with pytest.raises(ValueError, match=r'\b{}\b'.format(name)) as error:
        config.Settings(**{name: value})
    assert repr(value) in str(error.value)


@pytest.mark.parametrize('name, value', [
    *((name, value) for name in ('learning_rate', 'step_factor', 'weight_decay')
      for value in (float('nan'), float('inf'))),
    ('momentum', float('nan')),
])
def test_a_value_that_is_no_finite_number_is_named(name, value):
    with pytest.raises(ValueError, match=name):
        config.Settings(**{name: value})


def test_settings_cannot_be_changed():
    settings = config.Settings()
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.seed = 1


def test_every_setting_has_a_help_text():
    for field in dataclasses.fields(config.Settings):
        assert field.metadata['help'], field.name


@pytest.mark.parametrize('record', [
    config.Settings(), config.Settings(step_at=(0.25,), nesterov=True, seed=7), SPEC,
    config.Settings(net_options=('dropout_rate=0.3', 'recompute=false')),
    dataclasses.replace(SPEC, net_options=('dropout_rate=0.3',)),
    *(config.get_recipe(name) for name in sorted(config.RECIPES)),
], ids=lambda record: type(record).__name__)
def test_a_record_comes_back_equal(tmp_path, record):
    config.save(str(tmp_path), 'record.json', record)
    again = config.load(str(tmp_path), 'record.json', type(record))
    assert again == record
    assert [type(value) for value in dataclasses.astuple(again)] == [
        type(value) for value in dataclasses.astuple(record)]


def test_saving_replaces_the_whole_file_and_leaves_nothing_beside_it(tmp_path):
    config.save(str(tmp_path), 'record.json', SPEC)
    config.save(str(tmp_path), 'record.json', config.Settings())
    assert config.load(str(tmp_path), 'record.json', config.Settings) == config.Settings()
    assert [path.name for path in tmp_path.iterdir()] == ['record.json']


@pytest.mark.parametrize('kind', [config.Settings, config.ModelSpec])
def test_a_folder_without_the_file_is_no_run(tmp_path, kind):
    with pytest.raises(ValueError, match='no folder of a training run') as error:
        config.load(str(tmp_path), 'record.json', kind)
    assert str(tmp_path) in str(error.value)
    assert 'record.json' in str(error.value)


@pytest.mark.parametrize('kind', [config.Settings, config.ModelSpec])
@pytest.mark.parametrize('content', [
    b'', b'{"net": ', b'\x80\x81\xff', b'[1, 2]', b'null', b'3', b'"net"',
    b'{"net": "tiny", "colour": "red"}', b'{"batch_size": "8"}',
], ids=['empty', 'cut', 'bytes', 'list', 'null', 'number', 'string', 'other keys', 'text number'])
def test_a_file_that_holds_something_else_is_named(tmp_path, kind, content):
    path = tmp_path / 'record.json'
    path.write_bytes(content)
    with pytest.raises(ValueError, match='does not hold the {}'.format(kind.__name__)) as error:
        config.load(str(tmp_path), 'record.json', kind)
    assert str(path) in str(error.value)


def test_an_impossible_setting_in_a_file_is_named_with_the_file(tmp_path):
    (tmp_path / 'record.json').write_text(json.dumps({'momentum': 1.5}))
    with pytest.raises(ValueError, match=r'record\.json.*momentum'):
        config.load(str(tmp_path), 'record.json', config.Settings)


@pytest.mark.parametrize('change', [
    {'labels': 'abc'}, {'labels': 3}, {'input_shape': None}, {'input_shape': [8, 8]},
    {'channel_std': ['1', '1', '1']}, {'channel_mean': [1.0]}, {'net': 5}, {'labels': []},
    {'training_images': None},
], ids=lambda change: '{}'.format(*change))
def test_a_model_file_with_wrong_types_is_named(tmp_path, change):
    (tmp_path / 'record.json').write_text(json.dumps(dict(dataclasses.asdict(SPEC), **change)))
    with pytest.raises(ValueError, match=r'record\.json'):
        config.load(str(tmp_path), 'record.json', config.ModelSpec)


def test_a_model_spec_takes_the_data_sets_facts(tiny):
    dataset = tiny()
    spec = config.model_spec(config.Settings(net='tiny', activation='elu'), dataset)
    assert spec == config.ModelSpec(
        net='tiny', activation='elu', dataset='tiny', input_shape=(8, 8, 3),
        channel_mean=dataset.channel_mean, channel_std=dataset.channel_std, labels=dataset.labels,
        training_images=40)
    assert spec.num_classes == 3
