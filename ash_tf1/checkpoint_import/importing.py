"""Turns a checkpoint of other code into one that the nets here restore."""
import collections
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1.checkpoint import find_checkpoint, list_variables, read_variables
from ash_tf1.checkpoint_import.rules import apply_rules, read_rules
from ash_tf1.checkpoint_import.writing import check_new, write_checkpoint
from ash_tf1.ops import get_activation
from ash_tf1.tasks import ModelSpec, Task

Report = collections.namedtuple('Report', ['imported', 'reshaped', 'filled', 'initialized',
                                           'dropped', 'unmatched', 'checked'])
Report.__doc__ += """: what an import did.

imported: (old name, new name) of each variable that was imported.
reshaped: (new name, old shape, new shape) of those that differ in axes of size 1.
filled: names of variables of the activation that got their initial values.
initialized: names of other variables that got their initial values.
dropped: old names that a rule drops.
unmatched: old names that no rule matches and that the net does not have.
checked: whether names and shapes were compared with those of a net.
"""


class Target(NamedTuple):
    """The net that a checkpoint is imported for."""

    task: Task
    spec: ModelSpec
    described: bool = True  # whether the spec is complete and so is written as `model.json`

    def build(self, activation_fn):
        """Builds the net for inference in the current graph; its variables by name, in order."""
        self.task.forward(self.task.feeds(self.spec), self.spec, activation_fn, is_training=False)
        return collections.OrderedDict((v.op.name, v) for v in tf.global_variables())


def import_checkpoint(old, new, rules, target=None, ignore_unmatched=False,
                      initialize_missing=False, seed=0, overwrite=False, dry_run=False):
    """Imports a checkpoint: gives its variables new names and writes them as a V2 checkpoint.

    Without a target, only names are changed, and neither names nor shapes are checked. With a
    target, the new checkpoint has exactly the net's variables. Variables of the net's activation,
    such as z_k and alpha of ASH, get their initial values if the old checkpoint lacks them. If the
    target is described, the folder of the new checkpoint also gets a `model.json`. Then the
    commands accept this folder as they accept the folder of a run.

    Args:
      old: a checkpoint of V1 or V2, as for `checkpoint.find_checkpoint`.
      new: prefix of the checkpoint to write; None for a dry run.
      rules: sequence of sources as for `rules.read_rules`. Rules of earlier sources come first.
      target: the `Target`, or None.
      ignore_unmatched: whether to leave out variables that no rule matches and that the net does
        not have. Otherwise they are an error.
      initialize_missing: whether all variables of the net that the old checkpoint lacks get their
        initial values. Otherwise they are an error, unless they are the activation's.
      seed: seed of these initial values.
      overwrite: whether a checkpoint at `new`, and another `model.json` there, are replaced.
      dry_run: whether to do everything except writing.

    Returns:
      The `Report`.

    Raises:
      ValueError: a file is missing or damaged, a rule is invalid, the renamed variables are not
        those that the net needs, or a variable holds NaN or infinity. The message names every
        variable concerned.
    """
    rules = [rule for source in rules for rule in read_rules(source)]
    old = find_checkpoint(old, v1=True)
    model = None if target is None or not target.described else (target.task, target.spec)
    if not dry_run:
        check_new(old, new, overwrite, model)
    stored = list_variables(old)
    with tf.Graph().as_default():
        tf.set_random_seed(seed)
        # The plain form of ASH has the same variables and is built faster.
        variables = None if target is None else target.build(
            get_activation(target.spec.activation, 'plain'))
        sources, dropped, unmatched = _assign(stored, rules, variables)
        filled, initialized = _missing(sources, variables, target)
        problems = _misfits(sources, stored, variables, target) + _left_over(
            target, [] if ignore_unmatched else unmatched,
            [] if initialize_missing else initialized)
        if problems or not sources:
            raise ValueError('checkpoint {} cannot be imported: {}'.format(
                old, '; '.join(problems) or 'none of its variables would be imported'))
        values = _initial_values([variables[name] for name in filled + initialized])
    reshaped, infinite = [], []
    for name, value in read_variables(old, stored, sources):
        shape = stored[sources[name]].shape
        if target is not None and variables[name].shape.as_list() != shape:
            reshaped.append((name, shape, variables[name].shape.as_list()))
            value = np.reshape(value, reshaped[-1][2])
        if stored[sources[name]].dtype.is_floating and not np.isfinite(
                value.astype(np.float32)).all():
            infinite.append(sources[name])
        values[name] = (value, stored[sources[name]].dtype)
    if infinite:
        raise ValueError('checkpoint {} cannot be imported: {} NaN or infinity'.format(
            old, ', '.join(infinite) + (' holds' if len(infinite) == 1 else ' hold')))
    if not dry_run:
        write_checkpoint(new, values, model)
    return Report([(old_name, name) for name, old_name in sources.items()], reshaped, filled,
                  initialized, dropped, unmatched, target is not None)


def _assign(stored, rules, variables):
    """Applies the rules: (dict of new name -> old name, dropped names, unmatched names)."""
    sources, dropped, unmatched = collections.OrderedDict(), [], []
    for old in stored:
        rule, new = apply_rules(rules, old)
        if new is None:
            dropped.append(old)
        elif new == old and (rule is None if variables is None else old not in variables):
            unmatched.append(old)
        elif new in sources:
            raise ValueError('both {} and {} become {}'.format(sources[new], old, new))
        else:
            sources[new] = old
    return sources, dropped, unmatched


def _misfits(sources, stored, variables, target):
    """A message for each variable that the net lacks, or has with another shape or dtype."""
    messages = []
    for name, source in sources.items() if target is not None else ():
        shown = name if name == source else '{} (from {})'.format(name, source)
        if name not in variables:
            messages.append('{} is no variable of {}'.format(shown, target.spec.net))
            continue
        shape, dtype = variables[name].shape.as_list(), variables[name].dtype.base_dtype
        if _without_ones(stored[source].shape) != _without_ones(shape):
            messages.append('{} is {} there, {} in {}'.format(
                shown, stored[source].shape, shape, target.spec.net))
        if stored[source].dtype != dtype:
            messages.append('{} is {} there, {} in {}'.format(
                shown, stored[source].dtype.name, dtype.name, target.spec.net))
    return messages


def _left_over(target, unmatched, initialized):
    """A message for old variables that are not used, and one for new variables without a value."""
    messages = []
    if unmatched:
        messages.append('no rule matches {}{}'.format(
            ', '.join(unmatched),
            '' if target is None else ', which {} does not have either'.format(target.spec.net)))
    if initialized:
        messages.append('{} needs {}, for which there is nothing'.format(
            target.spec.net, ', '.join(initialized)))
    return messages


def _without_ones(shape):
    return [size for size in shape if size != 1]


def _missing(sources, variables, target):
    """The names of the net's variables without a source: the activation's own, and the others.

    The activation's own are those that the same net with ReLU does not have.
    """
    missing = [name for name in variables or () if name not in sources]
    if not missing:
        return [], []
    with tf.Graph().as_default():
        plain = target.build(tf.nn.relu)
    return ([name for name in missing if name not in plain],
            [name for name in missing if name in plain])


def _initial_values(variables):
    """A dict of the initial values of variables of the current graph: name -> (value, dtype)."""
    if not variables:
        return {}
    with tf.Session() as session:
        session.run([variable.initializer for variable in variables])
        values = session.run(variables)
    return {variable.op.name: (value, variable.dtype.base_dtype)
            for variable, value in zip(variables, values)}
