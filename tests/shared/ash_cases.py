"""ASH's oracle, and the cases that every form of ASH is held against.

NumPy alone, on any Python from 3.7 on. Two adapters run them: tests/train/ops for the forms in
TensorFlow, tests/serve/test_fused_op.py for the fused op in onnxruntime.

The oracle computes in `np.longdouble`, whose sums are exact on constant maps and cannot overflow.
It is the one independent statement of the formula of docs/ash.md.
"""
import collections

import numpy as np

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


# What the accurate forms are held to: |y - y*| <= tolerance * |x| for each element, and for each
# sample max |y - y*| <= tolerance * max |y*|; both plus the distance of the dtype's smallest
# numbers.
TOLERANCE = {'float16': 2e-3, 'float32': 2e-6, 'float64': 1e-12}
DTYPES = sorted(TOLERANCE)

INPUTS = ['random', 'shifted', 'zeros', 'constant', 'constant of each sample',
          'offset 1e4, deviation 1e-2', 'deviation 1e4', 'huge', 'huge constant', 'mixed scales',
          'tiny']
# Float64 has no wider dtype to sum these in: there they only have to stay finite.
LARGEST = ['largest', 'lowest', 'largest of both signs', 'one largest']
CASES = ([(dtype, kind) for dtype in DTYPES for kind in INPUTS]
         + [(dtype, kind) for dtype in ('float16', 'float32') for kind in LARGEST])
# (z_k, alpha): initial values, the ablation's F-ASH-10, 2.5 % passing, a low threshold, soft,
# sharp, and a gate turned around.
PARAMETERS = [(1e-3, 1.0), (1.2816, 1.0), (1.96, 0.5), (-1.0, 2.0), (0.3, 0.05), (0.5, 5.0),
              (0.2, -1.0)]
SHAPES = [(3, 7), (3, 1), (2, 5, 4), (2, 3, 4, 5), (1, 1, 1, 1), (2, 3, 2, 4, 2)]
# Large samples are split among threads, small ones are not.
THREADED_SHAPES = [(1, 1), (3, 1), (1, 100003), (3, 100003), (1, 8192), (2, 8193), (40, 333),
                   (0, 5), (7, 63, 65, 3)]


def stored(value, dtype):
    """The value that a parameter has beside an x of this dtype: float32 beside float16."""
    return np.promote_types(dtype, np.float32).type(value)


def tolerance_of(dtype, kind, alpha):
    """The `TOLERANCE` of a case."""
    if dtype == 'float64' and kind.startswith('offset'):
        # Nothing is wider: the mean itself is rounded, and alpha scales what that does to the gate.
        return TOLERANCE[dtype] * 2 * max(1, abs(alpha))
    return TOLERANCE[dtype]


def largest(values):
    """Maximum of each sample [N, ...], as [N, 1, ...]."""
    return np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True)


def assert_close(y, expected, x, tolerance):
    """Holds y against the oracle as the accurate forms promise."""
    error = np.abs(y - expected)
    spacing = np.finfo(x.dtype).tiny * np.finfo(x.dtype).eps
    assert np.all(error <= tolerance * np.abs(x.astype(np.longdouble)) + spacing)
    assert np.all(largest(error) <= tolerance * largest(expected) + spacing)


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
