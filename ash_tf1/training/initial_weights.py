"""Finds the variables of a net in a checkpoint, where they may have another scope."""
import collections
import os
import re
from typing import Dict, List, NamedTuple

import tensorflow.compat.v1 as tf

from ash_tf1 import checkpoint
from ash_tf1.ops import get_activation
from ash_tf1.training import run_dir

SHOWN = 5  # number of names in a message


class InitialWeights(NamedTuple):
    """The initial values of a net's variables, and which of them a checkpoint gives."""

    prefix: str                       # prefix of the checkpoint
    scope: str                        # scope of the net in the checkpoint
    sources: Dict[str, tf.Variable]   # name in the checkpoint -> variable, for `tf.train.Saver`
    filled: List[str]                 # variables of the activation that get their initial values
    excluded: List[str]               # variables that init_exclude leaves at their initial values
    normalization: str = ''           # the weights' own setting, if it is known and differs

    def check(self):
        """Raises ValueError if a value of the checkpoint cannot be read, as when a file is cut."""
        checkpoint.check_values(self.prefix, self.sources)

    def __str__(self):
        """One line for the user."""
        line = '{} variables begin with those of {}, scope {}'.format(
            len(self.sources), self.prefix, self.scope or '(none)')
        kinds = ', '.join(sorted({name.rpartition('/')[2] for name in self.filled}))
        if self.filled:
            line += '; {} that only the activation has ({}) with their initial values'.format(
                len(self.filled), kinds)
        if self.excluded:
            line += '; {} anew ({})'.format(len(self.excluded), _some(_scopes(self.excluded)))
        if self.normalization:
            line += '; they were trained on other input: --normalization {} gives it'.format(
                self.normalization)
        return line


def find_initial_weights(path, variables, task, spec, exclude=(), exact=False, part=''):
    """Finds the variables of a net in a checkpoint, below the one scope that has them all.

    The scope is the one that a `model.json` beside the checkpoint names, or else the net's own. If
    neither has the variables, it is the only scope that has all of them. Variables of the
    activation, such as z_k and alpha, may be missing. If a variable has a moving average there,
    this is taken, as `checkpoint.evaluated` says.

    Args:
      path: a checkpoint, as for `checkpoint.find_checkpoint`.
      variables: the net's `tf.Variable`s, in the current graph.
      task: the `Task`.
      spec: the `ModelSpec` of the net.
      exclude: regular expressions. A variable is left at its initial value if one of them matches
        its whole name below the net's scope, or the whole name of a scope that it is in.
      exact: whether the checkpoint must be one of this net. Then the activation's variables must
        be there, and below the scope there may be no other variables than those that optimizers
        and moving averages keep for a variable of the net.
      part: scope of a part of the net, if the variables are of that part alone.

    Returns:
      An `InitialWeights`.

    Raises:
      ValueError: there is no such checkpoint, no scope or more than one has the variables, a
        variable has another shape there, or an expression matches nothing. The message names the
        variables, scopes or expressions.
    """
    prefix = checkpoint.find_checkpoint(path)
    stored = checkpoint.list_variables(prefix)
    own = part or spec.net_scope
    below = collections.OrderedDict((_below(own, v.op.name), v) for v in variables)
    excluded = _excluded(below, exclude, spec.net)
    wanted = [name for name in below if name not in excluded]
    there = _spec_beside(prefix)
    preferred = [own] if part or there is None else [there.net_scope, own]
    scope = _find_scope(prefix, stored, wanted, preferred, task, spec, exact, own)
    sources = collections.OrderedDict(
        (_join(scope, name), below[name]) for name in wanted if _join(scope, name) in stored)
    misfits = [name for name, variable in sources.items()
               if stored[name].shape != variable.shape.as_list()]
    if misfits:
        raise ValueError('checkpoint {} does not fit the net: {}{}'.format(
            prefix, _some('{} is {} there, {} here'.format(
                name, stored[name].shape, sources[name].shape.as_list()) for name in misfits),
            '' if exact else _advice(name[len(scope):].lstrip('/') for name in misfits)))
    filled = [name for name in wanted if _join(scope, name) not in stored]
    if exact:
        _check_exact(prefix, stored, scope, sources, filled, spec)
    normalization = '' if there is None else there.normalization
    sources = checkpoint.evaluated(prefix, sources)
    return InitialWeights(prefix, scope, sources, filled, excluded,
                          '' if normalization == spec.normalization else normalization)


def _check_exact(prefix, stored, scope, sources, filled, spec):
    """Raises ValueError if a checkpoint lacks a variable of the net, or has others at its scope."""
    if spec.scope not in ('', scope):
        raise ValueError('checkpoint {} does not fit the net: it has its variables below {}, and '
                         'not below {}'.format(prefix, scope or 'no scope', spec.scope))
    if filled:
        raise ValueError('checkpoint {} does not fit the net: it has no variable {}, which are of '
                         'the activation {}: give the one that it was trained with'.format(
                             prefix, _some(_join(scope, name) for name in filled),
                             spec.activation))
    homes = {_home(name) for name in sources}
    more = [name for name in stored if name not in sources and _home(name) not in sources
            and (name.startswith(scope + '/') if scope else _home(name) in homes)]
    if more:
        raise ValueError('checkpoint {} is not of {} with {}, which has no variable {}; where they '
                         'are to be left out, tools/import_checkpoint.py does it by rules such as '
                         '`drop {}`'.format(prefix, spec.net, spec.activation, _some(more),
                                            more[0]))


def _home(name):
    """A name without its last part: a variable's scope, or for an optimizer's slot its variable."""
    return name.rpartition('/')[0]


def _excluded(names, patterns, net):
    """The names that one of the patterns matches completely or up to a slash."""
    found = []
    for pattern in patterns:
        matches = [name for name in names if re.fullmatch('(?:{})(/.*)?'.format(pattern), name)]
        if not matches:
            raise ValueError('init_exclude {!r} matches no variable of {}: they are below {}'
                             .format(pattern, net, ', '.join(_tops(names))))
        found += matches
    excluded = [name for name in names if name in set(found)]
    if len(excluded) == len(names):
        raise ValueError('init_exclude {} leaves no variable of {} to begin with'.format(
            ' '.join(patterns), net))
    return excluded


def _spec_beside(prefix):
    """The `ModelSpec` in the folder of a checkpoint, if there is one."""
    folder = os.path.dirname(prefix)
    if not os.path.exists(os.path.join(folder, run_dir.MODEL_FILE)):
        return None
    return run_dir.load_model(folder)[1]


def _find_scope(prefix, stored, wanted, preferred, task, spec, exact, own):
    """The scope in a checkpoint that has all wanted names below it, except the activation's.

    Of several scopes the first preferred one is taken: that of model.json, then the net's own.
    """
    def missing(scope, names):
        return [_join(scope, name) for name in names if _join(scope, name) not in stored]

    scopes, known = collections.Counter(), set(wanted)
    for name in stored:
        parts = name.split('/')
        scopes.update('/'.join(parts[:i]) for i in range(len(parts))
                      if '/'.join(parts[i:]) in known)
    fits = [scope for scope in scopes if not missing(scope, wanted)]
    if not set(preferred) & set(fits):
        without = _variables_without_activation(task, spec, own)
        wanted = [name for name in wanted if name in without]
        fits = [scope for scope in scopes if not missing(scope, wanted)]
    for scope in preferred:
        if scope in fits:
            return scope
    if len(fits) == 1:
        return fits[0]
    if fits:
        remedy = ('name the one by --scope' if exact else
                  'leave one, with rules of tools/import_checkpoint.py such as `drop {}/.+`'.format(
                      sorted(fits)[0]))
        raise ValueError('checkpoint {} has variables of the net in each of the scopes {}: {}'
                         .format(prefix, _some(sorted(fits)), remedy))
    if not scopes:
        raise ValueError('checkpoint {} does not fit the net: no scope of it has a variable {}; '
                         'its variables are below {}'.format(
                             prefix, _some(wanted), ', '.join(_tops(stored))))
    best = max(scopes, key=lambda scope: (scopes[scope], scope in preferred))
    lacking = missing(best, wanted)
    raise ValueError('checkpoint {} does not fit the net: it has no variable {}, and no scope of '
                     'it has more of them than {}{}'.format(
                         prefix, _some(lacking), best, '' if exact else _advice(
                             name[len(best):].lstrip('/') for name in lacking)))


def _variables_without_activation(task, spec, scope):
    """The names below a scope if the activation has no variables of its own."""
    with tf.Graph().as_default():
        task.forward(task.feeds(spec), spec, get_activation('relu'), is_training=False)
        return {_below(scope, v.op.name) for v in tf.global_variables()}


def _below(scope, name):
    """A variable's name without the net's scope."""
    return name[len(scope) + 1:] if scope and name.startswith(scope + '/') else name


def _join(scope, name):
    return scope + '/' + name if scope else name


def _scopes(names):
    """The innermost scopes of variables, in order, each once."""
    return list(collections.OrderedDict.fromkeys(
        _home(name) or name for name in names))


def _tops(names):
    return sorted({name.partition('/')[0] for name in names})


def _advice(names):
    scopes = _scopes(names)
    outer = [scope for scope in scopes
             if not any(scope.startswith(other + '/') for other in scopes)]
    return '; give --init-exclude {} to begin anew with these'.format(
        ' '.join(outer) if len(outer) <= SHOWN else 'PATTERN...')


def _some(names):
    names = list(names)
    more = len(names) - SHOWN
    return ', '.join(names[:SHOWN]) + (' and {} more'.format(more) if more > 0 else '')
