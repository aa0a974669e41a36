#!/usr/bin/env python3
"""Time ASH against its rivals under TensorFlow 1.15, layer by layer; see --help."""
import argparse
import os
import sys

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '1')
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

import _measuring  # noqa: E402
import _plotting  # noqa: E402
import tensorflow.compat.v1 as tf  # noqa: E402

from ash_tf1 import ops  # noqa: E402
from ash_tf1.sessions import keep_memory  # noqa: E402

# Feature maps that nets have, at batch 128 or what fits; the first is that of the budget.
SHAPES = (
    ('', (64, 32, 32, 64)),
    ('ResNet-20', (128, 32, 32, 16)), ('ResNet-20', (128, 16, 16, 32)),
    ('ResNet-20', (128, 8, 8, 64)),
    ('ResNet-164', (128, 32, 32, 64)), ('ResNet-164', (128, 16, 16, 128)),
    ('ResNet-164', (128, 8, 8, 256)),
    ('WRN-28-10', (128, 32, 32, 160)), ('WRN-28-10', (128, 16, 16, 320)),
    ('WRN-28-10', (128, 8, 8, 640)),
    ('VGG19', (8, 224, 224, 64)), ('VGG19', (16, 112, 112, 128)), ('VGG19', (16, 56, 56, 256)),
    ('VGG19', (32, 28, 28, 512)), ('VGG19', (128, 14, 14, 512)), ('VGG19', (128, 100)),
)
RIVAL = 'relu'
DIRECTIONS = ('forward', 'forward+backward')
COLUMNS = ('net', 'shape', 'activation', 'direction') + _measuring.SPREAD + (
    'ratio_to_relu', 'gb_per_s', 'share_of_copy', 'copy_gb_per_s', 'machine', 'instruction_set',
    'tensorflow')
LINE = ('{net:<10} {shape:>14}  {activation:<13} {direction:<17} {median_ms:>9} ms '
        '[{p25_ms}, {p75_ms}]  {ratio_to_relu:>5} x relu  {share_of_copy:>4} of the copy\'s GB/s')
# Each map read or written once: forward x and y; backward dy, dx and what the gradient needs.
LEAST_MAPS = {'forward': 2, 'forward+backward': 5}
LARGE = 8e6  # elements of a map that is timed less often


def of_form(implementation):
    """ASH in a form, and what its gradients are taken for besides x."""
    def build(x):
        parameters = [tf.Variable([value]) for value in (ops.Z_K_INIT, ops.ALPHA_INIT)]
        y = ops.apply_ash(x, *parameters, implementation=implementation)
        return y, parameters
    return build


CANDIDATES = {
    'relu': lambda x: (tf.nn.relu(x), []),
    'swish': lambda x: (tf.nn.swish(x), []),
    'ash plain': of_form('plain'),
    'ash recompute': of_form('recompute'),
    'ash xla': None,  # plain, compiled by XLA; see `build_xla`
    'ash native': of_form('native'),
}


def build(candidate, x, dy):
    """The tensors that a forward pass computes, and those of both passes."""
    y, parameters = CANDIDATES[candidate](x)
    return [y], [y] + tf.gradients(y, [x] + parameters, dy)


def build_xla(x, dy):
    parameters = [tf.Variable([value]) for value in (ops.Z_K_INIT, ops.ALPHA_INIT)]

    def forward(x, z_k, alpha):
        return ops.apply_ash(x, z_k, alpha, implementation='plain')

    def both(x, dy, z_k, alpha):
        y = forward(x, z_k, alpha)
        return [y] + tf.gradients(y, [x, z_k, alpha], dy)

    return (tf.xla.experimental.compile(forward, [x] + parameters),
            tf.xla.experimental.compile(both, [x, dy] + parameters))


def measure(shape, warm_up, repeats):
    """Seconds of every candidate in both directions: {(candidate, direction): [...]}."""
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        # Both read from memory, as a layer's input is, and nothing else is done to them.
        x = tf.Variable(tf.random_normal(shape)).read_value()
        dy = tf.Variable(tf.random_normal(shape)).read_value()
        fetches = {}
        for candidate in CANDIDATES:
            tensors = build_xla(x, dy) if candidate == 'ash xla' else build(candidate, x, dy)
            for direction, fetched in zip(DIRECTIONS, tensors):
                fetches[candidate, direction] = [tensor.op for tensor in fetched]
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            # Compiled before, which takes seconds.
            runs = {key: session.make_callable(fetched) for key, fetched in fetches.items()}
            return _measuring.take_turns(runs, warm_up, repeats)


def plot(rows, path):
    """Bars of forward and backward, in multiples of ReLU's time, of each shape and candidate."""
    rows = [row for row in rows if row['direction'] == DIRECTIONS[1]]
    _plotting.bars(path, [
        ('{net} {shape}'.format(**row).strip(), row['activation'], float(row['ratio_to_relu']))
        for row in rows if row['activation'] != RIVAL],
        'The price of an activation ({})'.format(rows[0]['machine']),
        'time of forward and backward, as a multiple of ReLU\'s', ticks=[0.5, 1, 2, 4, 8, 16])
    print(path)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description='Time the forms of ASH against ReLU and Swish, forward and with backward, in '
                    'turns, over layers of ResNet-20, ResNet-164, WRN-28-10 and VGG19. Writes '
                    'OUT/activations.csv and OUT/activations.png. Takes about 5 minutes.',
        epilog='example: python benchmarks/activations.py --out runs/bench')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder for CSV and plot')
    parser.add_argument('--repeats', type=int, default=20, metavar='N',
                        help='timed runs of each candidate, a third on large maps '
                             '(default: %(default)s)')
    parser.add_argument('--warm-up', type=int, default=3, metavar='N',
                        help='untimed runs before (default: %(default)s)')
    parser.add_argument('--net', help='only the shapes of this net, such as ResNet-20')
    args = parser.parse_args(argv)
    if args.repeats < 3 or args.warm_up < 1:
        parser.error('--repeats must be 3 or more and --warm-up 1 or more')
    shapes = [(net, shape) for net, shape in SHAPES if args.net in (None, net)]
    if not shapes:
        parser.error('unknown net {!r}; known are {}'.format(
            args.net, ', '.join(sorted({net for net, _ in SHAPES if net}))))
    tf.logging.set_verbosity(tf.logging.ERROR)
    keep_memory()  # as tools/train.py does
    copy = _measuring.copy_bandwidth()
    common = dict(machine=_measuring.machine(), tensorflow=tf.__version__,
                  instruction_set=os.environ.get('ASH_NATIVE_ISA', 'widest'),
                  copy_gb_per_s='{:.1f}'.format(copy / 1e9))
    print('{}; a copy moves {copy_gb_per_s} GB/s'.format(common['machine'], **common))
    with _measuring.Table(os.path.join(args.out, 'activations.csv'), COLUMNS, LINE) as table:
        for net, shape in shapes:
            elements = 1
            for size in shape:
                elements *= size
            repeats = args.repeats if elements < LARGE else max(3, args.repeats // 3)
            seconds = measure(shape, args.warm_up, repeats)
            for (candidate, direction), values in seconds.items():
                spread = _measuring.spread(values)
                median = float(spread['median_ms']) / 1e3
                moved = LEAST_MAPS[direction] * elements * 4 / median
                ratio = median / (float(_measuring.spread(seconds[RIVAL, direction])['median_ms'])
                                  / 1e3)
                table.add(dict(common, **spread, net=net, shape='x'.join(map(str, shape)),
                               activation=candidate, direction=direction,
                               ratio_to_relu='{:.2f}'.format(ratio),
                               gb_per_s='{:.1f}'.format(moved / 1e9),
                               share_of_copy='{:.2f}'.format(moved / copy)))
    plot(table.rows, os.path.join(args.out, 'activations.png'))
    return 0


if __name__ == '__main__':
    sys.exit(main())
