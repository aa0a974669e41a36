#!/usr/bin/env python3
"""Time ASH against its rivals under TensorFlow 1.15; see --help.

All candidates are in one graph and one process, and take turns, so that a noisy machine is noisy
for each of them alike.
"""
import argparse
import csv
import os
import platform
import sys
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '1')
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

import numpy as np  # noqa: E402
import tensorflow.compat.v1 as tf  # noqa: E402

from ash_tf1 import get_activation  # noqa: E402

# The feature maps of ResNet-20 at batch 128, and a wide one.
SHAPES = ((128, 32, 32, 16), (128, 16, 16, 32), (128, 8, 8, 64), (64, 32, 32, 64))
CANDIDATES = (('relu', 'recompute'), ('swish', 'recompute'), ('ash', 'plain'),
              ('ash', 'recompute'))
RIVAL = 'relu'
COLUMNS = ('shape', 'activation', 'direction', 'median_ms', 'p25_ms', 'p75_ms', 'n',
           'ratio_to_relu', 'machine', 'tensorflow')


def measure(shape, warm_up, repeats):
    """Times forward, and forward with backward, of every candidate; yields rows of COLUMNS."""
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        # Both read from memory, as a layer's input is, and nothing else is done to them.
        x = tf.Variable(tf.random_normal(shape)).read_value()
        dy = tf.Variable(tf.random_normal(shape)).read_value()
        runs = {}
        for name, implementation in CANDIDATES:
            label = name if name != 'ash' else 'ash ({})'.format(implementation)
            with tf.variable_scope(label.replace(' (', '_').rstrip(')')):
                y = get_activation(name, implementation)(x)
                variables = tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES,
                                              tf.get_variable_scope().name + '/')
            gradients = tf.gradients(y, [x] + variables, dy)
            runs[label, 'forward'] = y.op
            runs[label, 'forward+backward'] = [y.op] + [g.op for g in gradients]
        seconds = {key: [] for key in runs}
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            for i in range(warm_up + repeats):
                for key, run in runs.items():
                    start = time.perf_counter()
                    session.run(run)
                    if i >= warm_up:
                        seconds[key].append(time.perf_counter() - start)
    for (label, direction), values in seconds.items():
        low, median, high = 1e3 * np.percentile(values, (25, 50, 75))
        yield dict(shape='x'.join(map(str, shape)), activation=label, direction=direction,
                   median_ms='{:.3f}'.format(median), p25_ms='{:.3f}'.format(low),
                   p75_ms='{:.3f}'.format(high), n=len(values),
                   ratio_to_relu='{:.2f}'.format(
                       np.median(values) / np.median(seconds[RIVAL, direction])),
                   machine='{} {} cores'.format(platform.machine(), os.cpu_count()),
                   tensorflow=tf.__version__)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description='Time ASH against ReLU and Swish, forward and with backward, over the layer '
                    'shapes of ResNet-20. Writes OUT/activations.csv and prints it.',
        epilog='example: python benchmarks/activations.py --out runs/bench')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder for the CSV')
    parser.add_argument('--repeats', type=int, default=20, metavar='N',
                        help='timed runs of each candidate (default: %(default)s)')
    parser.add_argument('--warm-up', type=int, default=3, metavar='N',
                        help='untimed runs before (default: %(default)s)')
    args = parser.parse_args(argv)
    if args.repeats < 1 or args.warm_up < 0:
        parser.error('--repeats must be 1 or more and --warm-up 0 or more')
    tf.logging.set_verbosity(tf.logging.ERROR)
    os.makedirs(args.out, exist_ok=True)
    path = os.path.join(args.out, 'activations.csv')
    with open(path, 'w', newline='') as handle:
        writer = csv.DictWriter(handle, COLUMNS)
        writer.writeheader()
        for shape in SHAPES:
            for row in measure(shape, args.warm_up, args.repeats):
                writer.writerow(row)
                print('{shape:>14}  {activation:<16} {direction:<17} {median_ms:>9} ms '
                      '[{p25_ms}, {p75_ms}]  {ratio_to_relu:>6} x relu'.format(**row))
    print(path)
    return 0


if __name__ == '__main__':
    sys.exit(main())
