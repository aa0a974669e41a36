#!/usr/bin/env python3
"""Evaluate a checkpoint of a training run with TensorFlow; see --help."""
import argparse
import sys

import _train_side  # noqa: F401

from ash_tf1 import commands


def main(argv=None):
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
                             'of the run)'.format(', '.join(commands.DATASETS)))
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
    return commands.run(parser, commands.evaluate, argv)


if __name__ == '__main__':
    sys.exit(main())
