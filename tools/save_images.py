#!/usr/bin/env python3
"""Save a data set as image files; see --help."""
import argparse
import sys

import _train_side  # noqa: F401

from ash_tf1 import commands


def main(argv=None):
    parser = argparse.ArgumentParser(
        description='Save a data set as PNG files, OUT_DIR/LABEL/INDEX.png: what tools/predict.py '
                    'and tools/evaluate_onnx.py take. The files hold the very pixels.',
        epilog='example: python tools/save_images.py cifar10 images --data-dir cifar-10-batches-py')
    parser.add_argument('dataset', metavar='DATASET', help='name of the data set')
    parser.add_argument('out_dir', metavar='OUT_DIR', help='folder to make')
    parser.add_argument('--data-dir', metavar='PATH', help='folder or archive of the data set')
    parser.add_argument('--split', choices=('test', 'train'), default='test',
                        help='default: %(default)s')
    parser.add_argument('--per-class', type=int, metavar='N',
                        help='images of each class, the first ones (default: all)')
    parser.add_argument('--overwrite', action='store_true', help='replace OUT_DIR')
    return commands.run(parser, commands.save_images, argv)


if __name__ == '__main__':
    sys.exit(main())
