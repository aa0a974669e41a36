"""The learning rate over a run, at every step of each schedule.

Tolerance: float32 rounding, 1e-5 relative, and 1e-7 of the highest rate near zero."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1.training.recipes import get_recipe
from ash_tf1.training.schedules import learning_rate
from ash_tf1.training.settings import Settings

pytestmark = pytest.mark.fast


def rates(settings, total_steps, steps):
    with tf.Graph().as_default(), tf.Session() as session:
        step = tf.placeholder(tf.int64, ())
        rate = learning_rate(settings, step, total_steps)
        assert rate.dtype == tf.float32
        assert rate.shape == ()
        return [session.run(rate, {step: value}) for value in steps]


def assert_rates(settings, total_steps, expected):
    """expected: step -> rate in float64."""
    np.testing.assert_allclose(rates(settings, total_steps, expected), list(expected.values()),
                               rtol=1e-5, atol=1e-7 * settings.learning_rate)


def half_cosine(share):
    return 0.5 * (1 + np.cos(np.pi * share))


def test_the_64k_recipe_drops_at_32k_and_48k_exactly():
    settings = get_recipe('resnet-cifar')
    assert settings.steps == 64000
    assert_rates(settings, settings.steps, {
        0: 0.1, 31999: 0.1, 32000: 0.01, 32001: 0.01, 47999: 0.01, 48000: 0.001, 63999: 0.001})


@pytest.mark.parametrize('changes, total, expected', [
    (dict(step_at=()), 10, {0: 0.5, 9: 0.5}),
    (dict(step_at=(0.75, 0.5)), 8, {3: 0.5, 4: 0.1, 5: 0.1, 6: 0.02, 7: 0.02}),
    (dict(step_at=(0.3, 0.9)), 10, {2: 0.5, 3: 0.1, 8: 0.1, 9: 0.02}),
    # 0.5 of 7 steps is 3.5, which rounds to the even 4.
    (dict(step_at=(0.5,)), 7, {3: 0.5, 4: 0.1}),
    # 2**24 - 1 is the last odd number that a float32 counter of steps can hold.
    (dict(step_at=(0.5,)), 2 ** 25 - 2, {2 ** 24 - 2: 0.5, 2 ** 24 - 1: 0.1}),
], ids=['never', 'any order', 'decimal shares', 'odd length', 'long'])
def test_step(changes, total, expected):
    settings = Settings(schedule='step', learning_rate=0.5, step_factor=0.2, **changes)
    assert_rates(settings, total, expected)


@pytest.mark.parametrize('total', [1, 100, 64000])
def test_cosine_falls_from_the_rate_to_nothing(total):
    settings = Settings(schedule='cosine', learning_rate=0.2)
    steps = sorted({0, 1, total // 4, total // 2, total - 1, total})
    assert_rates(settings, total, {step: 0.2 * half_cosine(step / total) for step in steps})
    assert rates(settings, total, [total, total + 5]) == [0.0, 0.0]


@pytest.mark.parametrize('warmup', [0.1, 0.3, 0.5])
@pytest.mark.parametrize('total', [100, 2730])
def test_one_cycle_rises_in_a_line_and_falls_along_half_a_cosine(total, warmup):
    settings = Settings(schedule='one_cycle', learning_rate=0.2, warmup=warmup)
    peak = int(warmup * total)

    def expected(step):
        share = step / total
        if share < warmup:
            return np.interp(share, [0, warmup], [0.2 / 25, 0.2])
        return 0.2e-4 + (0.2 - 0.2e-4) * half_cosine((share - warmup) / (1 - warmup))

    steps = sorted({0, 1, peak // 2, peak - 1, peak, peak + 1, total // 2, total - 1, total})
    assert_rates(settings, total, {step: expected(step) for step in steps})
    assert_rates(settings, total, {0: 0.2 / 25, peak: 0.2, total: 0.2e-4, total + 9: 0.2e-4})


def test_one_cycle_is_highest_where_the_warmup_ends():
    values = rates(Settings(schedule='one_cycle', learning_rate=1.0, warmup=0.3), 50,
                   range(51))
    assert np.argmax(values) == 15
    assert np.all(np.diff(values[:16]) > 0)
    assert np.all(np.diff(values[15:]) < 0)
