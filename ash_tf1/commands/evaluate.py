"""Evaluate a checkpoint of a training run with TensorFlow."""
import argparse
import json
import math

from ash_tf1 import evaluation
from ash_tf1.commands.running import run
from ash_tf1.input_pipelines import DATASETS


def main(argv=None):
    """Parses argv and runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        description='Evaluate a checkpoint of a training run on its data set, with TensorFlow; '
                    'or one that was imported with --labels, or any on photos in folders.',
        epilog='example: python tools/evaluate.py runs/ash --data-dir cifar-10-batches-py; '
               'python tools/evaluate.py imported --images photos')
    parser.add_argument('run_dir', metavar='RUN_DIR',
                        help='folder of the run, or of what tools/import_checkpoint.py wrote')
    parser.add_argument('--checkpoint', metavar='PATH',
                        help='"best", or a checkpoint: its folder, its prefix, or its .index, '
                             '.meta or .data-* file (default: the latest)')
    parser.add_argument('--dataset', metavar='NAME',
                        help='data set with the same labels and image size: {} (default: the one '
                             'of the run)'.format(', '.join(DATASETS)))
    parser.add_argument('--images', metavar='DIR',
                        help='in place of a data set: a folder with a folder of PNG or JPEG files '
                             'for each class, named by its label')
    parser.add_argument('--data-dir', metavar='PATH',
                        help='folder or archive of the data set (default: as in training)')
    parser.add_argument('--split', choices=('test', 'train'), default='test',
                        help='default: %(default)s')
    parser.add_argument('--batch-size', type=int, metavar='N',
                        help='images a step; changes no result (default: 500, fewer of large '
                             'images)')
    parser.add_argument('--json', action='store_true', help='print JSON instead of text')
    parser.add_argument('--quiet', action='store_true', help='no progress bar')
    return run(parser, _evaluate, argv)


def _evaluate(args):
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
