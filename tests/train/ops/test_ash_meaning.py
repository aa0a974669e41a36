"""What docs/ash.md says of ASH: limits, shares that pass, variants, the publication's errata."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from scipy import special

import ash_cases
from ash_cases import make_input
from ash_tf1 import ops
from tests.train.ops.ash_graphs import run_ash


def test_a_large_alpha_gives_the_hard_threshold():
    x = make_input('shifted', 'float64')
    mean, sigma = ash_cases.statistics(x)
    hard = np.where(x >= mean + 0.5 * sigma, x, 0)
    np.testing.assert_allclose(run_ash(x, 0.5, 1e6).y, hard.astype('float64'), atol=1e-12)


def test_swish_is_a_special_case():
    x = make_input('shifted', 'float64', (1, 6, 5, 8))
    mean, sigma = (float(value) for value in ash_cases.statistics(x))
    y = run_ash(x, -mean / sigma, 0.5).y
    np.testing.assert_allclose(y, x * special.expit(x), rtol=1e-12)


@pytest.mark.parametrize('k', [2.5, 10, 50, 90])
def test_k_percent_of_a_normal_input_pass(k):
    x = np.random.RandomState(0).randn(2, 100, 100, 5) * 3 + 7
    y = run_ash(x, ops.z_score(k), 1e6).y
    # 0.3 %: three standard deviations of the share of 50,000 draws are at most 0.67 % of k = 50.
    np.testing.assert_allclose(100 * np.mean(np.abs(y) > 0, axis=(1, 2, 3)), k, atol=0.7)


@pytest.mark.parametrize('k, z_k', [(2.5, 1.959964), (10, 1.281552), (50, 0.0), (90, -1.281552)])
def test_z_scores(k, z_k):
    assert ops.z_score(k) == pytest.approx(z_k, abs=1e-6)


@pytest.mark.parametrize('implementation', ops.IMPLEMENTATIONS)
@pytest.mark.parametrize('k, z_k', [(2.5, 1.959964), (10, 1.281552), (90, -1.281552)])
def test_fixed_ash_is_ash_with_that_threshold(session, k, z_k, implementation):
    x = make_input('random', 'float64')
    y = ops.fixed_ash(tf.constant(x), k, implementation)
    session.run(tf.global_variables_initializer())
    np.testing.assert_allclose(session.run(y), ash_cases.ash(x, z_k, 1).astype('float64'),
                               atol=1e-5)


@pytest.mark.parametrize('implementation', ops.IMPLEMENTATIONS)
def test_leaky_ash_without_a_leak_is_ash(session, implementation):
    x = tf.constant(make_input('random', 'float32'))
    with tf.variable_scope('a'):
        y = ops.ASH(x, implementation)
    with tf.variable_scope('b'):
        leaky = ops.leaky_ash(x, 0.0, implementation)
    session.run(tf.global_variables_initializer())
    np.testing.assert_array_equal(*session.run([y, leaky]))


def test_leaky_ash_passes_a_hundredth_below_the_threshold_by_default(session):
    x = np.array([[-1000.0, -900.0, 900.0, 1000.0]])
    y = ops.leaky_ash(tf.constant(x))
    session.run(tf.global_variables_initializer())
    np.testing.assert_allclose(session.run(y), [[-10, -9, 900, 1000]], rtol=1e-12)


def test_erratum_the_sign_of_equation_5():
    """The top units pass; with the README's minus sign the lowest would."""
    x = np.linspace(1, 2, 64).reshape(1, 4, 4, 4)
    y = run_ash(x, 0.5, 50.0).y.ravel()
    readme = (x * special.expit(-2 * 50.0 * (x - x.mean() - 0.5 * x.std()))).ravel()
    np.testing.assert_allclose([y[0], y[-1]], [0, 2], atol=1e-12)
    np.testing.assert_allclose([readme[0], readme[-1]], [1, 0], atol=1e-12)


def published(x, exp=tf.exp):
    """The published layer, with the exp that was meant, at its initial values."""
    mean, variance = tf.nn.moments(x, list(range(1, x.shape.ndims)), keepdims=True)
    return x / (1 + exp(-2 * (x - mean - 1e-3 * tf.sqrt(variance))))


def test_erratum_the_quotient_has_the_same_values_but_no_gradient(session):
    # A map this small is not vectorised, and its exp not clipped to the largest number.
    x = np.array([[-1000.0, 0.0, 1000.0]])
    tensor = tf.constant(x)
    y = published(tensor)
    ours = run_ash(x)
    values, gradient = session.run([y, tf.gradients(y, tensor)[0]])
    np.testing.assert_allclose(ours.y, values, rtol=1e-12)
    assert np.any(np.isnan(gradient))
    assert np.all(np.isfinite(ours.dx))


def test_erratum_a_constant_sample_has_no_gradient_as_published(session):
    x = np.full([1, 2, 2, 1], 3.0)
    tensor = tf.constant(x)
    gradient = session.run(tf.gradients(published(tensor), tensor)[0])
    assert np.all(np.isnan(gradient))
    np.testing.assert_allclose(run_ash(x).dx, np.full_like(x, 0.5), rtol=1e-12)


def test_erratum_the_tf2_layer_is_another_function():
    """u * sigmoid(u) of u = -2 alpha (x - mu - k sigma), mu and sigma over the whole batch."""
    def tf2_layer(x):
        u = -2 * (x - x.mean() - 1e-3 * x.std())
        return u * special.expit(u)

    x = make_input('constant of each sample', 'float64') + make_input('random', 'float64')
    assert np.abs(run_ash(x).y - tf2_layer(x)).max() > 1
    assert np.abs(tf2_layer(x)[:1] - tf2_layer(x[:1])).max() > 1  # depends on its batch mates
