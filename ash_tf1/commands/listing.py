"""What `train.py --list` prints: all names that a setting can have, with a line about each."""
import inspect
import textwrap

from ash_tf1 import installed
from ash_tf1.input_pipelines import DATASETS
from ash_tf1.nets import GANS, NETS
from ash_tf1.ops import ACTIVATIONS
from ash_tf1.tasks import TASKS
from ash_tf1.training.recipes import RECIPES, get_recipe

WIDTH = 80


def _first_line(value):
    """The first line of a function's or object's docstring, without what follows a semicolon."""
    function = getattr(value, 'func', value)  # of a functools.partial
    line = (inspect.getdoc(function) or '').partition('\n')[0].partition('; ')[0].rstrip('.:')
    given = [str(getattr(one, 'title', one)) for one in getattr(value, 'args', ())]
    given += ['{} = {}'.format(*item) for item in getattr(value, 'keywords', {}).items()]
    return ': '.join(given + [line])


def _recipe(name):
    settings = get_recipe(name)
    length = '{} epochs'.format(settings.epochs) if settings.epochs else '{} steps'.format(
        settings.steps)
    return '{} on {}, {} of {}'.format(settings.net or settings.task,
                                       settings.dataset or 'your data', length,
                                       settings.batch_size)


def _plugin(point):
    return '{} {}, module {}'.format(point.distribution, point.version, point.module)


# Word after --list -> function without arguments that gives {name: line}.
KINDS = {
    'nets': lambda: {name: _first_line(one) for name, one in NETS.items()},
    'generators': lambda: {name: _first_line(one) for name, one in GANS.items()},
    'activations': lambda: {**{name: _first_line(one) for name, one in ACTIVATIONS.items()},
                            'f_ash_K': 'the same for any K in (0, 100), as in f_ash_2.5'},
    'datasets': lambda: {name: _first_line(one) for name, one in DATASETS.items()},
    'recipes': lambda: {name: _recipe(name) for name in RECIPES},
    'tasks': lambda: {name: _first_line(one) for name, one in TASKS.items()},
    'plugins': lambda: {name: _plugin(point) for name, point in installed.entry_points().items()},
}


def listing(kind):
    """Lines that list a kind, or all kinds for 'all'. None is longer than `WIDTH`."""
    lines = []
    for each in KINDS if kind == 'all' else (kind,):
        rows = KINDS[each]() or {'none': ''}
        if kind == 'all':
            lines += ([''] if lines else []) + [each]
        indent = '  ' if kind == 'all' else ''
        width = max(map(len, rows))
        lines += [textwrap.shorten(line, WIDTH - len(indent) - width - 2, placeholder=' ...').join(
            ('{}{:<{}}  '.format(indent, name, width), '')) for name, line in rows.items()]
    return [line.rstrip() for line in lines]
