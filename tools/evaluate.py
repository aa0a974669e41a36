#!/usr/bin/env python3
"""Evaluate a checkpoint of a training run with TensorFlow; see --help."""
import sys

import _train_side  # noqa: F401

from ash_tf1.commands.evaluate import main

if __name__ == '__main__':
    sys.exit(main())
