#!/usr/bin/env python
"""Serves artifacts over HTTP and gRPC; see --help."""

import sys

import _serve_side  # noqa: F401

try:
    from ash_onnx.commands.serve import main
except ImportError as error:
    sys.stderr.write('serve.py: error: this needs requirements/serving.txt, as '
                     '.venv/serving/bin/python has after `make setup-serving`: {}\n'.format(error))
    sys.exit(2)

if __name__ == '__main__':
    sys.exit(main())
