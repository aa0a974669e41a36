#!/usr/bin/env python3
"""Export a checkpoint as an ONNX artifact; see --help."""
import argparse
import sys

import _train_side  # noqa: F401

from ash_tf1 import commands


def main(argv=None):
    parser = argparse.ArgumentParser(
        description='Export a checkpoint of a training run, or one that was imported with '
                    '--labels, as an artifact: model.onnx, and a test data set of real images with '
                    'the answers that TensorFlow gave to them.',
        epilog='example: python tools/export_onnx.py runs/ash artifacts/ash; '
               'python tools/export_onnx.py imported artifacts/resnet50 --images photos; '
               'then, on modern Python: python tools/verify_onnx.py artifacts/ash')
    parser.add_argument('checkpoint_dir', metavar='CHECKPOINT_DIR',
                        help='folder of the run, or of what tools/import_checkpoint.py wrote')
    parser.add_argument('out_dir', metavar='OUT_DIR', help='folder to write the artifact to')
    parser.add_argument('--checkpoint', metavar='PATH',
                        help='"best", or a checkpoint: its folder, its prefix, or its .index, '
                             '.meta or .data-* file (default: the latest)')
    parser.add_argument('--data-dir', metavar='PATH',
                        help='folder or archive of the data set (default: as in training)')
    parser.add_argument('--images', metavar='PATH', nargs='+',
                        help='PNG or JPEG files, or folders of them, for the test data set '
                             '(default: the test split of the data set)')
    parser.add_argument('--samples', type=int, default=8, metavar='N',
                        help='images in the test data set (default: %(default)s)')
    commands.add_artifact_options(parser)
    return commands.run(parser, commands.export, argv)


if __name__ == '__main__':
    sys.exit(main())
