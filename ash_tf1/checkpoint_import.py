"""Makes a checkpoint of today's nets of one with other names, another format or fewer variables."""
import collections
import dataclasses
import os
import re
import tempfile
from typing import Optional

import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1.checkpoint import (
    checkpoint_files,
    find_checkpoint,
    list_variables,
    listed_checkpoints,
    read_variables,
)
from ash_tf1.checkpoint_rules import apply_rules, read_rules
from ash_tf1.nets import get_net
from ash_tf1.ops import get_activation

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
    """The net that a checkpoint is imported for."""
    net: str
    num_classes: int
    input_size: tuple = (224, 224, 3)
    activation: str = 'ash'
    scope: Optional[str] = None

    def __post_init__(self):
        for name, sizes in (('input_size', self.input_size), ('num_classes', [self.num_classes])):
            if any(size < 1 for size in sizes) or len(sizes) != (3 if name == 'input_size' else 1):
                raise ValueError('{} takes positive numbers{}, got {}'.format(
                    name, ' H W C' if name == 'input_size' else '', ' '.join(map(str, sizes))))

    def build(self, activation_fn):
        """Builds the net for inference in the current graph; its variables by name, in order."""
        images = tf.placeholder(tf.float32, (None,) + tuple(self.input_size))
        scope = {} if self.scope is None else {'scope': self.scope}
        get_net(self.net)(images, self.num_classes, activation_fn, is_training=False, **scope)
        return collections.OrderedDict((v.op.name, v) for v in tf.global_variables())


def import_checkpoint(old, new, rules, target=None, ignore_unmatched=False,
                      initialize_missing=False, seed=0, overwrite=False, dry_run=False):
    """Imports a checkpoint: gives its variables new names and writes them as a V2 checkpoint.

    Without a target, names are changed and nothing is checked. With one, the new checkpoint has
    exactly the net's variables. Those that only the net's activation has, as z_k and alpha of ASH,
    get their initial values where the old checkpoint lacks them.

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
      overwrite: whether a checkpoint at `new` is replaced.
      dry_run: whether everything is done but to write.

    Returns:
      The `Report`.

    Raises:
      ValueError: a file is missing or damaged, a rule is none, or what the rules make of the old
        checkpoint is not what the net needs; the message names every variable concerned.
    """
    rules = [rule for source in rules for rule in read_rules(source)]
    old = find_checkpoint(old, v1=True)
    if not dry_run:
        _check_new(old, new, overwrite)
    stored = list_variables(old)
    with tf.Graph().as_default():
        tf.set_random_seed(seed)
        # The plain form of ASH has the same variables, and is built faster.
        variables = None if target is None else target.build(
            get_activation(target.activation, 'plain'))
        sources, dropped, unmatched = _assign(stored, rules, variables)
        filled, initialized = _missing(sources, variables, target)
        problems = _misfits(sources, stored, variables, target)
        if unmatched and not ignore_unmatched:
            problems.append('no rule matches {}{}'.format(
                ', '.join(unmatched),
                '' if target is None else ', which {} does not have either'.format(target.net)))
        if initialized and not initialize_missing:
            problems.append('{} needs {}, which nothing becomes'.format(
                target.net, ', '.join(initialized)))
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
        write_checkpoint(new, values)
    return Report([(old_name, name) for name, old_name in sources.items()], reshaped, filled,
                  initialized, dropped, unmatched, target is not None)


def write_checkpoint(prefix, values):
    """Writes a V2 checkpoint and makes it the latest of its folder; replaces one of that name.

    After an exception there is no new checkpoint, and an old one is as it was.

    Args:
      prefix: of the checkpoint; its folder is made where it is missing.
      values: a dict: name -> (value, `tf.DType`).

    Raises:
      ValueError: the files cannot be written.
    """
    folder, name = os.path.split(os.path.abspath(prefix))
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='.partial-', dir=folder) as scratch:
        fresh, aside = os.path.join(scratch, 'new'), os.path.join(scratch, 'old')
        os.mkdir(fresh)
        os.mkdir(aside)
        _save(os.path.join(fresh, name), values)
        moves = [(path, os.path.join(aside, os.path.basename(path)))
                 for path in _files_at(prefix)]
        moves += [(os.path.join(fresh, part), os.path.join(folder, part))
                  for part in sorted(os.listdir(fresh))]
        done = []
        try:
            for source, destination in moves:
                os.rename(source, destination)
                done.append((source, destination))
            _make_latest(folder, name)
        except BaseException:  # Ctrl-C too: the folder with the old files is about to go
            for source, destination in reversed(done):
                os.rename(destination, source)
            raise


def _check_new(old, new, overwrite):
    """Raises ValueError where a checkpoint must not be written."""
    if not os.path.basename(new) or os.path.isdir(new):
        raise ValueError('{} is a folder: give the prefix of a checkpoint, such as {}'.format(
            new, os.path.join(new, 'model.ckpt')))
    present = {os.path.realpath(path) for path in _files_at(new)}
    if present & {os.path.realpath(path) for path in checkpoint_files(old)}:
        raise ValueError('{} is the checkpoint to import: give another prefix'.format(new))
    if present and not overwrite:
        raise ValueError('there is a checkpoint at {} already: give another prefix, or --overwrite'
                         .format(new))


def _files_at(prefix):
    """The files of whatever checkpoint a prefix has, V1 or V2, its graph included."""
    folder, name = os.path.split(os.path.abspath(prefix))
    mine = re.compile(re.escape(name) + r'(\.index|\.meta|(\.data)?-\d{5}-of-\d{5})?')
    return [os.path.join(folder, entry)
            for entry in (sorted(os.listdir(folder)) if os.path.isdir(folder) else ())
            if mine.fullmatch(entry)]


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


def _save(prefix, values):
    """Writes values as a V2 checkpoint, under any names."""
    with tf.Graph().as_default(), tf.Session() as session:
        # Fed rather than constants: a graph must not be larger than 2 GB.
        feeds = [tf.placeholder(dtype, np.shape(value)) for value, dtype in values.values()]
        save = tf.raw_ops.SaveV2(prefix=prefix, tensor_names=list(values),
                                 shape_and_slices=[''] * len(feeds), tensors=feeds)
        try:
            session.run(save, dict(zip(feeds, (value for value, _ in values.values()))))
        except tf.errors.OpError as error:
            raise ValueError('{} cannot be written: {}'.format(
                prefix, error.message.splitlines()[0])) from None


def _make_latest(folder, name):
    """Makes a checkpoint the latest in its folder's `checkpoint`, after those that are listed."""
    others = [os.path.basename(path) for path in listed_checkpoints(folder)]
    tf.train.update_checkpoint_state(
        folder, name, [path for path in others if path != name] + [name])
