"""Import an old checkpoint, under the names of today's nets."""
import json

from ash_distribution.parser import Parser
from ash_tf1 import checkpoint, checkpoint_import, preprocessing
from ash_tf1.checkpoint_import.rules import ready_rules
from ash_tf1.commands import options
from ash_tf1.commands.running import print_line, run
from ash_tf1.preprocessing import Preprocessing
from ash_tf1.tasks import TASKS
from ash_tf1.tasks.classification.labels import read_labels
from ash_tf1.tasks.classification.spec import ClassifierSpec
from ash_tf1.training.run_dir import MODEL_FILE

INPUT_SHAPE = (224, 224, 3)  # of images, if none is given


def main(argv=None):
    """Parses argv and runs the command; returns its exit status."""
    parser = Parser(
        'import-checkpoint',
        'Import a TensorFlow 1 checkpoint of other code: give its variables the names '
        'that the nets have here, check them, and write them as a current checkpoint. '
        'With --labels, tools/evaluate.py and tools/export_onnx.py accept the folder '
        'of NEW as they accept the folder of a run. '
        'Rules say which name becomes which; docs/legacy-checkpoints.md describes '
        'them. There are ready rules for: {}.'.format(', '.join(ready_rules())),
        ['resnet_v1_50.ckpt --list',
         'resnet_v1_50.ckpt imported/resnet50/model.ckpt --map slim-resnet-v1 --net resnet_v1_50 '
         '--net-options stride_placement=slim --activation relu --labels imagenet.txt '
         '--preprocess vgg',
         'old.ckpt --dry-run --map rules.txt --net vgg_11 --classes 100'])
    parser.add_argument('old', metavar='OLD',
                        help='checkpoint, V1 or V2: its folder, its prefix, or its .index, .meta '
                             'or .data-* file')
    parser.add_argument('new', metavar='NEW', nargs='?',
                        help='prefix of the checkpoint to write, e.g. imported/model.ckpt')
    parser.add_argument('--map', metavar='RULES', action='append', default=[],
                        help='file of rules, or the name of ready rules; may be given several '
                             'times; the first rule that matches decides')
    parser.add_argument('--list', action='store_true',
                        help="only print OLD's variables, with dtype and shape")
    parser.add_argument('--dry-run', action='store_true', help='report, but write nothing')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace the checkpoint that is at NEW, and a model.json beside it')
    parser.add_argument('--ignore-unmatched', action='store_true',
                        help='leave out variables that no rule matches and that the net does not '
                             'have')
    group = parser.add_argument_group('the net that the checkpoint is for',
                                      'Without --net, names and shapes are not checked.')
    options.add_name(group, 'net', '--net', help='the net; ' + options.LISTED)
    group.add_argument('--classes', type=int, metavar='N', help='number of classes')
    group.add_argument('--net-options', nargs='*', default=[], metavar='KEY=VALUE',
                       help='options of the net, such as stride_placement=slim')
    group.add_argument('--labels', metavar='FILE',
                       help='text file with the name of a class on each line, in the order of the '
                            'classes; a model.json is written beside NEW, and --classes may be '
                            'left out')
    options.add_preprocess(group, 'how a photo becomes the input that the net was trained on, '
                                   'for model.json')
    options.add_input_size(group, '224')
    options.add_name(group, 'activation', '--activation', default='ash',
                     help='its activation; {} (default: %(default)s)'.format(options.LISTED))
    group.add_argument('--scope', metavar='NAME',
                       help='variable scope of the net (default: its name)')
    group.add_argument('--initialize-missing', action='store_true',
                       help='give initial values to variables of the net that OLD does not have')
    group.add_argument('--seed', type=int, default=0, metavar='N',
                       help='seed of these initial values (default: %(default)s)')
    options.add_json(parser)
    return run(parser, _import_checkpoint, argv)


def _import_checkpoint(args):
    if args.list:
        return _list_checkpoint(args.old)
    if args.new is None and not args.dry_run:
        raise ValueError('give the prefix NEW to write to, or --dry-run, or --list')
    target = _target(args)
    report = checkpoint_import.import_checkpoint(
        args.old, args.new, args.map, target, args.ignore_unmatched, args.initialize_missing,
        args.seed, args.overwrite, args.dry_run)
    if args.json:
        print(json.dumps(dict(report._asdict(), new=None if args.dry_run else args.new), indent=2))
        return 0
    _print_import(report)
    if target is not None and target.described:
        print_line('{} for {} labels, images {}, {}'.format(
            MODEL_FILE, target.spec.num_classes, 'x'.join(map(str, target.spec.input_shape)),
            json.dumps(target.spec.preprocessing.to_json())))
    print_line('dry run: nothing was written' if args.dry_run else
               'checkpoint: {}'.format(args.new))
    return 0


def _target(args):
    """The `checkpoint_import.Target` for the arguments; None if they name no net."""
    labels = () if args.labels is None else read_labels(args.labels)
    classes = len(labels) or None if args.classes is None else args.classes
    if (args.net is None) != (classes is None):
        raise ValueError('--net and --classes go together, and --labels may stand for --classes')
    if args.net is None and (args.initialize_missing or args.net_options):
        raise ValueError('--initialize-missing and --net-options need a --net')
    if args.preprocess and not labels:
        raise ValueError('--preprocess needs --labels: both are written into {}'.format(MODEL_FILE))
    return None if args.net is None else classifier_target(
        args.net, classes, options.input_shape(args.input_size, INPUT_SHAPE), args.activation,
        args.scope, tuple(args.net_options), labels, preprocessing.parse(args.preprocess))


def classifier_target(net, num_classes, input_size=INPUT_SHAPE, activation='ash', scope=None,
                      net_options=(), labels=(), preprocessing=None):
    """The `Target` of an image classifier. It is described if there are labels.

    Args:
      net, activation, net_options: as in `Settings`.
      num_classes: number of logits.
      input_size: height, width and channels of the images.
      scope: variable scope of the net; None for its default.
      labels: the names of the classes; empty if they are not known.
      preprocessing: the `Preprocessing` that the net was trained with; by default the net's input
        is RGB from 0 to 255.

    Raises:
      ValueError: a number is impossible, or there are more or fewer labels than classes.
    """
    for name, sizes, count in (('input_size', input_size, 3), ('num_classes', [num_classes], 1)):
        if any(size < 1 for size in sizes) or len(sizes) != count:
            raise ValueError('{} takes positive numbers{}, got {}'.format(
                name, ' H W C' if name == 'input_size' else '', ' '.join(map(str, sizes))))
    if labels and len(labels) != num_classes:
        raise ValueError('there are {} labels for {} classes'.format(len(labels), num_classes))
    preprocessing = preprocessing or Preprocessing()
    mean, std = preprocessing.mean, preprocessing.std
    if not labels:  # only names and shapes are checked, of images with any number of channels
        mean, std = (0.0,) * input_size[2], (1.0,) * input_size[2]
    spec = ClassifierSpec(
        net=net, activation=activation, dataset='', input_shape=tuple(input_size),
        channel_mean=mean, channel_std=std, training_images=0, net_options=net_options,
        labels=labels or tuple(map(str, range(num_classes))), scope=scope or '',
        channels=preprocessing.channels, resize=preprocessing.resize, crop=preprocessing.crop,
        interpolation=preprocessing.interpolation)
    return checkpoint_import.Target(TASKS['classification'], spec, bool(labels))


def _list_checkpoint(path):
    variables = checkpoint.list_variables(checkpoint.find_checkpoint(path, v1=True))
    width = max(map(len, variables), default=0)
    for name, variable in variables.items():
        print_line('{:<{}}  {} {}'.format(name, width, variable.dtype.name, variable.shape))
    return 0


def _print_import(report):
    renamed = [pair for pair in report.imported if pair[0] != pair[1]]
    print('imported {}, of them renamed {}, reshaped {}; filled {}, initialized {}; dropped {}, '
          'unmatched {}'.format(len(report.imported), len(renamed), len(report.reshaped),
                                len(report.filled), len(report.initialized), len(report.dropped),
                                len(report.unmatched)))
    for old, new in report.imported:
        print_line('  imported {}'.format(old) if old == new else
                   '  renamed {} -> {}'.format(old, new))
    for name, old, new in report.reshaped:
        print_line('  reshaped {}: {} -> {}'.format(name, old, new))
    for word in ('filled', 'initialized', 'dropped', 'unmatched'):
        for name in getattr(report, word):
            print_line('  {} {}'.format(word, name))
    if not report.checked:
        print('without --net, neither shapes nor completeness were checked')
