"""Makes a checkpoint of today's nets of one with other names, another format or fewer variables."""
import collections
import dataclasses
from typing import Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1.checkpoint import find_checkpoint, list_variables, read_variables
from ash_tf1.checkpoint_rules import apply_rules, read_rules
from ash_tf1.checkpoint_writing import check_new, write_checkpoint
from ash_tf1.config import ModelSpec
from ash_tf1.nets import get_net
from ash_tf1.ops import get_activation
from ash_tf1.preprocessing import Preprocessing

Report = collections.namedtuple('Report', ['imported', 'reshaped', 'filled', 'initialized',
                                           'dropped', 'unmatched', 'checked'])
Report.__doc__ += """: what an import did.

imported: (old name, new name) of each variable that was taken over.
reshaped: (new name, old shape, new shape) of those whose axes of size 1 differ.
filled: names of the activation's variables that were given their initial values.
initialized: names of the others that were.
dropped, unmatched: old names that a rule drops; that none matches and the net does not have.
checked: whether there was a net to hold names and shapes against.
"""


@dataclasses.dataclass(frozen=True)
class Target:
    """The net that a checkpoint is imported for; with labels, a model that other commands take."""
    net: str
    num_classes: int
    input_size: tuple = (224, 224, 3)
    activation: str = 'ash'
    scope: Optional[str] = None
    net_options: Tuple[str, ...] = ()
    labels: Tuple[str, ...] = ()
    preprocessing: Preprocessing = Preprocessing()

    def __post_init__(self):
        for name, sizes in (('input_size', self.input_size), ('num_classes', [self.num_classes])):
            if any(size < 1 for size in sizes) or len(sizes) != (3 if name == 'input_size' else 1):
                raise ValueError('{} takes positive numbers{}, got {}'.format(
                    name, ' H W C' if name == 'input_size' else '', ' '.join(map(str, sizes))))
        if self.labels and len(self.labels) != self.num_classes:
            raise ValueError('there are {} labels for {} classes'.format(
                len(self.labels), self.num_classes))
        self.spec  # noqa: B018 - which checks what it is made of

    def build(self, activation_fn):
        """Builds the net for inference in the current graph; its variables by name, in order."""
        images = tf.placeholder(tf.float32, (None,) + tuple(self.input_size))
        scope = {} if self.scope is None else {'scope': self.scope}
        net = get_net(self.net, self.net_options)
        net(images, self.num_classes, activation_fn, is_training=False, **scope)
        return collections.OrderedDict((v.op.name, v) for v in tf.global_variables())

    @property
    def spec(self):
        """The `ModelSpec` of the imported net; None where its labels are not known."""
        if not self.labels:
            return None
        fit = self.preprocessing
        return ModelSpec(
            net=self.net, activation=self.activation, dataset='',
            input_shape=tuple(self.input_size), channel_mean=fit.mean, channel_std=fit.std,
            labels=self.labels, training_images=0, net_options=self.net_options,
            scope=self.scope or '', channels=fit.channels, resize=fit.resize, crop=fit.crop,
            interpolation=fit.interpolation)


def import_checkpoint(old, new, rules, target=None, ignore_unmatched=False,
                      initialize_missing=False, seed=0, overwrite=False, dry_run=False):
    """Imports a checkpoint: gives its variables new names and writes them as a V2 checkpoint.

    Without a target, names are changed and nothing is checked. With one, the new checkpoint has
    exactly the net's variables. Those that only the net's activation has, as z_k and alpha of ASH,
    get their initial values where the old checkpoint lacks them. With a target that has labels,
    the folder of the new checkpoint gets a `model.json` too, so that the commands take it as they
    take the folder of a run.

    Args:
      old: a checkpoint of V1 or V2, as for `checkpoint.find_checkpoint`.
      new: prefix of the checkpoint to write; None for a dry run.
      rules: sequence of sources as for `checkpoint_rules.read_rules`, the first ones first.
      target: the `Target`, or None.
      ignore_unmatched: whether variables that no rule matches, and that the net does not have, are
        left out; an error otherwise.
      initialize_missing: whether all the net's variables that the old checkpoint lacks get their
        initial values; an error otherwise.
      seed: of these initial values.
      overwrite: whether a checkpoint at `new`, and another `model.json` there, are replaced.
      dry_run: whether everything is done but to write.

    Returns:
      The `Report`.

    Raises:
      ValueError: a file is missing or damaged, a rule is none, or what the rules make of the old
        checkpoint is not what the net needs; the message names every variable concerned.
    """
    rules = [rule for source in rules for rule in read_rules(source)]
    old = find_checkpoint(old, v1=True)
    spec = None if target is None else target.spec
    if not dry_run:
        check_new(old, new, overwrite, spec)
    stored = list_variables(old)
    with tf.Graph().as_default():
        tf.set_random_seed(seed)
        # The plain form of ASH has the same variables, and is built faster.
        variables = None if target is None else target.build(
            get_activation(target.activation, 'plain'))
        sources, dropped, unmatched = _assign(stored, rules, variables)
        filled, initialized = _missing(sources, variables, target)
        problems = _misfits(sources, stored, variables, target) + _left_over(
            target, [] if ignore_unmatched else unmatched,
            [] if initialize_missing else initialized)
        if problems or not sources:
            raise ValueError('checkpoint {} cannot be imported: {}'.format(
                old, '; '.join(problems) or 'nothing is left of its variables'))
        values = _initial_values([variables[name] for name in filled + initialized])
    reshaped = []
    for name, value in read_variables(old, stored, sources):
        shape = stored[sources[name]].shape
        if target is not None and variables[name].shape.as_list() != shape:
            reshaped.append((name, shape, variables[name].shape.as_list()))
            value = np.reshape(value, reshaped[-1][2])
        values[name] = (value, stored[sources[name]].dtype)
    if not dry_run:
        write_checkpoint(new, values, spec)
    return Report([(old_name, name) for name, old_name in sources.items()], reshaped, filled,
                  initialized, dropped, unmatched, target is not None)


def _assign(stored, rules, variables):
    """Which variable becomes which: (new name -> old name, dropped names, unmatched names)."""
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
    """A message for each variable that the net does not have, or has in another shape or dtype."""
    messages = []
    for name, source in sources.items() if target is not None else ():
        label = name if name == source else '{} (from {})'.format(name, source)
        if name not in variables:
            messages.append('{} is no variable of {}'.format(label, target.net))
            continue
        shape, dtype = variables[name].shape.as_list(), variables[name].dtype.base_dtype
        if _without_ones(stored[source].shape) != _without_ones(shape):
            messages.append('{} is {} there, {} in {}'.format(
                label, stored[source].shape, shape, target.net))
        if stored[source].dtype != dtype:
            messages.append('{} is {} there, {} in {}'.format(
                label, stored[source].dtype.name, dtype.name, target.net))
    return messages


def _left_over(target, unmatched, initialized):
    """A message for old variables that nothing takes, and for new ones that nothing gives."""
    messages = []
    if unmatched:
        messages.append('no rule matches {}{}'.format(
            ', '.join(unmatched),
            '' if target is None else ', which {} does not have either'.format(target.net)))
    if initialized:
        messages.append('{} needs {}, for which there is nothing'.format(
            target.net, ', '.join(initialized)))
    return messages


def _without_ones(shape):
    return [size for size in shape if size != 1]


def _missing(sources, variables, target):
    """The names of the net's variables that have no source: the activation's own, and the others.

    The activation's own are those that the net does not have with an activation that has none.
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
