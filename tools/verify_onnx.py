#!/usr/bin/env python
"""Verifies an exported artifact on this machine against what TensorFlow answered."""

import argparse
import sys

import _serve_side  # noqa: F401

from ash_onnx import cli
from ash_onnx.verify import ATOL, RTOL

EPILOG = """\
Every test_data_set_K of the artifact is run again. An output passes where
|a - b| <= atol + rtol * |b| for each of its elements, b being TensorFlow's; "relative" is
max |a - b| / max |b|. Every class that a classifier predicts has to agree too. NaN fails.

example:
  python tools/verify_onnx.py checkpoints/NAME --provider cuda

exit status: 0 passed, 1 beyond the tolerance, 2 bad input
"""


def build_parser():
    parser = argparse.ArgumentParser(prog='verify_onnx.py', description=__doc__, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_model_arguments(parser)
    parser.add_argument('--rtol', type=float, default=RTOL,
                        help='relative tolerance (default: %(default)s)')
    parser.add_argument('--atol', type=float, default=ATOL,
                        help='absolute tolerance (default: %(default)s)')
    return parser


def main(argv=None):
    args = build_parser().parse_args(argv)
    return cli.run_command('verify_onnx.py', cli.verify_artifact, artifact=args.artifact,
                           provider=args.provider, threads=args.threads, as_json=args.json,
                           rtol=args.rtol, atol=args.atol)


if __name__ == '__main__':
    sys.exit(main())
