#!/usr/bin/env python3
"""Export nets with random weights as artifacts, for benchmarks of what serves them; see --help."""
import argparse
import json
import os
import sys

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '1')
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

import numpy as np  # noqa: E402
import tensorflow.compat.v1 as tf  # noqa: E402

from ash_tf1 import nets  # noqa: E402
from ash_tf1.converting import artifact, lowering, onnx_model, opsets, proof  # noqa: E402
from ash_tf1.ops import get_activation  # noqa: E402
from ash_tf1.sessions import session_config  # noqa: E402

SIGNATURE = onnx_model.Signature((('images', 'images:0'),),
                                 (('logits', 'logits:0'), ('probabilities', 'probabilities:0')))


def export(net, activation, out, opset=opsets.DEFAULT):
    """Writes the artifact of a net as it is before training, of the size it was published for."""
    shape, classes = nets.reference_task(net)
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        pixels = tf.placeholder(tf.uint8, (None,) + tuple(shape), name='images')
        logits, _ = nets.get_net(net)((tf.cast(pixels, tf.float32) - 127.5) / 75.0, classes,
                                      get_activation(activation), is_training=False)
        tf.nn.softmax(tf.identity(logits, name='logits'), name='probabilities')
        with tf.Session(config=session_config()) as session:
            session.run(tf.global_variables_initializer())
            graph_def = lowering.lower(onnx_model.freeze_session(session, SIGNATURE))
    images = np.random.RandomState(0).randint(0, 256, (1,) + tuple(shape)).astype(np.uint8)
    answers = onnx_model.run_frozen(graph_def, SIGNATURE, images)
    # Random weights magnify roundings: the tolerance says nothing of a trained net.
    artifact.write(out, False, proof.Proof(graph_def, SIGNATURE, [images], answers, proof.MOST), {
        'kind': 'image_classifier', 'labels': json.dumps(list(map(str, range(classes)))),
        'input_shape': json.dumps(list(shape)), 'net': net, 'activation': activation,
        'samples': 'noise'}, opset=opset)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description='Exports nets with random weights as artifacts OUT/NET-ACTIVATION, unless '
                    'they are there.',
        epilog='example: python benchmarks/export_nets.py --out runs/bench/nets resnet_v2_20 '
               '--activations relu ash')
    parser.add_argument('nets', nargs='+', metavar='NET')
    parser.add_argument('--activations', nargs='+', default=['relu', 'swish', 'ash'], metavar='A')
    parser.add_argument('--opset', type=int, default=opsets.DEFAULT, metavar='N')
    parser.add_argument('--out', required=True, metavar='DIR')
    args = parser.parse_args(argv)
    tf.logging.set_verbosity(tf.logging.ERROR)
    os.makedirs(args.out, exist_ok=True)
    for net in args.nets:
        for activation in args.activations:
            folder = os.path.join(args.out, '{}-{}'.format(net, activation))
            if not os.path.exists(folder):
                export(net, activation, folder, args.opset)
                print(folder, flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
