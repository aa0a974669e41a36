"""Gradients of ASH: against numeric differentiation, the oracle, and what is finite."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import ash_cases
from ash_cases import make_input
from ash_tf1 import ops
from tests.train.ops.ash_graphs import run_ash

# Of the sum of the absolute terms of which a gradient is made.
TOLERANCE = {'float16': 4e-3, 'float32': 1e-5, 'float64': 2e-11}
DTYPES = sorted(TOLERANCE)
# The forms that are accurate whatever the input.
EXACT = ['native', 'recompute']
SHAPE = (2, 2, 2, 2)
DELTA = 1e-5  # central differences in float64: errors of 1e-10 from truncation, 1e-11 from rounding
EXTREMES = ['largest', 'lowest', 'largest of both signs', 'up to largest', 'one largest', 'least',
            'huge', 'huge constant', 'zeros', 'constant', 'offset 1e4, deviation 1e-2',
            'mixed scales', 'tiny']


def constants(z_k, alpha):
    """A custom getter that puts constants, which can be fed, in place of the variables."""
    made = {}

    def getter(getter, name, dtype, **kwargs):
        name = name.split('/')[-1]
        made[name] = tf.constant([{'z_k': z_k, 'alpha': alpha}[name]], dtype)
        return made[name]

    return made, getter


def jacobian_errors(y, shape, sources, values):
    """Largest differences of the analytic and the numeric Jacobian of y, one for each source."""
    jacobians = tf.test.compute_gradient(
        sources, [value.shape for value in values], y, shape, x_init_value=values, delta=DELTA)
    return [np.abs(analytic - numeric).max() for analytic, numeric in jacobians]


@pytest.mark.parametrize('z_k, alpha, leak', [(1e-3, 1.0, 0.0), (0.7, 1.5, 0.0), (-0.5, 0.8, 0.1)])
@pytest.mark.parametrize('implementation', ops.IMPLEMENTATIONS)
def test_gradients_match_numeric_differentiation(session, implementation, z_k, alpha, leak):
    value = make_input('shifted', 'float64', SHAPE)
    x = tf.constant(value)
    made, getter = constants(z_k, alpha)
    with tf.variable_scope('layer', custom_getter=getter):
        y = ops.leaky_ash(x, leak, implementation)
    errors = jacobian_errors(y, SHAPE, [x, made['z_k'], made['alpha']],
                             [value, np.array([z_k]), np.array([alpha])])
    assert max(errors) < 1e-8


@pytest.mark.parametrize('leak', [0.0, 0.1])
@pytest.mark.parametrize('implementation', EXACT)
def test_second_order_gradients_match_numeric_differentiation(session, implementation, leak):
    shape = (2, 3, 2)
    value, dy = (make_input('shifted', 'float64', shape, seed) for seed in (0, 1))
    x = tf.constant(value)
    made, getter = constants(0.7, 1.5)
    with tf.variable_scope('layer', custom_getter=getter):
        y = ops.leaky_ash(x, leak, implementation)
    z_k, alpha = made['z_k'], made['alpha']
    dx, dz_k, dalpha = tf.gradients(y, [x, z_k, alpha], grad_ys=tf.constant(dy))
    values = [value, np.array([0.7]), np.array([1.5])]
    assert max(jacobian_errors(dx, shape, [x, z_k, alpha], values)) < 1e-8
    assert max(jacobian_errors(dz_k, (1,), [x, z_k, alpha], values)) < 1e-8
    assert max(jacobian_errors(dalpha, (1,), [x, z_k, alpha], values)) < 1e-8


@pytest.mark.parametrize('leak', [0.0, 0.1])
def test_the_oracle_gradient_is_the_slope_of_the_oracle(leak):
    x, dy = (make_input('shifted', 'float64', SHAPE, seed).astype(np.longdouble) for seed in (0, 1))
    point = {'z_k': np.longdouble(0.7), 'alpha': np.longdouble(1.5)}
    gradient, _ = ash_cases.ash_gradient(x, dy, leak=leak, **point)
    step = np.longdouble(1e-6)

    def slope(low, high):
        rise = ash_cases.ash(**high, leak=leak) - ash_cases.ash(**low, leak=leak)
        return (rise * dy).sum() / (2 * step)

    for name, expected in (('z_k', gradient.dz_k), ('alpha', gradient.dalpha)):
        low, high = (dict(point, x=x, **{name: point[name] + side * step}) for side in (-1, 1))
        assert abs(slope(low, high) - expected) < 1e-9
    for i in np.ndindex(*SHAPE):
        bump = np.zeros_like(x)
        bump[i] = step
        assert abs(slope(dict(point, x=x - bump), dict(point, x=x + bump)) - gradient.dx[i]) < 1e-9


@pytest.mark.parametrize('dtype, kind, z_k, alpha', [
    (dtype, kind, z_k, alpha)
    for dtype in DTYPES
    for kind in ('random', 'zeros', 'constant', 'constant of each sample',
                 'offset 1e4, deviation 1e-2', 'deviation 1e4', 'huge', 'huge constant',
                 'mixed scales', 'tiny')
    for z_k, alpha in ((1e-3, 1.0), (1.96, 1.0), (0.5, 3.0), (-1.0, 0.05))])
@pytest.mark.parametrize('implementation', EXACT)
def test_gradients_match_the_oracle(dtype, kind, z_k, alpha, implementation):
    x, dy = make_input(kind, dtype), make_input('random', dtype, seed=1)
    z_k, alpha = run_ash.stored(z_k, dtype), run_ash.stored(alpha, dtype)
    result = run_ash(x, z_k, alpha, dy=dy, implementation=implementation)
    gradient, terms = ash_cases.ash_gradient(x, dy, z_k, alpha)
    largest = np.finfo(dtype).max
    dx_terms = terms.dx.max(axis=(1, 2, 3), keepdims=True)
    error = np.abs(result.dx - np.clip(gradient.dx, -largest, largest))
    # What is smaller than the dtype's least normal number may be flushed to 0.
    assert np.all(error <= TOLERANCE[dtype] * dx_terms + np.finfo(dtype).tiny)
    for name in ('dz_k', 'dalpha'):
        error = abs(getattr(result, name) - getattr(gradient, name))
        # Sigma of a constant sample has a floor, of 1e-19 where it is computed in float32.
        assert error <= TOLERANCE[dtype] * getattr(terms, name) + 1e-12, name


@pytest.mark.parametrize('dtype, kind, z_k, alpha, leak', [
    (dtype, kind, z_k, alpha, leak)
    for dtype in DTYPES for kind in EXTREMES
    for z_k, alpha, leak in ((1e-3, 1.0, 0.0), (1.96, 1.0, 0.01), (-1.0, 0.05, 0.0),
                             (0.5, 5.0, 0.0), (0.5, -5.0, 0.0), (0.0, 0.0, 0.0))])
@pytest.mark.parametrize('implementation', EXACT)
def test_everything_is_finite_for_every_finite_input(dtype, kind, z_k, alpha, leak, implementation):
    x = make_input(kind, dtype)
    dy = np.random.RandomState(1).uniform(-1, 1, x.shape).astype(dtype)
    for upstream in (dy, np.ones_like(dy)):
        result = run_ash(x, z_k, alpha, leak, upstream, implementation)
        for name, value in result._asdict().items():
            assert np.all(np.isfinite(value)), name


@pytest.mark.parametrize('implementation', EXACT)
@pytest.mark.parametrize('dtype', DTYPES)
def test_a_constant_sample_has_the_gradient_of_a_half_open_gate(dtype, implementation):
    """By hand: s = 1/2 everywhere, and what x does to the mean cancels what it does to x."""
    x = np.full([1, 2, 2, 1], 3, dtype)
    dy = np.array([1, 2, 3, 6], dtype).reshape(x.shape)
    result = run_ash(x, 1.96, 2.0, dy=dy, implementation=implementation)
    # q = 2 alpha dy x s (1 - s) = 3 dy; dx = dy / 2 + q - mean(q).
    np.testing.assert_allclose(result.dx, dy / 2 + 3 * dy - 9, rtol=1e-3)
    assert abs(result.dz_k) < 1e-12
    assert result.dalpha == 0


@pytest.mark.parametrize('implementation', ops.IMPLEMENTATIONS)
def test_the_forms_have_the_same_gradients_on_ordinary_inputs(implementation):
    x, dy = make_input('random', 'float32'), make_input('random', 'float32', seed=1)
    z_k, alpha = np.float32(0.7), np.float32(1.5)
    result = run_ash(x, z_k, alpha, 0.01, dy, implementation)
    gradient, terms = ash_cases.ash_gradient(x, dy, z_k, alpha, 0.01)
    for name in ('dx', 'dz_k', 'dalpha'):
        error = np.abs(getattr(result, name) - getattr(gradient, name))
        assert np.all(error <= 1e-5 * np.max(getattr(terms, name))), name
