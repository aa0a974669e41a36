#!/usr/bin/env python3
"""Print the layers of a net; see --help."""
import argparse
import sys

import _train_side  # noqa: F401

from ash_tf1 import commands


def main(argv=None):
    parser = argparse.ArgumentParser(
        description='Print what a net is made of: each layer\'s output (without the batch), its '
                    'trained parameters, its multiply-adds for one image, and its activation. The '
                    'parameters of the activation are counted apart.',
        epilog='example: python tools/summarize.py resnet_v1_50 --activation ash '
               '--net-options stride_placement=3x3')
    parser.add_argument('net', metavar='NET', help=', '.join(commands.NETS))
    parser.add_argument('--input-size', type=int, nargs='+', default=(), metavar='N',
                        help='height, width and optionally channels (default: 32 32 3 or '
                             '224 224 3, what the net was published for)')
    parser.add_argument('--classes', type=int, metavar='N',
                        help='number of classes (default: 10 or 1000, likewise)')
    parser.add_argument('--activation', default='ash', metavar='NAME',
                        help='%s (default: %%(default)s)' % ', '.join(commands.ACTIVATIONS))
    parser.add_argument('--net-options', nargs='*', default=[], metavar='KEY=VALUE',
                        help='options of the net, such as dropout_rate=0.3')
    parser.add_argument('--json', action='store_true', help='print JSON')
    return commands.run(parser, commands.summarize, argv)


if __name__ == '__main__':
    sys.exit(main())
