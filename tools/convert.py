#!/usr/bin/env python3
"""Convert what TensorFlow 1 left to an ONNX artifact; see --help."""
import argparse
import sys

import _train_side  # noqa: F401

from ash_tf1 import commands


def main(argv=None):
    parser = argparse.ArgumentParser(
        description='Convert a graph that TensorFlow 1 left, with ASH in any of its forms or '
                    'without, to an artifact: model.onnx, and a test data set of inputs with the '
                    'answers that the graph itself gave to them. Variables are read from their '
                    'checkpoint by no op of the graph. An op that reads or writes files, runs '
                    'Python or draws random numbers is refused, and not run.',
        epilog='example: python tools/convert.py saved_model/ artifacts/vgg19 --set keep_prob=1.0; '
               'then, on modern Python: python tools/verify_onnx.py artifacts/vgg19')
    parser.add_argument('source', metavar='SOURCE',
                        help='a frozen GraphDef, .pb or .pbtxt; the folder of a SavedModel; a '
                             'MetaGraph (.meta) with its checkpoint: the prefix or folder of both; '
                             'a Keras model, .h5; or the folder of a run, as for '
                             'tools/export_onnx.py')
    parser.add_argument('out_dir', metavar='OUT_DIR', help='folder to write the artifact to')
    parser.add_argument('--input', action='append', default=[], metavar='NAME[:SHAPE]',
                        help='a tensor that becomes an input, with a shape such as ?,224,224,3 or '
                             '4, (default: those of the signature, or the one placeholder)')
    parser.add_argument('--output', action='append', default=[], metavar='NAME',
                        help='a tensor that becomes an output (default: those of the signature, '
                             'or the one that nothing reads)')
    parser.add_argument('--set', nargs='+', default=[], metavar='NAME=VALUE',
                        help='placeholders that become constants, such as is_training=false '
                             'keep_prob=1.0; branches and dropout that they switch off go')
    parser.add_argument('--tag', metavar='TAG[,TAG]',
                        help='of the graph in a SavedModel (default: the only one, or serve)')
    parser.add_argument('--signature', metavar='KEY',
                        help='signature that names inputs and outputs (default: the only one, or '
                             'serving_default)')
    parser.add_argument('--allow-training-mode', action='store_true',
                        help='let BatchNorm use the statistics of the batch that it is given')
    parser.add_argument('--trust-code', action='store_true',
                        help='load a Keras model with Lambda layers, which run Python code')
    parser.add_argument('--labels', metavar='FILE',
                        help='labels of the classes, one a line: the artifact becomes an image '
                             'classifier, which takes uint8 RGB pixels and which predict.py and '
                             'evaluate_onnx.py know')
    commands.add_preprocess(parser, 'with --labels: how pixels become the input, in the graph, '
                                    'and photos become pixels')
    parser.add_argument('--samples', metavar='PATH',
                        help='inputs of the test data set: .npy, .npz with an array for each '
                             'input, an image or a folder of images (default: made up)')
    parser.add_argument('--seed', type=int, default=0, metavar='N',
                        help='of inputs that are made up (default: %(default)s)')
    parser.add_argument('--time-limit', type=float, default=1800, metavar='SECONDS',
                        help='of the process that reads and converts (default: %(default)s)')
    parser.add_argument('--memory-limit', type=float, metavar='GB',
                        help='of its data (default: three quarters of the memory there is)')
    parser.add_argument('--verbose', action='store_true',
                        help='let through what TensorFlow and tf2onnx say, and tracebacks')
    commands.add_artifact_options(parser)
    return commands.run(parser, commands.convert, argv)


if __name__ == '__main__':
    sys.exit(main())
