"""The native ops in TensorFlow: threads, random cases and large ones, shapes, what else is said.

Their values and gradients over dtypes and extremes are held against the oracle in tests/train/ops.
"""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_cases import DTYPES, THREADED_SHAPES
from ash_tf1 import ops

pytestmark = pytest.mark.fast

THREADS = (1, 2, 8)
# Of the largest |term|, native against the recompute form, both being right to this.
TOLERANCE = {'float16': 4e-3, 'float32': 1e-5, 'float64': 1e-10}


def build(implementation, dtype, rank, leak=0.0):
    """Placeholders of x, dy, z_k and alpha, and the fetches y, dx, dz_k and dalpha."""
    x, dy = (tf.placeholder(dtype, [None] * rank) for _ in range(2))
    z_k, alpha = (tf.placeholder('float64' if dtype == 'float64' else 'float32', [1])
                  for _ in range(2))
    y = ops.apply_ash(x, z_k, alpha, leak, implementation)
    return (x, dy, z_k, alpha), [y] + tf.gradients(y, [x, z_k, alpha], dy)


def assert_as_good(native, recompute, terms, dtype):
    for name, one, other, scale in zip(('y', 'dx', 'dz_k', 'dalpha'), native, recompute, terms):
        np.testing.assert_allclose(one.astype('float64') / scale, other.astype('float64') / scale,
                                   rtol=0, atol=TOLERANCE[dtype], err_msg=name)


def terms_of(x, dy, alpha):
    """About the largest terms that y, dx, dz_k and dalpha are made of; 1 where there are none."""
    x, dy = (np.abs(value.astype('float64')) for value in (x, dy))
    q = np.abs(alpha) * dy * x
    sizes = [x.max(initial=0), (dy + q).max(initial=0), (q * x).sum(), (dy * x * x).sum()]
    return [size or 1.0 for size in sizes]


@pytest.mark.parametrize('dtype', DTYPES)
def test_random_cases(library, session_of, dtype):
    """120 of each dtype: ranks 2 to 5, odd sizes, empty batches, scales, thresholds, leaks."""
    rng = np.random.RandomState(0)
    for leak in (0.0, 0.01):
        for rank in (2, 3, 4, 5):
            with tf.Graph().as_default():
                (forms, fetches) = zip(*(build(form, dtype, rank, leak)
                                         for form in ('native', 'recompute')))
                with session_of(2) as session:
                    for _ in range(15):
                        shape = [rng.randint(0, 6)] + list(rng.randint(1, 12, rank - 1))
                        scale = 10.0 ** rng.uniform(-2, 2)
                        x = (scale * (rng.randn(*shape) + rng.choice([0, 0, 3]))).astype(dtype)
                        dy = rng.uniform(-1, 1, shape).astype(dtype)
                        z_k, alpha = rng.uniform(-2, 2), rng.uniform(-3, 3)
                        results = session.run(fetches, {
                            place: value for form in forms
                            for place, value in zip(form, (x, dy, [z_k], [alpha]))})
                        assert_as_good(*results, terms_of(x, dy, alpha), dtype)


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('shape', THREADED_SHAPES)
def test_any_number_of_threads_gives_the_same_bits(library, session_of, shape, dtype):
    """Sums are over the same chunks, whoever adds them."""
    rng = np.random.RandomState(1)
    x, dy = (rng.randn(*shape).astype(dtype) for _ in range(2))
    places, fetches = build('native', dtype, len(shape))
    results = []
    for threads in THREADS:
        with session_of(threads) as session:
            results.append(session.run(fetches, dict(zip(places, (x, dy, [0.7], [1.3])))))
    for others in results[1:]:
        for one, other in zip(results[0], others):
            assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize('size', [10 ** 7, 10 ** 7 + 1])
def test_a_large_sample(library, session_of, size):
    """One of 1e7 elements: its mean and deviation are those of NumPy in float64."""
    rng = np.random.RandomState(2)
    value = (5 + 2 * rng.standard_normal(size)).astype('float32').reshape(1, size)
    x = tf.placeholder(tf.float32, [1, None])
    forward = library.ash_forward(x=x, z_k=0.5, alpha=1.0)
    gradients = tf.gradients(forward.y, x)[0]
    with session_of(2) as session:
        y, mean, sigma, dx = session.run(list(forward) + [gradients], {x: value})
    wide = value.astype('float64')
    np.testing.assert_allclose([mean[0], sigma[0]], [wide.mean(), wide.std()], rtol=1e-10)
    gate = 1 / (1 + np.exp(-2 * (wide - wide.mean() - 0.5 * wide.std())))
    np.testing.assert_allclose(y, wide * gate, rtol=0, atol=2e-6 * np.abs(wide).max())
    q = 2 * wide * gate * (1 - gate)
    expected = gate + q - q.mean() * (1 + 0.5 * (wide - wide.mean()) / wide.std())
    np.testing.assert_allclose(dx, expected, rtol=0, atol=1e-5 * np.abs(q).max())


def test_sigma_far_from_zero(library, session_of):
    """A mean of 1e4 and a deviation of 1e-2, where float32 has steps of 1e-3: right to 1e-3."""
    value = (1e4 + 1e-2 * np.random.RandomState(3).randn(4, 4096)).astype('float32')
    with session_of(2) as session:
        sigma = session.run(library.ash_forward(x=value, z_k=0.0, alpha=1.0).sigma)
    np.testing.assert_allclose(sigma, value.astype('float64').std(axis=1), rtol=1e-3)
    np.testing.assert_allclose(sigma, value.astype('float64').std(axis=1), rtol=1e-10)


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_spoils_its_own_sample_and_no_other(library, session_of, bad):
    value = np.random.RandomState(4).randn(3, 50).astype('float32')
    value[1, 7] = bad
    places, fetches = build('native', 'float32', 2)
    with session_of(2) as session:
        y, dx, dz_k, dalpha = session.run(
            fetches, dict(zip(places, (value, np.ones_like(value), [0.5], [1.0]))))
    for result in (y, dx):
        assert np.isfinite(result[[0, 2]]).all()
        assert np.isnan(result[1, 7])
    assert np.isnan([dz_k, dalpha]).all()


def test_unknown_shapes_are_checked_in_the_running_graph(library, session_of):
    x, z_k, dy = (tf.placeholder(tf.float32) for _ in range(3))
    forward = library.ash_forward(x=x, z_k=z_k, alpha=1.0)
    backward = library.ash_backward(dy=dy, x=x, z_k=z_k, alpha=1.0, mean=forward.mean,
                                    sigma=forward.sigma)
    three = np.zeros([2, 3])
    for fetch, feeds, message in (
            (forward.y, {x: [1.0, 2.0], z_k: 0.0}, r'rank 2 or more, batch first; got shape \[2\]'),
            (forward.y, {x: three, z_k: [0.0, 1.0]}, 'one element each'),
            (backward.dx, {x: three, z_k: 0.0, dy: three[:, :2]}, 'must have the shape of x')):
        with session_of(1) as session, pytest.raises(tf.errors.InvalidArgumentError,
                                                     match=message):
            session.run(fetch, feeds)


@pytest.mark.parametrize('leak', ['1', '-0.1', 'nan', 'much', ''])
def test_an_impossible_leak_is_named(library, session_of, leak):
    y = library.ash_forward(x=np.zeros([2, 3], 'f'), z_k=0.0, alpha=1.0, leak=leak).y
    with session_of(1) as session, pytest.raises(tf.errors.InvalidArgumentError,
                                                 match=r"in \[0, 1\), got '{}'".format(leak)):
        session.run(y)


def test_known_shapes_are_checked_in_the_graph(library):
    with tf.Graph().as_default():
        for x, z_k in ((np.zeros([3], 'f'), 0.0), (np.zeros([2, 3], 'f'), [0.0, 1.0])):
            with pytest.raises(ValueError, match='at least rank 2|must be 1 but is 2'):
                library.ash_forward(x=x, z_k=z_k, alpha=1.0)
        forward = library.ash_forward(x=tf.placeholder(tf.float32, [None, 4, 3]), z_k=0.0,
                                      alpha=1.0)
        assert [t.shape.as_list() for t in forward] == [[None, 4, 3], [None], [None]]


def test_the_input_is_left_as_it_was_where_others_read_it(library, session_of):
    """The ops may write onto their input, but only where nobody else has it."""
    x = tf.constant(np.random.RandomState(5).randn(4, 100)) * 1.0
    y = ops.apply_ash(x, tf.constant([0.5], tf.float64), tf.constant([1.0], tf.float64),
                      implementation='native')
    with session_of(2) as session:
        before = session.run(x)
        together = session.run([x, y])
    np.testing.assert_array_equal(together[0], before)
    assert not np.array_equal(together[1], before)
