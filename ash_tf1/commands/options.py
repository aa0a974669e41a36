"""Options that several commands have in common."""
import argparse
import dataclasses

from ash_tf1 import preprocessing
from ash_tf1.converting import opsets
from ash_tf1.input_pipelines import DATASETS
from ash_tf1.nets import NETS
from ash_tf1.ops import ACTIVATIONS
from ash_tf1.tasks import TASKS
from ash_tf1.training.settings import Settings

_NAMES = {'task': TASKS, 'net': NETS, 'activation': ACTIVATIONS, 'dataset': DATASETS}


def add_settings(parser):
    """Adds an option for each field of `Settings` to a parser; none has a default of its own."""
    group = parser.add_argument_group('settings (default: those of the recipe)')
    for field in dataclasses.fields(Settings):
        option = '--' + field.name.replace('_', '-')
        help_text = field.metadata['help']
        if field.name in _NAMES:
            help_text += ': ' + ', '.join(_NAMES[field.name])
        common = dict(dest=field.name, default=argparse.SUPPRESS, help=help_text)
        if isinstance(field.default, bool):
            group.add_argument(option, action='store_true', **common)
        elif isinstance(field.default, tuple):
            group.add_argument(option, type=field.metadata['of'], nargs='*', metavar='X', **common)
        else:
            group.add_argument(option, type=type(field.default), choices=field.metadata['choices'],
                               metavar=None if field.metadata['choices'] else 'X', **common)


def add_plugin(parser):
    """Adds --plugin, which `plugins.load` and `plugins.load_for` read, to a parser."""
    parser.add_argument('--plugin', action='append', default=[], metavar='FILE',
                        help='Python file with an activation, net, data set, task or recipe of '
                             'your own, which is run; see docs/extending.md')


def add_artifact_options(parser):
    """Adds what every command that writes an artifact takes to its parser."""
    parser.add_argument('--opset', type=int, default=opsets.DEFAULT, metavar='N',
                        help="version of ONNX's operators, {} to {} (default: %(default)s)".format(
                            opsets.FIRST, opsets.LAST))
    parser.add_argument('--keep-graph', action='store_true',
                        help='keep the frozen TensorFlow graph too, as frozen_graph.pb')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace the artifact that OUT_DIR holds, where this wrote it and '
                             'nothing in it has changed')


def add_preprocess(parser, help_text):
    """Adds --preprocess, which `preprocessing.parse` reads, to a parser."""
    parser.add_argument('--preprocess', nargs='+', default=[], metavar='NAME|KEY=VALUE',
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
    """(height, width, channels) of the images that --input-size means.

    Args:
      sizes: its numbers; none for the default.
      default: the shape.

    Raises:
      ValueError: they are more than three, or one is below 1.
    """
    if not sizes:
        return tuple(default)
    if len(sizes) > 3 or min(sizes) < 1:
        raise ValueError('--input-size is one number, or a height, a width and optionally the '
                         'channels, each 1 or more, got {}'.format(' '.join(map(str, sizes))))
    return (tuple(sizes) * 2 if len(sizes) == 1 else tuple(sizes))[:3] + (3,) * (len(sizes) < 3)
