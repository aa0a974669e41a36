#!/usr/bin/env python3
"""Train a net with a chosen activation; see --help."""
import sys

import _train_side  # noqa: F401

from ash_tf1.commands.train import main

if __name__ == '__main__':
    sys.exit(main())
