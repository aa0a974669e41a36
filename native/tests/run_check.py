#!/usr/bin/env python3
"""Holds the kernels alone against the formula, under sanitizers; see --help."""
import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SANITIZERS = {'address': ('-fsanitize=address,undefined', '-fno-sanitize-recover=all'),
              'thread': ('-fsanitize=thread',), 'none': ()}


def load_builder():
    """native/build.py, which is no package's."""
    spec = importlib.util.spec_from_file_location('native_build', str(HERE.parent / 'build.py'))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check_cpu(builder, out, flags, cases, seed):
    """check.cc with the CPU kernels, on each instruction set; whether all was right."""
    compiler = builder.find_compiler()
    units = builder.cpu_units(compiler, out, flags)
    for command, _ in units:
        builder.run(command)
    program = out / 'check'
    builder.run([compiler, '-std=c++14', '-Wall', '-Wextra', *flags, str(HERE / 'check.cc'),
                 *(str(target) for _, target in units), '-o', str(program), '-lpthread'])
    failed = [name for _, name, _ in builder.instruction_sets()
              if subprocess.run([str(program), str(cases), str(seed)],
                                env=dict(os.environ, ASH_NATIVE_ISA=name)).returncode]
    return not failed


def check_cuda(builder, out, flags):
    """The CUDA kernels and their harness, run on the CPU by emulation.h; whether all was right."""
    program, cuda = out / 'emulated', HERE.parent / 'cuda'
    builder.run([builder.find_compiler(), '-std=c++17', '-Wall', '-Wextra', '-Wno-unknown-pragmas',
                 *flags, '-include', str(HERE / 'emulation.h'), '-x', 'c++', str(cuda / 'ash.cu'),
                 str(cuda / 'harness.cu'), '-o', str(program), '-lpthread'])
    return subprocess.run([str(program), '--check-only']).returncode == 0


def check_onnxruntime(builder, out, flags):
    """onnxruntime_check.cc with the op, onnxruntime being a table of its; whether all was right."""
    compiler, native = builder.find_compiler(), HERE.parent
    units = builder.cpu_units(compiler, out, flags)
    for command, _ in units:
        builder.run(command)
    program = out / 'onnxruntime_check'
    sources = [str(native / source) for source in builder.HOSTS['onnxruntime'].sources]
    builder.run([compiler, '-std=c++14', '-Wall', '-Wextra', *flags, '-I' + str(native),
                 str(HERE / 'onnxruntime_check.cc'), *sources,
                 *(str(target) for _, target in units), '-o', str(program), '-lpthread'])
    return subprocess.run([str(program)]).returncode == 0


def check_api(builder, out, include):
    """Whether onnxruntime/api.h says what onnxruntime's own header says."""
    builder.run([builder.find_compiler(), '-std=c++17', '-isystem', include, '-c',
                 str(HERE / 'check_api.cc'), '-o', str(out / 'api.o')])
    print('api.h agrees with {}'.format(include))
    return True


def main(argv=None):
    parser = argparse.ArgumentParser(
        description='Holds the CPU kernels, with each instruction set that this machine has, or '
                    'the CUDA kernels, emulated on the CPU, against the formula in long double, '
                    'without TensorFlow; or the op for onnxruntime, without onnxruntime; or what '
                    'it knows of onnxruntime\'s API against the header of that. Exit status 1: '
                    'something is wrong.')
    parser.add_argument('part', choices=('cpu', 'cuda', 'onnxruntime', 'api'))
    parser.add_argument('--sanitizer', choices=SANITIZERS, default='address',
                        help='address also watches for undefined behaviour; thread finds a missing '
                             'barrier, and takes minutes (default: %(default)s)')
    parser.add_argument('--cases', type=int, default=300, metavar='N',
                        help='cpu: random cases for each instruction set (default: %(default)s)')
    parser.add_argument('--include', metavar='DIR',
                        default=os.environ.get('ONNXRUNTIME_INCLUDE', '/usr/include/onnxruntime'),
                        help='api: where onnxruntime_c_api.h is (default: ONNXRUNTIME_INCLUDE, or '
                             '/usr/include/onnxruntime, of libonnxruntime-dev)')
    parser.add_argument('--seed', type=int, default=0, help='cpu: (default: %(default)s)')
    args = parser.parse_args(argv)
    builder = load_builder()
    flags = SANITIZERS[args.sanitizer] + ('-O1', '-g')
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        checks = {'cpu': lambda: check_cpu(builder, out, flags, args.cases, args.seed),
                  'cuda': lambda: check_cuda(builder, out, flags),
                  'onnxruntime': lambda: check_onnxruntime(builder, out, flags),
                  'api': lambda: check_api(builder, out, args.include)}
        return int(not checks[args.part]())


if __name__ == '__main__':
    sys.exit(main())
