"""Settings: impossible values are refused by name, and every setting has a help text."""
import dataclasses

import pytest

from ash_tf1.training.settings import Settings

pytestmark = pytest.mark.fast


@pytest.mark.parametrize('name, value', [
    *((name, value) for name in ('batch_size', 'log_every', 'eval_batch_size')
      for value in (0, -1)),
    *((name, value) for name in ('learning_rate', 'step_factor') for value in (0.0, -0.1)),
    ('epochs', -1), ('steps', -1), ('seed', -1), ('seed', 2 ** 32), ('weight_decay', -1e-4),
    ('clip_norm', -1.0),
    ('momentum', -0.1), ('momentum', 1.0), ('warmup', 0.0), ('warmup', 1.0),
    ('warmup', float('nan')), ('step_at', (0.5, 1.0)), ('step_at', (0.0, 0.5)),
    ('save_every', '0'), ('save_every', '5s'),
    ('keep', 0), ('validation_share', -0.1), ('validation_share', 1.0), ('image_size', (8,)),
    ('image_size', (0, 8)), ('schedule', 'linear'), ('augmentation', 'mixup'),
    ('implementation', 'fast'),
])
def test_an_impossible_value_is_named(name, value):
    with pytest.raises(ValueError, match=r'\b{}\b'.format(name)) as error:
        Settings(**{name: value})
    assert repr(value) in str(error.value)


@pytest.mark.parametrize('name, value', [
    *((name, value) for name in ('learning_rate', 'step_factor', 'weight_decay')
      for value in (float('nan'), float('inf'))),
    ('momentum', float('nan')),
])
def test_a_value_that_is_no_finite_number_is_named(name, value):
    with pytest.raises(ValueError, match=name):
        Settings(**{name: value})


def test_settings_cannot_be_changed():
    settings = Settings()
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.seed = 1


def test_every_setting_has_a_help_text():
    for field in dataclasses.fields(Settings):
        assert field.metadata['help'], field.name


@pytest.mark.parametrize('text, steps, seconds', [
    ('', None, None), ('500', 500, None), ('10m', None, 600)])
def test_save_every_is_of_steps_or_minutes(text, steps, seconds):
    settings = Settings(save_every=text)
    assert (settings.save_steps, settings.save_seconds) == (steps, seconds)
