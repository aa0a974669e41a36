"""The oracle: ASH and its gradients in NumPy, and the graph that the tests hold against it.

The oracle computes in `np.longdouble`, whose sums are exact on constant maps and cannot overflow.
It is the one independent statement of the formula of docs/ash.md.
"""
import collections
import functools
import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1 import native, ops

Result = collections.namedtuple('Result', ['y', 'dx', 'dz_k', 'dalpha'])


def _samples(values):
    """Each sample's mean or sum has the shape [N, 1, ...]."""
    return dict(axis=tuple(range(1, values.ndim)), keepdims=True)


def statistics(x):
    """Mean and population standard deviation of each sample of x [N, ...], both [N, 1, ...]."""
    x = np.asarray(x, np.longdouble)
    mean = x.mean(**_samples(x))
    return mean, np.sqrt(np.square(x - mean).mean(**_samples(x)))


def ash(x, z_k=1e-3, alpha=1.0, leak=0.0):
    """x * (leak + (1 - leak) * sigmoid(2 * alpha * (x - mu - z_k * sigma)))."""
    x, z_k, alpha, leak = (np.asarray(v, np.longdouble) for v in (x, z_k, alpha, leak))
    mean, sigma = statistics(x)
    with np.errstate(over='ignore'):  # exp may be infinite, and the gate then 0
        gate = 1 / (1 + np.exp(-2 * alpha * (x - mean - z_k * sigma)))
    return x * (leak + (1 - leak) * gate)


def ash_gradient(x, dy, z_k=1e-3, alpha=1.0, leak=0.0):
    """Gradients of sum(dy * ash(x)), and the sum of the absolute terms that make up each.

    What rounding costs is a share of those terms, not of the gradient that is left of them.

    Returns:
      (Result, Result): the gradients, y being the values; and the sums of absolute terms.
    """
    x, dy, z_k, alpha, leak = (np.asarray(v, np.longdouble) for v in (x, dy, z_k, alpha, leak))
    mean, sigma = statistics(x)
    distance = x - mean - z_k * sigma
    with np.errstate(over='ignore'):
        gate = 1 / (1 + np.exp(-2 * alpha * distance))
    q = (1 - leak) * 2 * alpha * dy * x * gate * (1 - gate)
    # d sigma / d x, times n: 0 where the sample is constant.
    slope = np.divide(x - mean, sigma, out=np.zeros_like(x), where=sigma + 0 * x > 0)
    direct = dy * (leak + (1 - leak) * gate)
    dx = direct + q - q.mean(**_samples(x)) * (1 + z_k * slope)
    terms = np.abs(direct) + np.abs(q) + np.abs(q).mean(**_samples(x)) * (1 + np.abs(z_k * slope))
    lever = (1 - leak) * 2 * dy * x * gate * (1 - gate) * distance
    return (Result(ash(x, z_k, alpha, leak), dx, -(sigma * q).sum(), lever.sum()),
            Result(np.abs(x), terms, np.abs(sigma * q).sum(), np.abs(lever).sum()))


class AshGraph:
    """ASH and its gradients over placeholders: x, dy, and in place of the variables z_k and alpha.

    All sizes of x are unknown, so that one graph serves every shape of its rank.
    """

    def __init__(self, dtype, implementation, leak, rank):
        self.graph = tf.Graph()
        self.parameters = collections.OrderedDict()
        with self.graph.as_default():
            self.x = tf.placeholder(dtype, [None] * rank)
            self.dy = tf.placeholder(dtype, [None] * rank)
            with tf.variable_scope(tf.get_variable_scope(), custom_getter=self._placeholder):
                if leak:
                    y = ops.leaky_ash(self.x, leak, implementation)
                else:
                    y = ops.ASH(self.x, implementation)
            sources = [self.x, self.parameters['z_k'], self.parameters['alpha']]
            self.fetches = [y] + tf.gradients(y, sources, grad_ys=self.dy)
            self.session = tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=1,
                                                            inter_op_parallelism_threads=1))

    def _placeholder(self, getter, name, shape, dtype, **kwargs):
        del getter, kwargs
        self.parameters[name] = tf.placeholder(dtype, shape, name)
        return self.parameters[name]

    def __call__(self, x, z_k, alpha, dy):
        feeds = {self.x: x, self.dy: dy, self.parameters['z_k']: [z_k],
                 self.parameters['alpha']: [alpha]}
        return self.session.run(self.fetches, feeds)


class Ash:
    """The code under test, called as the oracle is; keeps its graphs for the next call."""

    def __init__(self):
        self.graph = functools.lru_cache(maxsize=None)(AshGraph)

    @staticmethod
    def stored(value, dtype):
        """The value that a variable holds beside an x of this dtype: float32 beside float16."""
        return np.promote_types(dtype, np.float32).type(value)

    def __call__(self, x, z_k=1e-3, alpha=1.0, leak=0.0, dy=None, implementation='recompute'):
        """Result of ASH on x; dz_k and dalpha as scalars, dy being all ones by default."""
        dy = np.ones_like(x) if dy is None else dy
        graph = self.graph(x.dtype.name, implementation, leak, x.ndim)
        y, dx, dz_k, dalpha = graph(x, z_k, alpha, dy)
        assert y.dtype == dx.dtype == x.dtype
        assert y.shape == dx.shape == x.shape
        assert dz_k.shape == dalpha.shape == (1,)
        return Result(y, dx, dz_k[0], dalpha[0])


def pytest_collection_modifyitems(items):
    """Leaves out the native form where there is no compiler that could have built it."""
    try:
        native.library()
    except native.Unavailable as reason:
        for item in items:
            if getattr(item, 'callspec', None) and item.callspec.params.get(
                    'implementation') == 'native':
                item.add_marker(pytest.mark.skip(reason=str(reason)))


@pytest.fixture(scope='session')
def oracle():
    """The functions `statistics`, `ash` and `ash_gradient` of this file."""
    class Oracle:
        pass
    for function in (statistics, ash, ash_gradient):
        setattr(Oracle, function.__name__, staticmethod(function))
    return Oracle


@pytest.fixture(scope='session')
def run_ash():
    """Function (x, z_k, alpha, leak, dy, implementation) -> Result, by the code under test."""
    return Ash()


@pytest.fixture
def session():
    """A session on a new default graph."""
    with tf.Graph().as_default() as graph, tf.Session(graph=graph) as session:
        yield session


def make_input(kind, dtype, shape=(4, 6, 5, 8), seed=0):
    """One of the inputs that every form is held against, [N, ...] of a dtype."""
    rng = np.random.RandomState(seed)
    largest = np.finfo(dtype).max
    # Squares of the float64 ones are still numbers, as they are of float32's in float64.
    huge = {'float16': 1e4, 'float32': 1e30, 'float64': 1e100}[np.dtype(dtype).name]
    tiny = {'float16': 1e-4, 'float32': 1e-30, 'float64': 1e-100}[np.dtype(dtype).name]
    signs = rng.choice([-1.0, 1.0], shape)
    x = {
        'random': lambda: rng.randn(*shape),
        'shifted': lambda: rng.randn(*shape) + 3,
        'zeros': lambda: np.zeros(shape),
        'constant': lambda: np.full(shape, 0.7),
        'constant of each sample': lambda: np.broadcast_to(
            rng.randn(shape[0], *[1] * (len(shape) - 1)) * 100, shape),
        'offset 1e4, deviation 1e-2': lambda: 1e4 + 1e-2 * rng.randn(*shape),
        'deviation 1e4': lambda: 1e4 * rng.randn(*shape),
        'huge': lambda: huge * rng.uniform(-1, 1, shape),
        'huge constant': lambda: np.full(shape, huge),
        'mixed scales': lambda: signs * 10 ** rng.uniform(-4, 4, shape),
        'tiny': lambda: tiny * rng.randn(*shape),
        'largest': lambda: np.full(shape, largest),
        'lowest': lambda: np.full(shape, -largest),
        'largest of both signs': lambda: signs * largest,
        'up to largest': lambda: rng.uniform(-1, 1, shape) * float(largest),
        'one largest': lambda: np.where(np.arange(np.prod(shape)).reshape(shape) % 60, 0, largest),
        'least': lambda: signs * np.finfo(dtype).tiny,
    }[kind]()
    return np.asarray(x).astype(dtype)


@pytest.fixture(scope='session')
def inputs():
    """Function (kind, dtype, shape, seed) -> x; the kinds are in `make_input`."""
    return make_input
