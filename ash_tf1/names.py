"""What is said about a name that a table of names does not have."""
import difflib

from ash_distribution.commands import to_paste

# Kind, as people call it -> the word after --list that shows all of the kind.
KINDS = {'net': 'nets', 'generator': 'generators', 'activation': 'activations',
         'data set': 'datasets', 'recipe': 'recipes', 'task': 'tasks'}


def unknown(kind, name, known, also=()):
    """The ValueError for a name that is not known.

    Args:
      kind: a key of `KINDS`.
      name: what was given.
      known: the known names.
      also: what else there is, texts.

    Returns:
      A ValueError. It names the nearest known names, or all if none is near, and the command that
      lists all.
    """
    near = nearest(name, known)
    if near:
        names = 'did you mean {}?'.format(' or '.join([*near, *also]))
    else:
        names = 'known are {}.'.format(', '.join([*sorted(known), *also]))
    return ValueError('unknown {} {!r}; {} All are listed by: {}'.format(
        kind, name, names, to_paste('train', '--list', KINDS[kind])))


def nearest(name, known):
    """Up to three of the known names that are most like a name, best first; none if none is."""
    simple = {_simple(each): each for each in known}
    found = difflib.get_close_matches(_simple(name), simple, 3, cutoff=0.65)
    return [simple[each] for each in found]


def _simple(name):
    return str(name).lower().replace('-', '').replace('_', '')
