#!/usr/bin/env python3
"""Convert a frozen TensorFlow 1 graph to an ONNX artifact; see --help."""
import argparse
import sys

import _train_side  # noqa: F401

from ash_tf1 import commands
from ash_tf1.converting import opsets


def main(argv=None):
    parser = argparse.ArgumentParser(
        description='Convert a frozen graph that TensorFlow 1 left, with ASH in any of its forms '
                    'or without, to an artifact: model.onnx, and a test data set of inputs with '
                    'the answers that the graph itself gave to them. An op that reads or writes '
                    'files, runs Python or draws random numbers is refused, and not run.',
        epilog='example: python tools/convert.py vgg19.pb artifacts/vgg19 --output vgg/Softmax; '
               'then, on modern Python: python tools/verify_onnx.py artifacts/vgg19')
    parser.add_argument('source', metavar='SOURCE', help='a frozen GraphDef, .pb or .pbtxt')
    parser.add_argument('out_dir', metavar='OUT_DIR', help='folder to write the artifact to')
    parser.add_argument('--input', action='append', default=[], metavar='NAME[:SHAPE]',
                        help='a tensor that becomes an input, with a shape such as ?,224,224,3 or '
                             '4, (default: the placeholders that the outputs depend on)')
    parser.add_argument('--output', action='append', default=[], metavar='NAME',
                        help='a tensor that becomes an output (default: the one that nothing '
                             'reads)')
    parser.add_argument('--samples', metavar='FILE',
                        help='inputs of the test data set: .npy, or .npz with an array for each '
                             'input (default: made up)')
    parser.add_argument('--seed', type=int, default=0, metavar='N',
                        help='of inputs that are made up (default: %(default)s)')
    parser.add_argument('--opset', type=int, default=opsets.DEFAULT, metavar='N',
                        help="version of ONNX's operators, {} to {} (default: %(default)s)".format(
                            opsets.FIRST, opsets.LAST))
    parser.add_argument('--keep-graph', action='store_true',
                        help='keep the graph that was converted too, as frozen_graph.pb')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace the artifact that OUT_DIR holds')
    return commands.run(parser, commands.convert, argv)


if __name__ == '__main__':
    sys.exit(main())
