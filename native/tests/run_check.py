#!/usr/bin/env python3
"""Builds native/tests/check.cc with sanitizers and runs it on each instruction set; see --help."""
import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SANITIZERS = ('-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-O1', '-g')


def load_builder():
    """native/build.py, which is no package's."""
    spec = importlib.util.spec_from_file_location('native_build', str(HERE.parent / 'build.py'))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(argv=None):
    parser = argparse.ArgumentParser(
        description='Holds the CPU kernels alone against the formula in long double, under the '
                    'address and undefined-behaviour sanitizers, with each instruction set that '
                    'this machine has.')
    parser.add_argument('--cases', type=int, default=300, metavar='N',
                        help='random cases for each instruction set (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='(default: %(default)s)')
    args = parser.parse_args(argv)
    builder = load_builder()
    compiler = builder.find_compiler()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        units = builder.cpu_units(compiler, out, SANITIZERS)
        for command, _ in units:
            builder.run(command)
        program = out / 'check'
        builder.run([compiler, '-std=c++14', '-Wall', '-Wextra', *SANITIZERS,
                     str(HERE / 'check.cc'), *(str(target) for _, target in units), '-o',
                     str(program), '-lpthread'])
        failed = False
        for _, name, _ in builder.instruction_sets():
            done = subprocess.run([str(program), str(args.cases), str(args.seed)],
                                  env=dict(os.environ, ASH_NATIVE_ISA=name))
            failed |= done.returncode != 0
    return int(failed)


if __name__ == '__main__':
    sys.exit(main())
