"""ASH against the oracle: values, over dtypes, inputs, parameters, ranks and layouts."""
import numpy as np
import pytest

import ash_cases
from ash_cases import CASES, DTYPES, PARAMETERS, TOLERANCE, assert_close, largest, make_input
from ash_tf1 import kernels
from ash_tf1.ops import IMPLEMENTATIONS
from tests.train.ops.ash_graphs import run_ash

pytestmark = pytest.mark.fast

# The forms that are accurate whatever the input.
EXACT = ['native', 'recompute']
# Plain form: |y - y*| <= tolerance * max |x| of each sample. Its statistics and its sigmoid are
# only as good as the dtype's rounding of the sample's largest element.
PLAIN_TOLERANCE = {'float16': 2e-3, 'float32': 1e-5, 'float64': 1e-12}
ORDINARY = ['random', 'shifted', 'zeros', 'constant', 'deviation 1e4']


@pytest.mark.parametrize('z_k, alpha', PARAMETERS)
@pytest.mark.parametrize('dtype, kind', CASES)
@pytest.mark.parametrize('implementation', EXACT)
def test_exact_forms_match_the_oracle(dtype, kind, z_k, alpha, implementation):
    x = make_input(kind, dtype)
    z_k, alpha = run_ash.stored(z_k, dtype), run_ash.stored(alpha, dtype)
    y = run_ash(x, z_k, alpha, implementation=implementation).y
    assert_close(y, ash_cases.ash(x, z_k, alpha), x, ash_cases.tolerance_of(dtype, kind, alpha))


@pytest.mark.parametrize('z_k, alpha', PARAMETERS)
@pytest.mark.parametrize('kind', ORDINARY)
@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('implementation', ['plain', 'portable'])
def test_ordinary_ops_match_the_oracle_on_ordinary_inputs(dtype, kind, z_k, alpha, implementation,
                                                          monkeypatch):
    monkeypatch.setitem(IMPLEMENTATIONS, 'portable', kernels.portable)  # no choice of a layer
    x = make_input(kind, dtype)
    z_k, alpha = run_ash.stored(z_k, dtype), run_ash.stored(alpha, dtype)
    y = run_ash(x, z_k, alpha, implementation=implementation).y
    error = np.abs(y - ash_cases.ash(x, z_k, alpha))
    assert np.all(error <= PLAIN_TOLERANCE[dtype] * largest(x.astype(np.longdouble)))


@pytest.mark.parametrize('implementation', IMPLEMENTATIONS)
@pytest.mark.parametrize('leak', [0.01, 0.5])
@pytest.mark.parametrize('dtype', DTYPES)
def test_leaky_form_matches_the_oracle(dtype, leak, implementation):
    x = make_input('random', dtype)
    z_k, alpha = run_ash.stored(0.5, dtype), run_ash.stored(2.0, dtype)
    y = run_ash(x, z_k, alpha, leak, implementation=implementation).y
    expected = ash_cases.ash(x, z_k, alpha, leak)
    tolerance = (TOLERANCE if implementation in EXACT else PLAIN_TOLERANCE)[dtype]
    assert np.all(np.abs(y - expected) <= tolerance * largest(x))


@pytest.mark.parametrize('implementation', IMPLEMENTATIONS)
@pytest.mark.parametrize('shape', ash_cases.SHAPES)
def test_any_rank_and_any_sizes(shape, implementation):
    x = make_input('shifted', 'float64', shape)
    y = run_ash(x, 0.4, 0.8, implementation=implementation).y
    np.testing.assert_allclose(y, ash_cases.ash(x, 0.4, 0.8).astype('float64'), rtol=1e-12)


@pytest.mark.parametrize('implementation', IMPLEMENTATIONS)
def test_an_empty_batch_gives_an_empty_result_and_no_gradient(implementation):
    result = run_ash(np.zeros([0, 2, 2, 3], 'float32'), implementation=implementation)
    assert result.y.shape == (0, 2, 2, 3)
    assert result.dz_k == result.dalpha == 0


@pytest.mark.parametrize('implementation', IMPLEMENTATIONS)
def test_channels_first_is_channels_last_transposed(implementation):
    # 1e-12: the two orders of summation round differently.
    x, dy = make_input('random', 'float64'), make_input('random', 'float64', seed=1)
    last = run_ash(x, 0.4, 0.8, dy=dy, implementation=implementation)
    first = run_ash(x.transpose(0, 3, 1, 2), 0.4, 0.8, dy=dy.transpose(0, 3, 1, 2),
                    implementation=implementation)
    np.testing.assert_allclose(first.y.transpose(0, 2, 3, 1), last.y, rtol=1e-12)
    np.testing.assert_allclose(first.dx.transpose(0, 2, 3, 1), last.dx, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(first[2:], last[2:], rtol=1e-12)


@pytest.mark.parametrize('implementation', IMPLEMENTATIONS)
@pytest.mark.parametrize('others', ['deviation 1e4', 'largest', 'zeros'])
def test_a_sample_does_not_depend_on_its_batch_mates(others, implementation):
    x = make_input('random', 'float32')
    mates = make_input(others, 'float32')
    mates[1] = x[1]
    alone, among_friends, among_strangers = (
        run_ash(batch, 0.4, 0.8, implementation=implementation)
        for batch in (x[1:2], x, mates))
    for name in ('y', 'dx'):
        one, friends, strangers = (getattr(result, name)
                                   for result in (alone, among_friends, among_strangers))
        np.testing.assert_array_equal(friends[1], strangers[1])
        # A batch of one may be summed in another order.
        np.testing.assert_allclose(friends[1], one[0], rtol=1e-5, atol=1e-6)
