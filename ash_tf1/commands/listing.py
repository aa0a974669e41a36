"""What `train.py --list` prints: all names that a setting can have, with a line about each."""
import inspect
import os
import textwrap

from ash_tf1 import installed
from ash_tf1.input_pipelines import DATASETS
from ash_tf1.nets import GANS, NETS
from ash_tf1.ops import ACTIVATIONS
from ash_tf1.tasks import TASKS
from ash_tf1.training.recipes import RECIPES, get_recipe

# Name -> line, where the first line of the docstring is for a caller, or is TensorFlow's.
LINES = {
    'dcgan': 'DCGAN for images of 32, 64 or 128 pixels',
    'ash': 'Adaptive SwisH: x * sigmoid(2 * alpha * (x - mu - z_k * sigma))',
    'l_ash': 'leaky ASH: a hundredth of each unit passes below the threshold',
    **{'f_ash_{}'.format(k): 'ASH with z_k fixed: the top {} % of a normal input pass'.format(k)
       for k in (10, 50, 90)},
    'relu': 'max(x, 0)',
    'lrelu': 'leaky ReLU: x where x > 0, else 0.01 * x',
    'elu': 'x where x > 0, else exp(x) - 1',
    'softplus': 'log(1 + exp(x))',
    'gelu': 'x * Phi(x), exact by erf',
    'selu': 'scaled ELU (arXiv 1706.02515)',
    'swish': 'x * sigmoid(x) (arXiv 1710.05941)',
    'swish_beta': 'x * sigmoid(beta * x), beta is trained',
    'digits': "scikit-learn's 1797 digits, enlarged from 8x8 grey to 32x32 RGB",
    'cifar10': 'CIFAR-10 from the official archive',
    'cifar100': 'CIFAR-100 from the official archive',
    'folder': 'your photos with labels, as DIR/LABEL/*: for classification',
    'photos': 'your photos without labels, all below DIR: for generation',
    'celeba': 'the faces of CelebA, without labels: for generation',
    'classification': 'trains a net to tell the classes of images with labels',
    'generation': 'trains a generator of images against a discriminator, as a GAN',
}


def _lines(registry):
    """{name: line} of a registry: what `LINES` says, or else the part's own docstring."""
    return {name: LINES.get(name) or _first_line(one) for name, one in registry.items()}


def _first_line(value):
    """The first line of a function's or object's docstring, without what follows a semicolon."""
    function = getattr(value, 'func', value)  # of a functools.partial
    line = (inspect.getdoc(function) or '').partition('\n')[0].partition('; ')[0].rstrip('.:')
    given = [str(getattr(one, 'title', one)) for one in getattr(value, 'args', ())]
    given += ['{} = {}'.format(*item) for item in getattr(value, 'keywords', {}).items()]
    return ': '.join(given + [line or '(no docstring)'])


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
    'nets': lambda: _lines(NETS),
    'generators': lambda: _lines(GANS),
    'activations': lambda: {**_lines(ACTIVATIONS),
                            'f_ash_K': 'the same for any K in (0, 100), as in f_ash_2.5'},
    'datasets': lambda: _lines(DATASETS),
    'recipes': lambda: {name: _recipe(name) for name in RECIPES},
    'tasks': lambda: _lines(TASKS),
    'plugins': lambda: {name: _plugin(point) for name, point in installed.entry_points().items()},
}


def _rows(kind, given):
    """{name: line} of a kind; `given` are the `Plugin`s that --plugin named."""
    rows = KINDS[kind]()
    if kind == 'plugins':
        for one in given:
            name = one.name or os.path.basename(one.path)
            rows[name] = '{}, given by --plugin'.format(rows.get(name) or one.path)
    return rows or {'none': ''}


def listing(kind, given=(), width=None):
    """Lines that list a kind, or all kinds for 'all'.

    Args:
      kind: a key of `KINDS`, or 'all'.
      given: the `Plugin`s that were given, which are listed with those that are installed.
      width: in columns, to which lines are wrapped; None leaves each entry on one line.
    """
    lines = []
    for each in KINDS if kind == 'all' else (kind,):
        rows = _rows(each, given)
        if kind == 'all':
            lines += ([''] if lines else []) + [each]
        indent = '  ' if kind == 'all' else ''
        longest = max(map(len, rows))
        for name, line in rows.items():
            start = '{}{:<{}}  '.format(indent, name, longest)
            text = [line] if width is None else textwrap.wrap(line, width - len(start)) or ['']
            lines += [(start + text[0]).rstrip()] + [' ' * len(start) + more for more in text[1:]]
    return lines
