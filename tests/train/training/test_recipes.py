"""Recipes: those of the table, and those in JSON files."""
import pytest

from ash_tf1.input_pipelines import DATASETS
from ash_tf1.input_pipelines.transforms import get_augmentation
from ash_tf1.nets import get_gan, get_net
from ash_tf1.ops import get_activation
from ash_tf1.training.recipes import RECIPES, get_recipe
from ash_tf1.training.settings import Settings

pytestmark = pytest.mark.fast


@pytest.mark.parametrize('name', sorted(RECIPES))
def test_a_recipe_names_things_that_exist_and_has_one_length(name):
    settings = get_recipe(name)
    (get_gan if settings.task == 'generation' else get_net)(settings.net)
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
    settings = get_recipe(name)
    assert {key: getattr(settings, key) for key in values} == values
    drops = {'wide-resnet-cifar': (60, 120, 160), 'densenet-cifar': (150, 225),
             'resnet-imagenet': (30, 60)}[name]
    assert settings.schedule == 'step'
    assert tuple(round(share * settings.epochs, 6) for share in settings.step_at) == drops


def test_an_unknown_recipe_names_the_nearest_or_all():
    with pytest.raises(ValueError, match="'resnet-cifa'; did you mean resnet-cifar"):
        get_recipe('resnet-cifa')
    with pytest.raises(ValueError, match="'x'; known are") as error:
        get_recipe('x')
    assert all(name in str(error.value) for name in RECIPES)


def test_a_recipe_is_read_from_a_json_file(tmp_path):
    path = tmp_path / 'mine.json'
    path.write_text('{"net": "wrn_16_4", "epochs": 3, "step_at": [0.25, 0.5], "nesterov": true}')
    assert get_recipe(str(path)) == Settings(net='wrn_16_4', epochs=3, step_at=(0.25, 0.5),
                                             nesterov=True)


@pytest.mark.parametrize('text, message', [
    ('{"batch_size": true}', 'batch_size must be an integer'), ('{"colour": "red"}', 'colour'),
    ('[]', 'must be a JSON object'), ('{"net": ', 'mine.json'), ('{"momentum": 2}', 'momentum'),
    ('[' * 100000, 'mine.json')], ids=lambda text: text[:20])
def test_a_file_that_holds_no_recipe_is_named(tmp_path, text, message):
    path = tmp_path / 'mine.json'
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        get_recipe(str(path))
    assert str(path) in str(error.value)
