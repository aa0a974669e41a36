"""Convert what TensorFlow 1 left to an ONNX artifact."""
import argparse
import contextlib
import os

from ash_distribution.commands import to_paste
from ash_distribution.parser import Parser
from ash_tf1 import marking, plugins, preprocessing
from ash_tf1.commands import export_onnx, options
from ash_tf1.commands.artifacts import needing_tf2onnx, print_exported
from ash_tf1.commands.import_checkpoint import INPUT_SHAPE, classifier_target
from ash_tf1.commands.running import run
from ash_tf1.sessions import compute_in_one_thread
from ash_tf1.tasks.classification.adapting import GraphClassifier
from ash_tf1.tasks.classification.labels import read_labels
from ash_tf1.training.run_dir import MODEL_FILE

KERAS_SUFFIXES = ('.h5', '.hdf5', '.keras')


def main(argv=None):
    """Parses argv and runs the command; returns its exit status."""
    parser = Parser(
        'convert',
        'Convert a graph that TensorFlow 1 saved, with ASH in any of its forms or '
        'without, to an artifact: model.onnx, and a test data set of inputs with the '
        'answers that the graph itself gave to them. Variables are read from their '
        'checkpoint without running ops of the graph. A graph is refused if it has an '
        'op that reads or writes files, runs Python or draws random numbers; such an '
        'op is not run.',
        ['saved_model/ artifacts/vgg19 --set keep_prob=1.0',
         'frozen.pb artifacts/vgg19 --labels labels.txt --preprocess vgg',
         'model.ckpt-1000 artifacts/vgg11 --net vgg_11 --classes 10'],
        notes='then, on modern Python:\n  ' + to_paste('verify', 'artifacts/vgg19'))
    parser.add_argument('source', metavar='SOURCE',
                        help='a frozen GraphDef, .pb or .pbtxt; the folder of a SavedModel; the '
                             'prefix or folder of a checkpoint with its MetaGraph (.meta); a Keras '
                             'model, .h5; the folder of a run, as for tools/export_onnx.py; or, '
                             'with --net, a checkpoint')
    parser.add_argument('out_dir', metavar='OUT_DIR', help='folder to write the artifact to')
    parser.add_argument('--input', action='append', default=[], metavar='NAME[:SHAPE]',
                        help='a tensor that becomes an input, with a shape such as ?,224,224,3 or '
                             '4, (default: those of the signature, or the one placeholder)')
    parser.add_argument('--output', action='append', default=[], metavar='NAME',
                        help='a tensor that becomes an output (default: those of the signature, '
                             'or the one that nothing reads)')
    parser.add_argument('--set', nargs='+', default=[], metavar='NAME=VALUE',
                        help='placeholders that become constants, such as is_training=false '
                             'keep_prob=1.0; branches and dropout that they switch off are removed')
    parser.add_argument('--tag', metavar='TAG[,TAG]',
                        help='tags of the graph in a SavedModel (default: the only ones, or serve)')
    parser.add_argument('--signature', metavar='KEY',
                        help='signature that names inputs and outputs (default: the only one, or '
                             'serving_default)')
    parser.add_argument('--allow-training-mode', action='store_true',
                        help='accept BatchNorm in training mode, which uses the statistics of each '
                             'batch')
    parser.add_argument('--trust-code', action='store_true',
                        help='load a Keras model with Lambda layers, whose Python code is then run')
    parser.add_argument('--labels', metavar='FILE',
                        help='labels of the classes, one per line: makes the artifact an image '
                             'classifier, which takes uint8 RGB pixels and which predict.py and '
                             'evaluate_onnx.py can use')
    options.add_preprocess(parser, 'for an image classifier: how photos become pixels, and how the '
                                   'graph turns pixels into the input')
    parser.add_argument('--samples', metavar='PATH',
                        help='inputs of the test data set: .npy, .npz with an array for each '
                             'input, an image or a folder of images (default: random ones)')
    parser.add_argument('--seed', type=int, default=0, metavar='N',
                        help='seed of the random inputs (default: %(default)s)')
    parser.add_argument('--time-limit', type=float, default=1800, metavar='SECONDS',
                        help='limit of the process that reads and converts (default: %(default)s)')
    parser.add_argument('--memory-limit', type=float, metavar='GB',
                        help='limit of the data of this process (default: three quarters of the '
                             'machine\'s memory)')
    parser.add_argument('--verbose', action='store_true',
                        help='show the messages of TensorFlow and tf2onnx, and tracebacks')
    options.add_plugin(parser)
    options.add_artifact_options(parser)
    _add_net(parser.add_argument_group(
        'for the checkpoint of a net',
        'For a checkpoint that your own training loop wrote for one of the nets here. The artifact '
        'is an image classifier.'))
    return run(parser, _convert, argv)


def _add_net(group):
    options.add_name(group, 'net', '--net', help='the net; ' + options.LISTED)
    group.add_argument('--classes', type=int, metavar='N',
                       help='number of classes, if there are no --labels; the labels are then 0, '
                            '1, 2 and so on')
    options.add_input_size(group, '224; for a graph with --labels its own, or what photos are '
                                  'fitted to if it takes any size')
    options.add_any_size(group)
    options.add_name(group, 'activation', '--activation',
                     help='its activation; {} (default: ash)'.format(options.LISTED))
    group.add_argument('--net-options', nargs='*', default=[], metavar='KEY=VALUE',
                       help='options of the net, such as stride_placement=slim')
    group.add_argument('--scope', metavar='NAME',
                       help='variable scope of the net (default: the scope that has its variables)')


def _convert(args):
    _check_together(args)
    plugins.load(args.plugin)
    if not args.net and os.path.isfile(os.path.join(args.source, MODEL_FILE)):
        return _convert_run(args)
    containment = needing_tf2onnx('containment')
    convert = _net_conversion(args) if args.net else _conversion(args)
    with marking.replacing_folder(args.out_dir, args.overwrite) as folder:
        os.rmdir(folder)  # the child process makes it anew, if it succeeds
        gigabytes = (containment.default_gigabytes() if args.memory_limit is None
                     else args.memory_limit)
        with _naming(args.source):
            result = containment.call(lambda: convert(folder), args.time_limit, gigabytes,
                                      args.verbose)
    result = result._replace(folder=args.out_dir)
    print_exported(result, args.json)
    return 0


@contextlib.contextmanager
def _naming(source):
    """Puts the source into the message of an error that does not name it."""
    try:
        yield
    except (ValueError, RuntimeError) as error:
        if source in str(error):
            raise
        kind = ValueError if isinstance(error, ValueError) else RuntimeError
        raise kind('{}: {}'.format(source, error)) from error


def _check_together(args):
    """Raises ValueError for options that do not go with the kind of source."""
    of_graphs = ('input', 'output', 'set', 'tag', 'signature', 'allow_training_mode', 'trust_code')
    of_nets = ('classes', 'activation', 'net_options', 'scope')
    for name in of_graphs if args.net else of_nets:
        if getattr(args, name):
            raise ValueError('--{} {}'.format(
                name.replace('_', '-'), 'is for graphs: leave out it or --net' if args.net else
                'is for checkpoints: give --net too'))
    if args.input_size and not (args.net or args.labels):
        raise ValueError('--input-size is for image classifiers: give --net or --labels too')


def _convert_run(args):
    """Does what tools/export_onnx.py does, from the arguments of tools/convert.py."""
    for name in ('input', 'output', 'set', 'tag', 'signature', 'labels', 'preprocess'):
        if getattr(args, name):
            raise ValueError('{} is the folder of a run, whose {} says that: leave out --{}'.format(
                args.source, MODEL_FILE, name))
    return export_onnx.export(argparse.Namespace(
        checkpoint_dir=args.source, out_dir=args.out_dir, checkpoint=None, data_dir=None,
        samples=8, keep_graph=args.keep_graph, overwrite=args.overwrite, opset=args.opset,
        plugin=args.plugin, any_size=args.any_size, json=args.json,
        images=args.samples and [args.samples]))


def _net_conversion(args):
    """Returns the function that converts a checkpoint of --net into the folder that it is given."""
    if (args.labels is None) == (args.classes is None):
        raise ValueError('--net needs --labels, or --classes if the classes have no names')
    labels = read_labels(args.labels) if args.labels else tuple(map(str, range(args.classes)))
    target = classifier_target(
        args.net, len(labels), options.input_shape(args.input_size, INPUT_SHAPE),
        args.activation or 'ash', args.scope, tuple(args.net_options), labels,
        preprocessing.parse(args.preprocess))
    runs = needing_tf2onnx('runs')

    def convert(folder):
        compute_in_one_thread()
        return runs.convert_checkpoint(args.source, target.task, target.spec, folder,
                                       args.samples, args.seed, args.keep_graph, opset=args.opset,
                                       any_size=args.any_size)
    return convert


def _conversion(args):
    """Returns the function that converts a graph into the folder that it is given."""
    if args.any_size:
        raise ValueError('--any-size is for nets and runs: a graph takes any size by --input '
                         'NAME:?,?,?,3')
    foreign = needing_tf2onnx('foreign')
    conversion = foreign.Options(
        inputs=tuple(map(_input, args.input)), outputs=tuple(args.output),
        values=tuple(map(_setting, args.set)), tags=args.tag and tuple(args.tag.split(',')),
        signature=args.signature, allow_training_mode=args.allow_training_mode,
        adapter=_adapter(args), samples=args.samples, seed=args.seed, opset=args.opset,
        keep_graph=args.keep_graph)

    def convert(folder):
        compute_in_one_thread()
        source = args.source
        if source.endswith(KERAS_SUFFIXES):
            source = needing_tf2onnx('hdf5', 'ash_tf1.keras').read(source, args.trust_code)
        return foreign.convert(source, folder, conversion)
    return convert


def _adapter(args):
    """What turns a graph into an image classifier, if labels are given; else None."""
    if args.labels is None:
        if args.preprocess:
            raise ValueError('--preprocess is for image classifiers: give --labels too')
        return None
    return GraphClassifier(read_labels(args.labels), preprocessing.parse(args.preprocess),
                           options.input_shape(args.input_size, ())[:2] or None)


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
