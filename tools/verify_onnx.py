#!/usr/bin/env python
"""Verifies an exported artifact on this machine against what TensorFlow answered; see --help."""

import sys

import _serve_side  # noqa: F401

from ash_onnx.commands.verify_onnx import main

if __name__ == '__main__':
    sys.exit(main())
