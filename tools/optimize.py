#!/usr/bin/env python
"""Writes another form of an artifact: float16, int8 or fused ASH; see --help."""

import sys

import _serve_side  # noqa: F401

from ash_onnx.commands.optimize import main

if __name__ == '__main__':
    sys.exit(main())
