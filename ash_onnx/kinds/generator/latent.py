"""The distributions that a generator's z is drawn from, and the ways between two z.

z number `index` of a seed, counted from 0, is drawn by a random generator of its own:

    rng = numpy.random.Generator(numpy.random.PCG64([seed, index]))
    z = rng.uniform(low, high, size)      # or mean + stddev * rng.standard_normal(size)

in float64, and then rounded to float32. So it depends neither on how many are drawn nor on the
batches that they are run in.
"""

from dataclasses import dataclass, fields

import numpy as np

from ash_onnx.metadata import shorten

MAX_SEED = 2**32 - 1  # PCG64 would join the words of larger ones with those of the index
_LARGEST = float(np.finfo(np.float32).max)
_PARALLEL = 1e-6  # sine of an angle below which two directions have no arc between them


@dataclass(frozen=True)
class Uniform:
    """Every element of z is uniform in [low, high)."""

    low: float
    high: float

    def __post_init__(self):
        if not self.low < self.high:
            raise ValueError(f'low must be below high, got {self.low:g} and {self.high:g}')

    def draw(self, rng, size):
        """One z: float64 array [size]."""
        return rng.uniform(self.low, self.high, size)

    def between(self, first, last, share):
        """The point at a share, 0 to 1, of the straight line between two z.

        The line stays in the cube that z was drawn from in training. An arc would leave it.
        """
        return (1 - share) * first + share * last


@dataclass(frozen=True)
class Normal:
    """Every element of z is normal."""

    mean: float
    stddev: float

    def __post_init__(self):
        if not self.stddev > 0:
            raise ValueError(f'stddev must be above 0, got {self.stddev:g}')

    def draw(self, rng, size):
        """One z: float64 array [size]."""
        return self.mean + self.stddev * rng.standard_normal(size)

    def between(self, first, last, share):
        """The point at a share, 0 to 1, of the arc around the mean between two z.

        A normal z of L elements is about stddev * sqrt(L) away from the mean, and hardly ever
        nearer. The middle of a straight line is nearer by a factor of sqrt(2), where training never
        was. On the arc the distance goes from that of the first z to that of the last.
        """
        first, last = first - self.mean, last - self.mean
        norms = np.linalg.norm(first) * np.linalg.norm(last)
        angle = np.arccos(np.clip(first @ last / norms, -1, 1)) if norms else 0.0
        if np.sin(angle) < _PARALLEL:  # as of one z with itself
            weights = 1 - share, share
        else:
            weights = np.sin([(1 - share) * angle, share * angle]) / np.sin(angle)
        return self.mean + weights[0] * first + weights[1] * last


_DISTRIBUTIONS = {'uniform': Uniform, 'normal': Normal}


def parse(latent):
    """Makes a `Uniform` or `Normal` of the metadata `latent`, parsed JSON; ValueError if wrong."""
    name = latent.get('distribution') if isinstance(latent, dict) else None
    if not isinstance(name, str) or name not in _DISTRIBUTIONS:
        raise ValueError('metadata \'latent\' must be a JSON object with a "distribution", one of '
                         f'{", ".join(_DISTRIBUTIONS)}, got {shorten(latent)}')
    distribution = _DISTRIBUTIONS[name]
    values = {key: value for key, value in latent.items() if key != 'distribution'}
    wanted = [field.name for field in fields(distribution)]
    if set(values) != set(wanted) or not all(
            type(value) in (int, float) and abs(value) <= _LARGEST for value in values.values()):
        raise ValueError(f'metadata \'latent\' of the distribution {name} must have the numbers '
                         f'{" and ".join(wanted)}, got {shorten(latent)}')
    try:
        return distribution(**values)
    except ValueError as error:
        raise ValueError(f'metadata \'latent\': {error}') from error


def draw(distribution, seed, index, size):
    """Draws z number `index` of a seed, as the top of this file says.

    Args:
      distribution: a `Uniform` or `Normal`.
      seed: integer from 0 to `MAX_SEED`.
      index: integer >= 0.
      size: the number of elements of z.

    Returns:
      float32 array [size].

    Raises:
      ValueError: a seed or index that is no such integer.
    """
    for name, value in (('seed', seed), ('index', index)):
        if type(value) is not int or not 0 <= value <= MAX_SEED:
            raise ValueError(f'{name} must be an integer from 0 to {MAX_SEED}, got {value!r}')
    rng = np.random.Generator(np.random.PCG64([seed, index]))
    return distribution.draw(rng, size).astype(np.float32)


def walk(distribution, first, last, steps):
    """The z on the way from one to another, both included.

    Args:
      distribution: a `Uniform`, whose way is a line, or a `Normal`, whose way is an arc.
      first, last: float32 arrays [size].
      steps: integer >= 2.

    Returns:
      float32 array [steps, size].

    Raises:
      ValueError: `steps` is no such integer.
    """
    if type(steps) is not int or steps < 2:
        raise ValueError(f'steps must be an integer >= 2, got {steps!r}')
    ends = first.astype(np.float64), last.astype(np.float64)
    return np.stack([distribution.between(*ends, share) for share in np.linspace(0, 1, steps)]
                    ).astype(np.float32)
