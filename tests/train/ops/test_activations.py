"""Every name of `get_activation`: formulas, gradients, variables, shapes and dtypes, errors."""
import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from scipy import special

import ash_cases
from ash_cases import make_input
from ash_tf1 import ops

pytestmark = pytest.mark.fast

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # arXiv 1706.02515

# Each from its own paper, at the initial values of what is trained. TensorFlow holds the slope of
# LeakyRelu in float32, whatever the dtype of x.
FORMULAS = {
    'relu': lambda x: np.maximum(x, 0),
    'lrelu': lambda x: np.where(x > 0, x, np.float32(0.01) * x),
    'prelu': lambda x: np.where(x > 0, x, 0.25 * x),
    'elu': lambda x: np.where(x > 0, x, np.expm1(x)),
    'softplus': lambda x: np.logaddexp(0, x),
    'gelu': lambda x: x * special.ndtr(x),
    'selu': lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(x)),
    'swish': lambda x: x * special.expit(x),
    'swish_beta': lambda x: x * special.expit(x),
}
ASH_FAMILY = {'ash': (1e-3, 0.0), 'l_ash': (1e-3, 0.01), 'f_ash_10': (special.ndtri(0.9), 0.0),
              'f_ash_50': (0.0, 0.0), 'f_ash_90': (special.ndtri(0.1), 0.0),
              'f_ash_2.5': (special.ndtri(0.975), 0.0)}
VARIABLES = {'ash': {'z_k': 1e-3, 'alpha': 1}, 'l_ash': {'z_k': 1e-3, 'alpha': 1},
             'f_ash_10': {'alpha': 1}, 'f_ash_50': {'alpha': 1}, 'f_ash_90': {'alpha': 1},
             'f_ash_2.5': {'alpha': 1}, 'prelu': {'alpha': 0.25}, 'swish_beta': {'beta': 1}}
NAMES = sorted(set(FORMULAS) | set(ASH_FAMILY))
# Of max(1, |x|): float16 kernels compute in float16, each op with its own rounding.
TOLERANCE = {'float16': 4e-3, 'float32': 2e-6, 'float64': 1e-12}


def test_every_registered_name_is_tested_here():
    assert set(ops.ACTIVATIONS) | {'f_ash_2.5'} == set(NAMES)


@pytest.mark.parametrize('dtype', sorted(TOLERANCE))
@pytest.mark.parametrize('name', sorted(FORMULAS))
def test_values(session, name, dtype):
    x = np.concatenate([np.random.RandomState(0).randn(3, 20) * 3,
                        np.tile([0.0, -0.5, 8.0, -8.0, 1e-3], [3, 4])], axis=1).astype(dtype)
    y = ops.get_activation(name)(tf.constant(x))
    session.run(tf.global_variables_initializer())
    error = np.abs(session.run(y).astype('float64') - FORMULAS[name](x.astype('float64')))
    assert np.all(error <= TOLERANCE[dtype] * np.maximum(1, np.abs(x)))


@pytest.mark.parametrize('implementation', ops.IMPLEMENTATIONS)
@pytest.mark.parametrize('name', sorted(ASH_FAMILY))
def test_values_of_the_ash_family(session, name, implementation):
    x = make_input('shifted', 'float64')
    y = ops.get_activation(name, implementation)(tf.constant(x))
    session.run(tf.global_variables_initializer())
    z_k, leak = ASH_FAMILY[name]
    np.testing.assert_allclose(session.run(y), ash_cases.ash(x, z_k, 1, leak).astype('float64'),
                               rtol=1e-10)


@pytest.mark.parametrize('name', sorted(FORMULAS))
def test_gradients_match_numeric_differentiation(session, name):
    # Away from 0, where some have a kink.
    value = np.array([[-3.0, -1.2, -0.3], [0.2, 1.1, 2.7]])
    x = tf.constant(value)
    y = ops.get_activation(name)(x)
    session.run(tf.global_variables_initializer())
    for source in [x] + tf.trainable_variables():
        error = tf.test.compute_gradient_error(
            source, source.shape.as_list(), y, value.shape, session.run(source), delta=1e-5)
        assert error < 1e-8, source.name


@pytest.mark.parametrize('name', NAMES)
def test_variables_and_their_initial_values(session, name):
    with tf.variable_scope('layer'):
        ops.get_activation(name)(tf.zeros([2, 5]))
    session.run(tf.global_variables_initializer())
    expected = VARIABLES.get(name, {})
    assert [v.op.name for v in tf.global_variables()] == ['layer/' + v for v in expected]
    for variable in tf.trainable_variables():
        shape = [5] if name == 'prelu' else [1]
        value = np.float32(expected[variable.op.name.split('/')[1]])
        np.testing.assert_array_equal(session.run(variable), np.full(shape, value))
    assert len(tf.trainable_variables()) == len(expected)


@pytest.mark.parametrize('dtype', sorted(TOLERANCE))
@pytest.mark.parametrize('name', NAMES)
def test_shape_and_dtype_are_kept_on_an_unknown_batch(session, name, dtype):
    x = tf.placeholder(dtype, [None, 4, 3, 2])
    y = ops.get_activation(name)(x)
    gradient, = tf.gradients(y, x)
    assert y.dtype == gradient.dtype == x.dtype
    assert y.shape.as_list() == [None, 4, 3, 2]
    session.run(tf.global_variables_initializer())
    for batch in (1, 3):
        value = np.random.RandomState(0).randn(batch, 4, 3, 2)
        outputs = session.run([y, gradient], {x: value})
        assert all(output.shape == value.shape for output in outputs)
        assert all(np.all(np.isfinite(output)) for output in outputs)


@pytest.mark.parametrize('shape, data_format, axis', [
    ([2, 4, 5, 3], 'NHWC', 3), ([2, 3, 4, 5], 'NCHW', 1), ([2, 3], 'NHWC', 1), ([2, 3], 'NC', 1),
    ([2, 7, 3], 'NWC', 2), ([2, 3, 7], 'NCW', 1)])
def test_prelu_has_a_slope_for_each_channel(session, shape, data_format, axis):
    x = np.random.RandomState(0).randn(*shape)
    y = ops.prelu(tf.constant(x), data_format)
    alpha, = tf.trainable_variables()
    alpha.load([0.1, -2.0, 1.5], session)
    broadcast = [1] * len(shape)
    broadcast[axis] = 3
    slopes = np.reshape([0.1, -2.0, 1.5], broadcast)
    np.testing.assert_allclose(session.run(y), np.where(x > 0, x, slopes * x), rtol=1e-12)


def test_swish_beta_with_another_slope(session):
    x = np.random.RandomState(0).randn(3, 4)
    y = ops.get_activation('swish_beta')(tf.constant(x))
    tf.trainable_variables()[0].load([1.7], session)
    np.testing.assert_allclose(session.run(y), x * special.expit(1.7 * x), rtol=1e-12)


def test_prelu_needs_known_channels():
    with tf.Graph().as_default(), pytest.raises(ValueError, match='known number of channels'):
        ops.prelu(tf.placeholder(tf.float32, [None, 4, 4, None]))


@pytest.mark.parametrize('name', ['swish', 'swish_beta', 'prelu', 'gelu'])
def test_integers_raise(name):
    with tf.Graph().as_default(), pytest.raises(ValueError, match='float64, got int32'):
        ops.get_activation(name)(tf.zeros([2, 3], tf.int32))


@pytest.mark.parametrize('name', ['ASH', 'tanh', '', 'f_ash_', 'f_ash_ten', 'f_ash_-5', None])
def test_an_unknown_name_is_answered_with_what_there_is(name):
    with pytest.raises(ValueError) as error:
        ops.get_activation(name)
    assert 'unknown activation %r' % (name,) in str(error.value)
    assert 'f_ash_K for any K in (0, 100)' in str(error.value)
    assert 'train --list activations' in str(error.value)
    near = re.search(r'did you mean (.*)\?', str(error.value))
    named = near.group(1).split(' or ')[:-1] if near else ops.ACTIVATIONS
    assert named and set(named) <= set(ops.ACTIVATIONS)
    assert all(known in str(error.value) for known in named)


@pytest.mark.parametrize('name', ['f_ash_0', 'f_ash_100', 'f_ash_250'])
def test_a_share_out_of_range_raises(name):
    with pytest.raises(ValueError, match=r'percentage that passes, in \(0, 100\)'):
        ops.get_activation(name)


@pytest.mark.parametrize('name', ['ash', 'relu'])
def test_an_unknown_implementation_raises(name):
    with pytest.raises(ValueError, match="unknown implementation 'fast'"):
        ops.get_activation(name, 'fast')


@pytest.mark.parametrize('name', ['ash', 'l_ash', 'f_ash_10', 'f_ash_2.5'])
def test_the_implementation_reaches_the_op(name):
    """The plain form holds ONNX's Sigmoid; the recompute form has its own."""
    kinds = {}
    for implementation in ops.IMPLEMENTATIONS:
        with tf.Graph().as_default() as graph:
            ops.get_activation(name, implementation)(tf.zeros([2, 3]))
            kinds[implementation] = {op.type for op in graph.get_operations()}
    assert 'Sigmoid' in kinds['plain']
    assert 'Sigmoid' not in kinds['recompute']
