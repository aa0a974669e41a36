#!/usr/bin/env python
"""Makes images with an exported generator, and draws them as one picture; see --help."""

import sys

import _serve_side  # noqa: F401

from ash_onnx.commands.generate import main

if __name__ == '__main__':
    sys.exit(main())
