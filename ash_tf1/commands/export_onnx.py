"""Export a checkpoint as an ONNX artifact."""
from ash_distribution.commands import to_paste
from ash_distribution.parser import Parser
from ash_tf1 import plugins
from ash_tf1.commands import options, showing
from ash_tf1.commands.artifacts import needing_tf2onnx, print_exported
from ash_tf1.commands.running import run
from ash_tf1.sessions import compute_in_one_thread


def main(argv=None):
    """Parses argv and runs the command; returns its exit status."""
    parser = Parser(
        'export',
        'Export a checkpoint of a training run, or one that was imported with '
        '--labels, as an artifact: model.onnx, and a test data set of real images with '
        'the answers that TensorFlow gave to them.',
        ['runs/digits artifacts/digits', 'runs/digits artifacts/best --checkpoint best',
         'imported/resnet50 artifacts/resnet50 --images photos'],
        notes='then, on modern Python:\n  ' + to_paste('verify', 'artifacts/digits'))
    parser.add_argument('checkpoint_dir', metavar='CHECKPOINT_DIR',
                        help='folder of the run, or folder that tools/import_checkpoint.py wrote')
    parser.add_argument('out_dir', metavar='OUT_DIR', help='folder to write the artifact to')
    parser.add_argument('--checkpoint', metavar='PATH',
                        help='"best", or a checkpoint: its folder, its prefix, or its .index, '
                             '.meta or .data-* file (default: the latest)')
    parser.add_argument('--data-dir', metavar='PATH',
                        help='folder or archive of the data set (default: as in training)')
    parser.add_argument('--images', metavar='PATH', nargs='+',
                        help='PNG or JPEG files, or folders of them, for the test data set '
                             '(default: the validation split of the data set, or its test '
                             'split)')
    parser.add_argument('--samples', type=int, default=8, metavar='N',
                        help='examples in the test data set (default: %(default)s)')
    options.add_any_size(parser)
    options.add_plugin(parser)
    options.add_artifact_options(parser)
    return run(parser, export, argv)


def export(args):
    """Exports by parsed arguments; returns the exit status."""
    plugins.load_for(args.checkpoint_dir, args.plugin)
    compute_in_one_thread()  # so that the artifact is the same on any machine
    result = needing_tf2onnx('runs').export(
        args.checkpoint_dir, args.out_dir, args.checkpoint, args.data_dir, args.samples,
        args.keep_graph, args.overwrite, args.opset, args.images, args.any_size)
    print_exported(result, args.json)
    line = None if args.json else showing.of_latest(args.checkpoint_dir, args.checkpoint)
    if line:
        print(line)
    return 0
