"""Options that several commands share."""
import argparse
import collections
import contextlib
import dataclasses

from ash_tf1 import preprocessing
from ash_tf1.converting import opsets
from ash_tf1.input_pipelines import DATASETS
from ash_tf1.nets import GANS, NETS
from ash_tf1.ops import ACTIVATIONS
from ash_tf1.tasks import TASKS
from ash_tf1.training.settings import Settings

NAMES = {'task': TASKS, 'net': collections.ChainMap(NETS, GANS), 'activation': ACTIVATIONS,
         'dataset': DATASETS}
LISTED = 'train --list shows all'  # of those names


def add_settings(parser):
    """Adds an option for each field of `Settings` to a parser, without default values."""
    group = parser.add_argument_group('settings (default: those of the recipe)')
    for field in dataclasses.fields(Settings):
        option = '--' + field.name.replace('_', '-')
        help_text = field.metadata['help']
        if field.name in NAMES:
            help_text += ' (--list shows all)'
        common = dict(dest=field.name, default=argparse.SUPPRESS, help=help_text)
        if isinstance(field.default, bool):
            group.add_argument(option, action='store_true', **common)
            group.add_argument(option.replace('--', '--no-', 1), action='store_false',
                               dest=field.name, default=argparse.SUPPRESS,
                               help='the opposite of {}'.format(option))
        elif isinstance(field.default, tuple):
            group.add_argument(option, type=field.metadata['of'], nargs='*', metavar='X', **common)
        else:
            action = group.add_argument(
                option, type=type(field.default), choices=field.metadata['choices'],
                metavar=None if field.metadata['choices'] else 'X', **common)
            action.names = NAMES.get(field.name)  # for the completion in a shell


def add_name(parser, setting, *flags, **how):
    """Adds an argument that takes a name of `NAMES`, as a setting does."""
    parser.add_argument(*flags, metavar='NAME', **how).names = NAMES[setting]


def add_json(parser):
    """Adds --json to a parser."""
    parser.add_argument('--json', action='store_true', help='print JSON to stdout instead of text')


def add_any_size(parser):
    """Adds --any-size to the parser of a command that exports nets."""
    parser.add_argument('--any-size', action='store_true',
                        help='let the model take images of any height and width; photos are still '
                             'fitted to those of the net')


def add_plugin(parser):
    """Adds --plugin, which `plugins.load` and `plugins.load_for` read, to a parser."""
    parser.add_argument('--plugin', action='append', default=[], metavar='FILE|NAME',
                        help='Python file with an activation, net, data set, task or recipe of '
                             'your own, which is run, or name of an installed plugin; see '
                             'docs/extending.md')


def add_artifact_options(parser):
    """Adds the options of commands that write an artifact to a parser."""
    parser.add_argument('--opset', type=int, default=opsets.DEFAULT, metavar='N',
                        help="version of ONNX's operators, {} to {} (default: %(default)s)".format(
                            opsets.FIRST, opsets.LAST))
    parser.add_argument('--keep-graph', action='store_true',
                        help='keep the frozen TensorFlow graph too, as frozen_graph.pb')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace the artifact that OUT_DIR holds, where this wrote it and '
                             'nothing in it has changed')
    add_json(parser)


def add_preprocess(parser, help_text):
    """Adds --preprocess, which `preprocessing.parse` reads, to a parser."""
    parser.add_argument('--preprocess', nargs='+', default=[], metavar='WORD',
                        help='{}: {}; then keys such as channels=BGR mean=104,117,124 std=1 '
                             'scale=1/255 resize=stretch crop=0.875 interpolation=bilinear '
                             '(default: RGB from 0 to 255)'.format(
                                 help_text, ', '.join(sorted(preprocessing.NAMED))))


def add_input_size(parser, default):
    """Adds --input-size, which `input_shape` reads, to a parser."""
    parser.add_argument('--input-size', type=int, nargs='+', default=(), metavar='N',
                        help='one number, or height, width and optionally channels of the images '
                             '(default: {})'.format(default))


def input_shape(sizes, default):
    """The shape of images that --input-size gives: (height, width, channels).

    Args:
      sizes: the numbers of the option; empty for the default.
      default: the default shape.

    Raises:
      ValueError: there are more than three numbers, or one is below 1.
    """
    if not sizes:
        return tuple(default)
    if len(sizes) > 3 or min(sizes) < 1:
        raise ValueError('--input-size is one number, or a height, a width and optionally the '
                         'channels, each 1 or more, got {}'.format(' '.join(map(str, sizes))))
    return _both_sides(sizes)[:3] + (3,) * (len(sizes) < 3)


def image_size(sizes):
    """The (height, width) that --image-size gives, or () for no numbers.

    Args:
      sizes: the numbers of the option.

    Raises:
      ValueError: there are more than two numbers, or one is below 1.
    """
    if sizes and (len(sizes) > 2 or min(sizes) < 1):
        raise ValueError('--image-size is one number, or a height and a width, each 1 or more, got '
                         '{}'.format(' '.join(map(str, sizes))))
    return _both_sides(sizes)


def _both_sides(sizes):
    return tuple(sizes) * 2 if len(sizes) == 1 else tuple(sizes)


@contextlib.contextmanager
def as_typed(names):
    """Lets a ValueError that begins with the name of a setting begin with its option instead.

    Args:
      names: of the settings that options gave.
    """
    try:
        yield
    except ValueError as error:
        first, space, rest = str(error).partition(' ')
        if first not in names:
            raise
        raise ValueError('--' + first.replace('_', '-') + space + rest) from error
