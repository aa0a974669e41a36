"""Whether two answers predict the same classes, with ties by the tolerance."""

import numpy as np


def count_agreeing(got, expected, rule):
    """Returns for how many rows the largest value of `got` is where that of `expected` is.

    Args:
      got, expected: floating-point arrays [N, C].
      rule: a `comparison.AllClose` or `comparison.Tolerance`; what it allows the largest value to
        be missed by makes ties.
    """
    # Nets with a ReLU on the logits answer exactly 0 for many classes; which of them comes first
    # is up to the last bit, and no disagreement.
    expected, rows = expected.astype(np.float64), np.arange(len(expected))
    finite = np.isfinite(got).all(axis=1) & np.isfinite(expected).all(axis=1)
    best = expected.argmax(axis=1)
    with np.errstate(invalid='ignore'):  # infinity less infinity, in a row that does not count
        missed = expected[rows, best] - expected[rows, got.argmax(axis=1)]
        allowed = np.broadcast_to(rule.allowed(expected), expected.shape)[rows, best]
        return int(((missed <= allowed) & finite).sum())
