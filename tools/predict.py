#!/usr/bin/env python
"""Classifies JPEG and PNG files with an exported artifact; see --help."""

import sys

import _serve_side  # noqa: F401

from ash_onnx.commands.predict import main

if __name__ == '__main__':
    sys.exit(main())
