#!/usr/bin/env python3
"""Time whole training steps with ASH, Swish and ReLU, and their peak memory; see --help."""
import argparse
import os
import sys

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '1')
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

import _measuring  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow.compat.v1 as tf  # noqa: E402

from ash_tf1 import nets  # noqa: E402
from ash_tf1.sessions import keep_memory, session_config  # noqa: E402
from ash_tf1.tasks import TASKS  # noqa: E402
from ash_tf1.tasks.classification.spec import ClassifierSpec  # noqa: E402
from ash_tf1.training.graph import build_training_graph  # noqa: E402
from ash_tf1.training.settings import Settings  # noqa: E402

# What is compared: the activation, and the form of ASH.
CANDIDATES = {'relu': ('relu', 'auto'), 'swish': ('swish', 'auto'),
              'ash native': ('ash', 'native'), 'ash recompute': ('ash', 'recompute'),
              'ash plain': ('ash', 'plain')}
RIVAL = 'relu'
# Of a deep net not all fit into a machine's memory beside one another.
USUAL = ('relu', 'swish', 'ash native')
NETS = {'resnet_v2_20': tuple(CANDIDATES), 'resnet_v2_164': USUAL}
COLUMNS = ('net', 'batch', 'activation') + _measuring.SPREAD + (
    'ratio_to_relu', 'peak_mb', 'peak_ratio_to_relu', 'machine', 'tensorflow')
LINE = ('{net:<14} batch {batch}  {activation:<13} {median_ms:>9} ms [{p25_ms}, {p75_ms}]  '
        '{ratio_to_relu} x relu  peak {peak_mb:>6} MB, {peak_ratio_to_relu} x relu')


class Step:
    """A training step of a net in a session of its own, on one batch of noise."""

    def __init__(self, net, activation, implementation, batch):
        shape, classes = nets.reference_task(net)
        spec = ClassifierSpec(net, activation, 'noise', tuple(shape), (120.0,) * 3, (70.0,) * 3,
                              tuple(map(str, range(classes))), batch)
        settings = Settings(net=net, activation=activation, implementation=implementation,
                            steps=1000, batch_size=batch, learning_rate=1e-3)
        with tf.Graph().as_default():
            tf.set_random_seed(0)
            graph = build_training_graph(TASKS['classification'], spec, settings, settings.steps)
            self.session = tf.Session(config=session_config())
            self.session.run(tf.global_variables_initializer())
        rng = np.random.RandomState(0)
        self.feeds = graph.feed({
            'image': rng.randint(0, 256, (batch,) + tuple(shape)).astype(np.uint8),
            'label': np.arange(batch) % classes})
        self.train_op, self.layers = graph.train_ops[0], graph.layers

    def __call__(self):
        self.session.run(self.train_op, self.feeds)

    def peak_bytes(self):
        """The most that the step's tensors held at one time, by the record of its allocations."""
        metadata = tf.RunMetadata()
        self.session.run(self.train_op, self.feeds,
                         tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE), metadata)
        records = sorted((record.alloc_micros, record.alloc_bytes)
                         for device in metadata.step_stats.dev_stats for node in device.node_stats
                         for memory in node.memory for record in memory.allocation_records)
        return int(np.cumsum([size for _, size in records]).max())


def main(argv=None):
    parser = argparse.ArgumentParser(
        description='Time training steps of ResNet-20 and ResNet-164 with ReLU, Swish and the '
                    'forms of ASH, in turns, and take their peak memory from the run metadata. '
                    'Writes OUT/training_step.csv. Takes about 10 minutes.',
        epilog='example: python benchmarks/training_step.py --out runs/bench --net resnet_v2_20')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder for the CSV')
    parser.add_argument('--net', choices=sorted(nets.NETS), metavar='NET',
                        help='one net (default: {})'.format(' and '.join(NETS)))
    parser.add_argument('--batch', type=int, default=128, help='(default: %(default)s)')
    parser.add_argument('--repeats', type=int, default=15, metavar='N',
                        help='timed steps of each candidate, a third in nets of more than 100 '
                             'activations (default: %(default)s)')
    args = parser.parse_args(argv)
    if args.repeats < 3 or args.batch < 1:
        parser.error('--repeats must be 3 or more and --batch 1 or more')
    tf.logging.set_verbosity(tf.logging.ERROR)
    keep_memory()  # as tools/train.py does
    with _measuring.Table(os.path.join(args.out, 'training_step.csv'), COLUMNS, LINE) as table:
        for net in [args.net] if args.net else NETS:
            steps = {name: Step(net, *CANDIDATES[name], batch=args.batch)
                     for name in NETS.get(net, USUAL)}
            layers = len(steps['ash native'].layers)
            repeats = args.repeats if layers <= 100 else max(3, args.repeats // 3)
            seconds = _measuring.take_turns(steps, 2, repeats)
            peaks = {name: step.peak_bytes() for name, step in steps.items()}
            for name, values in seconds.items():
                table.add(dict(
                    _measuring.spread(values), net=net, batch=args.batch, activation=name,
                    ratio_to_relu='{:.3f}'.format(np.median(values) / np.median(seconds[RIVAL])),
                    peak_mb='{:.1f}'.format(peaks[name] / 2 ** 20),
                    peak_ratio_to_relu='{:.3f}'.format(peaks[name] / peaks[RIVAL]),
                    machine=_measuring.machine(), tensorflow=tf.__version__))
            for step in steps.values():
                step.session.close()
    return 0


if __name__ == '__main__':
    sys.exit(main())
