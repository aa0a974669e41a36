"""From parsed arguments to the library: what the commands in tools/ have in common."""
import argparse
import dataclasses
import importlib
import json
import math
import os
import sys

from ash_tf1 import (
    checkpoint,
    checkpoint_import,
    config,
    evaluation,
    files,
    preprocessing,
    training,
)
from ash_tf1 import summary as summaries
from ash_tf1.checkpoint_rules import ready_rules  # noqa: F401 - for a command's --help
from ash_tf1.converting import opsets
from ash_tf1.input_pipelines import DATASETS, load_dataset
from ash_tf1.input_pipelines.image_folder import save_image_folder
from ash_tf1.labels import read_labels
from ash_tf1.nets import NETS, get_net, reference_task
from ash_tf1.ops import ACTIVATIONS, get_activation
from ash_tf1.sessions import compute_in_one_thread

FAILED, BAD_INPUT, INTERRUPTED, READER_GONE = 1, 2, 130, 141
KERAS_SUFFIXES = ('.h5', '.hdf5', '.keras')
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
            group.add_argument(option, type=field.metadata['of'], nargs='*', metavar='X', **common)
        else:
            group.add_argument(option, type=type(field.default), choices=field.metadata['choices'],
                               metavar=None if field.metadata['choices'] else 'X', **common)


def add_artifact_options(parser):
    """Adds what every command that writes an artifact takes to its parser."""
    parser.add_argument('--opset', type=int, default=opsets.DEFAULT, metavar='N',
                        help="version of ONNX's operators, {} to {} (default: %(default)s)".format(
                            opsets.FIRST, opsets.LAST))
    parser.add_argument('--keep-graph', action='store_true',
                        help='keep the frozen TensorFlow graph too, as frozen_graph.pb')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace the artifact that OUT_DIR holds')


def add_preprocess(parser, help_text):
    """Adds --preprocess, which `preprocessing.parse` reads, to a parser."""
    parser.add_argument('--preprocess', nargs='+', default=[], metavar='NAME|KEY=VALUE',
                        help='{}: {}; then keys such as channels=BGR mean=104,117,124 std=1 '
                             'scale=1/255 resize=stretch crop=0.875 interpolation=bilinear '
                             '(default: RGB from 0 to 255)'.format(
                                 help_text, ', '.join(sorted(preprocessing.NAMED))))


def settings_from(args):
    """The `Settings` that arguments mean: a recipe's, or a resumed run's, with what was given.

    Raises:
      ValueError: a value is impossible, --recipe is given for a resumed run, or the recipe leaves
        open what was not given.
    """
    given = {field.name: getattr(args, field.name) for field in dataclasses.fields(config.Settings)
             if hasattr(args, field.name)}
    given = {name: tuple(value) if isinstance(value, list) else value
             for name, value in given.items()}
    for name in ('data_dir', 'init_from'):
        if given.get(name):
            given[name] = os.path.abspath(given[name])
    if args.resume:
        if args.recipe:
            raise ValueError('--resume takes the settings of the run; leave --recipe out')
        base = config.load(args.run_dir, config.SETTINGS_FILE, config.Settings)
    else:
        base = config.get_recipe(args.recipe or 'digits')
    if 'steps' in given or 'epochs' in given:
        # The one that is given replaces whichever the recipe has.
        base = dataclasses.replace(base, steps=0, epochs=0)
    settings = dataclasses.replace(base, **given)
    if not settings.dataset:
        raise ValueError('the recipe {} leaves the data set to you: give --dataset'.format(
            args.recipe))
    return settings


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
        not args.quiet, args.dataset, args.images)
    labels = _distinct(spec.labels)
    accuracies = result.class_accuracies(spec.num_classes)
    where = {'split': args.split} if args.images is None else {'images': args.images}
    if args.json:
        print(json.dumps(dict({'checkpoint': prefix}, **where, **{
            'count': result.count, 'correct': result.correct, 'top1': result.top1,
            'top5': result.top5, 'loss': _json_number(result.loss),
            'class_top1': {label: _json_number(value)
                           for label, value in zip(labels, accuracies.tolist())}}),
            indent=2, allow_nan=False))
        return 0
    print('{}: {} on {}'.format(prefix, spec.net, args.images or '{}, {} split'.format(
        args.dataset or spec.dataset, args.split)))
    print('top-1 {:.2%} ({} of {}), top-5 {:.2%}, loss {:.4f}'.format(
        result.top1, result.correct, result.count, result.top5, result.loss))
    width = max(map(len, labels))
    for label, value in zip(labels, accuracies):
        print('  {:<{}}  {:>7}'.format(label, width,
                                       '-' if math.isnan(value) else '{:.2%}'.format(value)))
    return 0


def _distinct(labels):
    """Labels to tell classes apart: one that several have gets the index of the class."""
    return ['{} [{}]'.format(label, i) if labels.count(label) > 1 else label
            for i, label in enumerate(labels)]


def _json_number(value):
    return value if math.isfinite(value) else None


def export(args):
    """tools/export_onnx.py"""
    compute_in_one_thread()  # so that the artifact is the same on any machine
    result = _converting('runs').export(args.checkpoint_dir, args.out_dir, args.checkpoint,
                                        args.data_dir, args.samples, args.keep_graph,
                                        args.overwrite, args.opset, args.images)
    _print_exported(result, 'test images')
    return 0


def convert(args):
    """tools/convert.py"""
    if os.path.isfile(os.path.join(args.source, config.MODEL_FILE)):
        return _convert_run(args)
    artifact, containment, foreign = map(_converting, ('artifact', 'containment', 'foreign'))
    options = foreign.Options(
        inputs=tuple(map(_input, args.input)), outputs=tuple(args.output),
        values=tuple(map(_setting, args.set)), tags=args.tag and tuple(args.tag.split(',')),
        signature=args.signature, allow_training_mode=args.allow_training_mode,
        labels=args.labels,
        preprocessing=preprocessing.parse(args.preprocess) if args.preprocess else None,
        samples=args.samples, seed=args.seed, opset=args.opset, keep_graph=args.keep_graph)
    artifact.check_out_dir(args.out_dir, args.overwrite)
    with files.replacing_folder(args.out_dir) as folder:
        os.rmdir(folder)  # which the child makes, or leaves unmade
        result = containment.call(lambda: _convert_source(args, folder, options), args.time_limit,
                                  containment.default_gigabytes() if args.memory_limit is None
                                  else args.memory_limit, args.verbose)
    result = result._replace(folder=args.out_dir)
    _print_exported(result, 'examples in the test data set')
    return 0


def _convert_run(args):
    """What tools/export_onnx.py does, with the arguments of tools/convert.py."""
    for name in ('input', 'output', 'set', 'tag', 'signature', 'labels', 'preprocess'):
        if getattr(args, name):
            raise ValueError('{} is the folder of a run, whose {} says that: leave out --{}'.format(
                args.source, config.MODEL_FILE, name))
    return export(argparse.Namespace(
        checkpoint_dir=args.source, out_dir=args.out_dir, checkpoint=None, data_dir=None,
        samples=8, keep_graph=args.keep_graph, overwrite=args.overwrite, opset=args.opset,
        images=args.samples and [args.samples]))


def _convert_source(args, folder, options):
    compute_in_one_thread()
    source = args.source
    if source.endswith(KERAS_SUFFIXES):
        source = _converting('hdf5', 'ash_tf1.keras').read(source, args.trust_code)
    return _converting('foreign').convert(source, folder, options)


def _converting(name, package='ash_tf1.converting'):
    """A module that needs tf2onnx, which belongs to an extra that training does without."""
    try:
        return importlib.import_module('{}.{}'.format(package, name))
    except ImportError as error:
        raise ValueError('export needs the packages of the extra `convert`: {}'.format(
            error)) from error


def _input(text):
    """(name of a tensor, shape or None) from NAME, NAME:SHAPE or NAME:INDEX:SHAPE."""
    name, separator, sizes = text.rpartition(':')
    if not separator or sizes.isdigit():
        return text, None
    try:
        return name, [None if size == '?' else int(size) for size in sizes.split(',') if size]
    except ValueError:
        raise ValueError('--input takes NAME or NAME:SHAPE, a shape being sizes or ? between '
                         'commas; got {!r}'.format(text)) from None


def _setting(text):
    name, equals, value = text.partition('=')
    if not equals or not name:
        raise ValueError('--set takes NAME=VALUE, got {!r}'.format(text))
    return name, value


def _print_exported(result, samples):
    print('{}: {:.2f} MB, {} nodes ({}), {} {}'.format(
        result.folder, result.size / 1e6, sum(result.nodes.values()),
        ', '.join('{} {}'.format(count, op) for op, count in result.nodes.most_common()),
        result.samples, samples))


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


def summarize(args):
    """tools/summarize.py"""
    net = get_net(args.net, args.net_options)
    shape, classes = reference_task(args.net)
    if args.input_size:
        shape = tuple(args.input_size) + (3,) * (len(args.input_size) == 2)
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError('--input-size is a height, a width and optionally the channels, each 1 or '
                         'more, got {}'.format(' '.join(map(str, args.input_size))))
    classes = classes if args.classes is None else args.classes
    if classes < 1:
        raise ValueError('--classes must be 1 or more, got {}'.format(classes))
    # The plain form has the same variables, and is built faster.
    summary = summaries.summarize(net, shape, classes, get_activation(args.activation, 'plain'),
                                  args.activation)
    if args.json:
        print(json.dumps({
            'net': args.net, 'net_options': args.net_options, 'input_shape': shape,
            'classes': classes, 'activation': args.activation,
            'parameters': summary.parameters, 'multiply_adds': summary.multiply_adds,
            'activations': summary.activations,
            'activation_parameters': summary.activation_parameters,
            'layers': [layer._asdict() for layer in summary.layers]}, indent=2))
        return 0
    rows = [('layer', 'output', 'parameters', 'multiply-adds', 'activation')]
    rows += [(layer.name, 'x'.join(map(str, layer.output_shape)), _number(layer.parameters),
              _number(layer.multiply_adds), _activation(layer.activation,
                                                        layer.activation_parameters))
             for layer in summary.layers]
    rows.append(('total', '', _number(summary.parameters), _number(summary.multiply_adds),
                 _activation(str(summary.activations), summary.activation_parameters)))
    widths = [max(map(len, column)) for column in zip(*rows)]
    ruler = '  '.join('-' * width for width in widths)
    print(' '.join([args.net] + args.net_options), 'of {}x{}x{} for {} classes'.format(
        *shape, classes))
    for i, row in enumerate(rows):
        if i in (1, len(rows) - 1):
            print(ruler)
        print('{:<{}}  {:>{}}  {:>{}}  {:>{}}  {}'.format(
            *(part for pair in zip(row, widths[:4]) for part in pair), row[4]).rstrip())
    return 0


def _number(value):
    return '{:,}'.format(value) if value else ''


def _activation(text, parameters):
    return text + (' +{} parameters'.format(_number(parameters)) if parameters else '')


def import_checkpoint(args):
    """tools/import_checkpoint.py"""
    if args.list:
        return _list_checkpoint(args.old)
    if args.new is None and not args.dry_run:
        raise ValueError('give the prefix NEW to write to, or --dry-run, or --list')
    target = _target(args)
    report = checkpoint_import.import_checkpoint(
        args.old, args.new, args.map, target, args.ignore_unmatched, args.initialize_missing,
        args.seed, args.overwrite, args.dry_run)
    _print_import(report)
    if target is not None and target.spec is not None:
        print('{} for {} labels, images {}, {}'.format(
            config.MODEL_FILE, len(target.labels), 'x'.join(map(str, target.input_size)),
            json.dumps(target.preprocessing.to_json())))
    print('dry run: nothing was written' if args.dry_run else 'checkpoint: {}'.format(args.new))
    return 0


def _target(args):
    """The `checkpoint_import.Target` that arguments mean; None where they name no net."""
    labels = () if args.labels is None else read_labels(args.labels)
    classes = len(labels) or None if args.classes is None else args.classes
    if (args.net is None) != (classes is None):
        raise ValueError('--net and --classes go together, and --labels may stand for --classes')
    if args.net is None and (args.initialize_missing or args.net_options):
        raise ValueError('--initialize-missing and --net-options need a --net')
    if args.preprocess and not labels:
        raise ValueError('--preprocess needs --labels: both are written into {}'.format(
            config.MODEL_FILE))
    return None if args.net is None else checkpoint_import.Target(
        args.net, classes, tuple(args.input_size), args.activation, args.scope,
        tuple(args.net_options), labels, preprocessing.parse(args.preprocess))


def _list_checkpoint(path):
    variables = checkpoint.list_variables(checkpoint.find_checkpoint(path, v1=True))
    width = max(map(len, variables), default=0)
    for name, variable in variables.items():
        print('{:<{}}  {} {}'.format(name, width, variable.dtype.name, variable.shape))
    return 0


def _print_import(report):
    renamed = [pair for pair in report.imported if pair[0] != pair[1]]
    print('imported {}, of them renamed {}, reshaped {}; filled {}, initialized {}; dropped {}, '
          'unmatched {}'.format(len(report.imported), len(renamed), len(report.reshaped),
                                len(report.filled), len(report.initialized), len(report.dropped),
                                len(report.unmatched)))
    for old, new in report.imported:
        print('  imported {}'.format(old) if old == new else '  renamed {} -> {}'.format(old, new))
    for name, old, new in report.reshaped:
        print('  reshaped {}: {} -> {}'.format(name, old, new))
    for word in ('filled', 'initialized', 'dropped', 'unmatched'):
        for name in getattr(report, word):
            print('  {} {}'.format(word, name))
    if not report.checked:
        print('without --net, neither shapes nor completeness were checked')
