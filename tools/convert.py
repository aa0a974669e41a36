#!/usr/bin/env python3
"""Convert what TensorFlow 1 left to an ONNX artifact; see --help."""
import sys

import _train_side  # noqa: F401

from ash_tf1.commands.convert import main

if __name__ == '__main__':
    sys.exit(main())
