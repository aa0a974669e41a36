#!/usr/bin/env python3
"""Measure the samples of generators, and draw them side by side; see --help."""
import sys

import _train_side  # noqa: F401

from ash_tf1.commands.measure_samples import main

if __name__ == '__main__':
    sys.exit(main())
