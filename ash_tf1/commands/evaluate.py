"""Evaluate a checkpoint of a training run with TensorFlow."""
import json

from ash_distribution.parser import Parser
from ash_tf1 import plugins
from ash_tf1.commands import options, showing
from ash_tf1.commands.running import print_line, run
from ash_tf1.sessions import keep_memory
from ash_tf1.training.evaluation import SPLITS, evaluate


def main(argv=None):
    """Parses argv and runs the command; returns its exit status."""
    parser = Parser(
        'evaluate',
        'Evaluate a checkpoint with TensorFlow: one of a training run, or one that was '
        'imported with --labels, on a data set or on photos in folders.',
        ['runs/digits', 'runs/digits --split validation --checkpoint best',
         'imported/resnet50 --images photos'])
    parser.add_argument('run_dir', metavar='RUN_DIR',
                        help='folder of the run, or folder that tools/import_checkpoint.py wrote')
    parser.add_argument('--checkpoint', metavar='PATH',
                        help='"best", or a checkpoint: its folder, its prefix, or its .index, '
                             '.meta or .data-* file (default: the latest)')
    options.add_name(parser, 'dataset', '--dataset',
                     help='data set with the same labels and image size; {} (default: the one of '
                          'the run)'.format(options.LISTED))
    parser.add_argument('--images', metavar='DIR',
                        help='evaluate on photos instead: a folder with a folder of PNG or JPEG '
                             'files for each class, named by its label')
    parser.add_argument('--data-dir', metavar='PATH',
                        help='folder or archive of the data set (default: as in training)')
    parser.add_argument('--split', choices=SPLITS, default='test',
                        help='default: %(default)s')
    parser.add_argument('--batch-size', type=int, metavar='N',
                        help='images per step; changes no result (default: 500, fewer if the '
                             'images are large)')
    options.add_plugin(parser)
    options.add_json(parser)
    parser.add_argument('--quiet', action='store_true', help='no progress bar')
    return run(parser, _evaluate, argv)


def _evaluate(args):
    keep_memory()
    plugins.load_for(args.run_dir, args.plugin)
    evaluation, spec, prefix = evaluate(
        args.run_dir, args.checkpoint, args.data_dir, args.split, args.batch_size,
        not args.quiet, args.dataset, args.images)
    if args.json:
        where = {'split': args.split} if args.images is None else {'images': args.images}
        print(json.dumps(dict({'checkpoint': prefix}, **where, **evaluation.to_json(spec)),
                         indent=2, allow_nan=False))
        return 0
    print_line('{}: {} on {}'.format(prefix, spec.net, args.images or '{}, {} split'.format(
        args.dataset or spec.dataset, args.split)))
    print(evaluation.summary())
    rows = evaluation.table(spec)
    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        print_line('  {:<{}}  {:>7}'.format(name, width, text))
    line = showing.of_latest(args.run_dir, args.checkpoint)
    if line:
        print_line(line)
    return 0
