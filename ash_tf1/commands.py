"""From parsed arguments to the library: what the commands in tools/ have in common."""
import argparse
import dataclasses
import json
import math
import os
import sys

from ash_tf1 import config, evaluation, files, training
from ash_tf1.input_pipelines import DATASETS, load_dataset
from ash_tf1.input_pipelines.image_folder import save_image_folder
from ash_tf1.nets import NETS
from ash_tf1.ops import ACTIVATIONS

FAILED, BAD_INPUT, INTERRUPTED, READER_GONE = 1, 2, 130, 141
NAMES = {'net': NETS, 'activation': ACTIVATIONS, 'dataset': DATASETS}


def run(parser, function, argv):
    """Parses the arguments, calls function(args) and returns the exit status it gives.

    Bad input (a ValueError or OSError) becomes one line on stderr and exit status 2, what failed
    for another reason (a RuntimeError) exit status 1, Ctrl-C outside of training 130.
    """
    args = parser.parse_args(argv)
    try:
        return function(args)
    except BrokenPipeError:  # the reader of the output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except (ValueError, OSError, RuntimeError) as error:
        sys.stderr.write('{}: error: {}\n'.format(parser.prog, ' '.join(str(error).split())))
        return FAILED if isinstance(error, RuntimeError) else BAD_INPUT
    except KeyboardInterrupt:
        sys.stderr.write('{}: interrupted\n'.format(parser.prog))
        return INTERRUPTED


def add_settings(parser):
    """Adds an option for each field of `Settings` to a parser; none has a default of its own."""
    group = parser.add_argument_group('settings (default: those of the recipe)')
    for field in dataclasses.fields(config.Settings):
        option = '--' + field.name.replace('_', '-')
        help_text = field.metadata['help']
        if field.name in NAMES:
            help_text += ': ' + ', '.join(NAMES[field.name])
        common = dict(dest=field.name, default=argparse.SUPPRESS, help=help_text)
        if isinstance(field.default, bool):
            group.add_argument(option, action='store_true', **common)
        elif isinstance(field.default, tuple):
            group.add_argument(option, type=float, nargs='*', metavar='X', **common)
        else:
            group.add_argument(option, type=type(field.default), choices=field.metadata['choices'],
                               metavar=None if field.metadata['choices'] else 'X', **common)


def settings_from(args):
    """The `Settings` that arguments mean: a recipe's, or a resumed run's, with what was given.

    Raises:
      ValueError: a value is impossible, or --recipe is given for a resumed run.
    """
    given = {field.name: getattr(args, field.name) for field in dataclasses.fields(config.Settings)
             if hasattr(args, field.name)}
    given = {name: tuple(value) if isinstance(value, list) else value
             for name, value in given.items()}
    if given.get('data_dir'):
        given['data_dir'] = os.path.abspath(given['data_dir'])
    if args.resume:
        if args.recipe:
            raise ValueError('--resume takes the settings of the run; leave --recipe out')
        base = config.load(args.run_dir, config.SETTINGS_FILE, config.Settings)
    else:
        base = config.get_recipe(args.recipe or 'digits')
    if 'steps' in given or 'epochs' in given:
        # The one that is given replaces whichever the recipe has.
        base = dataclasses.replace(base, steps=0, epochs=0)
    return dataclasses.replace(base, **given)


def train(args):
    """tools/train.py"""
    result = training.train(settings_from(args), args.run_dir, args.resume,
                            progress=not args.quiet)
    if result.curve:
        print('learning curve: {}'.format(result.curve))
    if result.signal is None or result.step == result.total_steps:
        print('checkpoint: {}, step {}'.format(args.run_dir, result.step))
        return 0
    print('stopped by signal {} and saved at step {} of {}; go on by: --resume --run-dir {}'.format(
        result.signal, result.step, result.total_steps, args.run_dir))
    return 128 + result.signal


def evaluate(args):
    """tools/evaluate.py"""
    result, spec, prefix = evaluation.evaluate(
        args.run_dir, args.checkpoint, args.data_dir, args.split, args.batch_size,
        progress=not args.quiet)
    accuracies = result.class_accuracies(spec.num_classes)
    if args.json:
        print(json.dumps({
            'checkpoint': prefix, 'split': args.split, 'count': result.count,
            'correct': result.correct, 'top1': result.top1, 'top5': result.top5,
            'loss': _json_number(result.loss),
            'class_top1': {label: _json_number(value)
                           for label, value in zip(spec.labels, accuracies.tolist())}},
            indent=2, allow_nan=False))
        return 0
    print('{}: {} on {}, {} split'.format(prefix, spec.net, spec.dataset, args.split))
    print('top-1 {:.2%} ({} of {}), top-5 {:.2%}, loss {:.4f}'.format(
        result.top1, result.correct, result.count, result.top5, result.loss))
    width = max(map(len, spec.labels))
    for label, value in zip(spec.labels, accuracies):
        print('  {:<{}}  {:7.2%}'.format(label, width, value))
    return 0


def _json_number(value):
    return value if math.isfinite(value) else None


def export(args):
    """tools/export_onnx.py"""
    # Here, and not above: tf2onnx belongs to the extra `convert`, which training does without.
    try:
        from ash_tf1 import export as exporting
    except ImportError as error:
        raise ValueError('export needs the packages of the extra `convert`: {}'.format(
            error)) from error
    result = exporting.export(args.checkpoint_dir, args.out_dir, args.checkpoint, args.data_dir,
                              args.samples, args.keep_graph, args.overwrite)
    print('{}: {:.2f} MB, {} nodes ({}), {} test images'.format(
        result.folder, result.size / 1e6, sum(result.nodes.values()),
        ', '.join('{} {}'.format(count, op) for op, count in result.nodes.most_common()),
        result.samples))
    return 0


def save_images(args):
    """tools/save_images.py"""
    dataset = load_dataset(args.dataset, args.data_dir)
    if os.path.exists(args.out_dir):
        if not args.overwrite:
            raise ValueError('{} exists: give another folder, or --overwrite'.format(args.out_dir))
        foreign = sorted(set(os.listdir(args.out_dir)) - set(dataset.labels))
        if foreign:
            raise ValueError('{} holds more than images of {}: {}; it will not be replaced'.format(
                args.out_dir, args.dataset, foreign[0]))
    with files.replacing_folder(args.out_dir) as folder:
        count = save_image_folder(getattr(dataset, args.split), dataset.labels, folder,
                                  args.per_class)
    print('{}: {} images of {} classes'.format(args.out_dir, count, len(dataset.labels)))
    return 0
