"""Makes the splits that a data set lacks: a fixed share of the examples of each class."""
import dataclasses

import numpy as np

from ash_tf1.input_pipelines.dataset import LabelledImages, Subset

SEED = 2022  # of every such draw: a split must be the same in every run, or accuracies mean nothing


def draw_share(labels, share):
    """Draws a share of each class; depends on the arguments alone.

    Of a class of n examples, round(share * n) are drawn: at least one and at most n - 1, and none
    where n is 1.

    Args:
      labels: int64 [N], class of each example.
      share: in (0, 1).

    Returns:
      bool [N], True for the examples that are drawn.

    Raises:
      ValueError: `share` is out of range.
    """
    _check_share(share)
    rng = np.random.RandomState(SEED)
    drawn = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        drawn[members[:min(max(1, int(round(share * len(members)))), len(members) - 1)]] = True
    return drawn


def draw_groups(groups, share):
    """Draws whole groups, until they have a share of the examples; depends on the arguments alone.

    Args:
      groups: int64 [N], group of each example.
      share: in (0, 1).

    Returns:
      bool [N], True for the examples that are drawn: about share * N. At least one group is
      drawn, and one is left, where there are two.

    Raises:
      ValueError: `share` is out of range.
    """
    _check_share(share)
    names, counts = np.unique(groups, return_counts=True)
    order = np.random.RandomState(SEED).permutation(len(names))
    before = np.cumsum(counts[order]) - counts[order]  # examples of the groups that come earlier
    chosen = order[before < share * len(groups)][:len(names) - 1]
    return np.isin(groups, names[chosen])


def _check_share(share):
    if not 0 < share < 1:
        raise ValueError('a share of a split must be in (0, 1), got {!r}'.format(share))


def hold_out(dataset, share):
    """Takes a share of the training split as validation split.

    The choice is that of `draw_groups` where the examples have groups, and else of `draw_share`, by
    class where the data set has classes. Both splits keep the order of the examples.

    Args:
      dataset: a `Dataset` without a validation split.
      share: in (0, 1).

    Returns:
      A data set of the same class, whose train and validation are disjoint.

    Raises:
      ValueError: `share` is out of range, the data set has a validation split, or no class has
        two examples.
    """
    if dataset.validation is not None:
        raise ValueError('data set {!r} has a validation split; no share of train '
                         'can be another, got a share of {!r}'.format(dataset.name, share))
    train = dataset.train
    if train.groups is not None:
        drawn = draw_groups(train.groups, share)
    else:
        drawn = draw_share(train.labels if isinstance(dataset, LabelledImages)
                           else np.zeros(len(train), np.int64), share)
    if not drawn.any():
        raise ValueError('data set {!r} has one example of each class in train; none '
                         'can be held out for validation'.format(dataset.name))
    return dataclasses.replace(dataset, train=Subset(train, np.flatnonzero(~drawn)),
                               validation=Subset(train, np.flatnonzero(drawn)))
