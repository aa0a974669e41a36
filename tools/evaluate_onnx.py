#!/usr/bin/env python
"""Measures the accuracy of an exported artifact on a folder tree of images; see --help."""

import sys

import _serve_side  # noqa: F401

from ash_onnx.commands.evaluate_onnx import main

if __name__ == '__main__':
    sys.exit(main())
