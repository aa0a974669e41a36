#!/usr/bin/env python
"""Writes artifacts as a Triton model repository; see --help."""

import sys

import _serve_side  # noqa: F401

from ash_onnx.commands.export_triton import main

if __name__ == '__main__':
    sys.exit(main())
