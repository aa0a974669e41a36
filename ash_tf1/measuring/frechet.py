"""The Frechet distance of two sets of features, each taken as a normal distribution."""
from typing import NamedTuple

import numpy as np
from scipy import linalg


class Normal(NamedTuple):
    """A normal distribution."""

    mean: np.ndarray        # float64 [D]
    covariance: np.ndarray  # float64 [D, D]


def fit(features):
    """The mean and the covariance (of n - 1) of features [N, D].

    Raises:
      ValueError: there are fewer than two, or a feature is not finite.
    """
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or len(features) < 2:
        raise ValueError('the Frechet distance needs two or more vectors of features, got an array '
                         'of shape {}'.format(list(features.shape)))
    if not np.isfinite(features).all():
        raise ValueError('a feature is NaN or infinite')
    return Normal(features.mean(axis=0), np.atleast_2d(np.cov(features, rowvar=False)))


def distance(one, other):
    """The squared Frechet distance of two `Normal`s (D. C. Dowson and B. V. Landau, 1982):

        |m1 - m2|^2 + trace(C1 + C2 - 2 (C1 C2)^(1/2))

    Over the features pool_3 of Inception this is FID (arXiv 1706.08500). The trace of the root is
    the sum of the singular values of C1^(1/2) C2^(1/2), which is right for singular matrices too.
    """
    roots = [_root(each.covariance) for each in (one, other)]
    shared = linalg.svdvals(roots[0] @ roots[1]).sum()
    difference = one.mean - other.mean
    return float(max(0.0, difference @ difference + np.trace(one.covariance)
                     + np.trace(other.covariance) - 2 * shared))


def _root(matrix):
    """The root of a symmetric matrix without negative eigenvalues but for rounding."""
    values, vectors = linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
