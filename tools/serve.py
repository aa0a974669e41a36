#!/usr/bin/env python
"""Serves artifacts over HTTP and gRPC; see --help."""

import sys

import _serve_side  # noqa: F401

from ash_onnx.commands.serve import main

if __name__ == '__main__':
    sys.exit(main())
