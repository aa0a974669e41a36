#!/usr/bin/env python3
"""Export a checkpoint as an ONNX artifact; see --help."""
import sys

import _train_side  # noqa: F401

from ash_tf1.commands.export_onnx import main

if __name__ == '__main__':
    sys.exit(main())
