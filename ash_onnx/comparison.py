"""Compares an answer with the recorded one, by one of two rules: `AllClose` or `Tolerance`."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

RTOL = 1e-4
ATOL = 1e-4


@dataclass(frozen=True)
class AllClose:
    """The rule of `numpy.allclose`, element by element; what is no floating point must be equal.

    Attributes:
      rtol: relative tolerance, a finite number >= 0.
      atol: absolute tolerance, likewise; added to the relative one.

    Raises:
      ValueError: a tolerance that is negative or no finite number.
    """

    rtol: float = RTOL
    atol: float = ATOL
    integer_levels: ClassVar[int] = 0

    def __post_init__(self):
        for name, value in (('rtol', self.rtol), ('atol', self.atol)):
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(f'{name} must be a finite number >= 0, got {value}')

    def allowed(self, expected):
        """Returns by how much an answer may differ from each element of a float64 array."""
        return self.atol + self.rtol * np.abs(expected)

    def __str__(self):
        return f'atol {self.atol:g} + rtol {self.rtol:g}'


@dataclass(frozen=True)
class Tolerance:
    """The rule in an artifact's own metadata, for a whole output.

    Attributes:
      relative: how much of the largest |expected| of an output each of its elements may differ by,
        0 to 1; where all expected values are 0, every answer must be exactly 0.
      integer_levels: how much an element of an output of integers may differ by, >= 0.
    """

    relative: float
    integer_levels: int = 0

    def allowed(self, expected):
        """Returns by how much any element may differ from those of a float64 array, one number."""
        return self.relative * np.abs(expected).max(initial=0)

    def __str__(self):
        return (f'{self.relative:g} of max |b|, integers {self.integer_levels} '
                '(the artifact\'s own tolerance)')


@dataclass(frozen=True)
class Difference:
    """How far one output of one test data set is from the recorded one.

    Attributes:
      data_set: name of the folder, `test_data_set_0`.
      output: name of the output, `logits` or `probabilities` for a classifier.
      max_abs_difference: max |got - expected|, in float64 but for integers, which are subtracted
        as such; 1 where bools or strings are not equal. NaN where either holds a NaN or an
        infinity, 0 for an empty output.
      max_rel_difference: max |got - expected| / max |expected|, one number for the whole output.
        (Relative differences of single elements would be decided by the smallest ones, such as
        a probability of 1e-12.) NaN as above; infinite where all expected values are 0 and the
        answer is not; the absolute one for bools and strings.
      within_tolerance: whether the rule, an `AllClose` or a `Tolerance`, allows it: floating
        point may differ by its `allowed`, integers by its `integer_levels`; bools and strings
        must be equal. False where either holds a NaN or an infinity.
      dtype: numpy's name of the output's dtype, `str` for strings.
    """

    data_set: str
    output: str
    max_abs_difference: float
    max_rel_difference: float
    within_tolerance: bool
    dtype: str


def compare(data_set, output, got, expected, rule):
    """Compares two arrays of one shape and dtype; returns a `Difference`.

    Args:
      data_set, output: the names for the `Difference`.
      got, expected: the answer and the recorded array.
      rule: an `AllClose` or a `Tolerance`.
    """
    measure = _MEASURES.get(expected.dtype.kind, _measure_floats)
    dtype = 'str' if expected.dtype == object else expected.dtype.name
    return Difference(data_set, output, *measure(got, expected, rule), dtype)


def _measure_floats(got, expected, rule):
    got, expected = got.astype(np.float64), expected.astype(np.float64)
    if not (np.isfinite(got).all() and np.isfinite(expected).all()):
        return float('nan'), float('nan'), False
    distance = np.abs(got - expected)
    largest = float(distance.max(initial=0))
    return largest, _relative(largest, expected), bool((distance <= rule.allowed(expected)).all())


def _measure_integers(got, expected, rule):
    # Exact in 64 bits, signed or not: the larger less the smaller, modulo 2**64.
    distance = (np.maximum(got, expected).astype(np.uint64)
                - np.minimum(got, expected).astype(np.uint64))
    largest = int(distance.max(initial=0))
    return (float(largest), _relative(largest, expected.astype(np.float64)),
            largest <= rule.integer_levels)


def _measure_equality(got, expected, rule):
    equal = bool(np.all(got == expected))
    return float(not equal), float(not equal), equal


_MEASURES = {'i': _measure_integers, 'u': _measure_integers,
             'b': _measure_equality, 'O': _measure_equality}


def _relative(largest, expected):
    scale = float(np.abs(expected).max(initial=0))
    return largest / scale if scale else (float('inf') if largest else 0.0)
