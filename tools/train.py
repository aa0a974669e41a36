#!/usr/bin/env python3
"""Train a net with a chosen activation; see --help."""
import argparse
import sys

import _train_side  # noqa: F401

from ash_tf1 import commands, config


def main(argv=None):
    parser = argparse.ArgumentParser(
        description='Train a net with a chosen activation. A recipe sets everything; the options '
                    'change single settings of it. Ctrl-C stops after the current step and saves.',
        epilog='example: python tools/train.py --recipe cifar-short --data-dir cifar-10-batches-py '
               '--activation ash --run-dir runs/ash')
    parser.add_argument('--run-dir', required=True, metavar='DIR',
                        help='folder for checkpoints, logs and the learning curve')
    parser.add_argument('--resume', action='store_true',
                        help='go on with the run in --run-dir, under its own settings')
    parser.add_argument('--recipe', help='one of {} (default: digits)'.format(
        ', '.join(config.RECIPES)))
    parser.add_argument('--quiet', action='store_true', help='no progress bar')
    commands.add_settings(parser)
    return commands.run(parser, commands.train, argv)


if __name__ == '__main__':
    sys.exit(main())
