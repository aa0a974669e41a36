#!/usr/bin/env python3
"""Builds the native ASH for TensorFlow or for onnxruntime; see --help.

setup.py calls `build`; the record that it leaves beside the library is what ash_tf1/native and
ash_onnx/native read.
"""
import argparse
import collections
import concurrent.futures
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
# One object of cpu/rows.cc each: the table's name in cpu/rows.h, its own name, the flags.
GENERIC = ('kRowsGeneric', 'generic', ())
X86 = (('kRowsAvx', 'avx', ('-mavx',)),
       ('kRowsAvx2', 'avx2', ('-mavx2', '-mfma')),
       ('kRowsAvx512', 'avx512', ('-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mfma')))
FLAGS = ('-std=c++14', '-O3', '-fPIC', '-fvisibility=hidden', '-Wall', '-Wextra')
# What the cards have that TensorFlow 1.15 is used on: Pascal to Hopper, as far as nvcc knows them.
CUDA_ARCHITECTURES = ('60', '70', '75', '80', '90')


class BuildError(Exception):
    """Why there is no library, in a line."""


def is_x86():
    return platform.machine() in ('x86_64', 'AMD64')


def instruction_sets():
    return (GENERIC,) + (X86 if is_x86() else ())


def cpu_units(compiler, out, flags=()):
    """The commands that compile cpu/, which needs no TensorFlow.

    Args:
      compiler: the C++ compiler.
      out: folder of the objects.
      flags: flags besides `FLAGS`, such as a sanitizer's.

    Returns:
      A list of (command, object).
    """
    common = [compiler, *FLAGS, *(['-DASH_X86'] if is_x86() else []), *flags, '-c']
    units = [(common + [str(ROOT / 'cpu/ash.cc')], out / 'ash.o')]
    for table, name, isa in instruction_sets():
        units.append((common + ['-DASH_TABLE=' + table, '-DASH_TABLE_NAME="{}"'.format(name), *isa,
                                str(ROOT / 'cpu/rows.cc')], out / (name + '.o')))
    return [(command + ['-o', str(target)], target) for command, target in units]


def find_compiler():
    """The C++ compiler: $CXX, g++ or clang++. Raises BuildError where there is none."""
    for name in filter(None, (os.environ.get('CXX'), 'g++', 'clang++')):
        if shutil.which(name):
            return name
    raise BuildError('there is no C++ compiler (g++ or clang++, or CXX=...)')


def find_nvcc():
    """CUDA's compiler: $NVCC or nvcc. Raises BuildError where there is none."""
    nvcc = os.environ.get('NVCC', 'nvcc')
    if not shutil.which(nvcc):
        raise BuildError('there is no nvcc ({}), which CUDA kernels need'.format(nvcc))
    return shutil.which(nvcc)


def nvcc_flags(nvcc):
    """Machine code for each card of CUDA_ARCHITECTURES that this nvcc knows, PTX for later ones."""
    known = subprocess.run([nvcc, '--list-gpu-code'], stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, universal_newlines=True).stdout.split()
    # Before CUDA 11 nvcc has no such list; 10.0 knows cards up to Turing.
    wanted = [arch for arch in CUDA_ARCHITECTURES
              if ('sm_' + arch in known if known else int(arch) <= 75)]
    codes = ['-gencode=arch=compute_{0},code=sm_{0}'.format(arch) for arch in wanted]
    return ['-std=c++14', '-O3', '-Xcompiler=-fPIC,-fvisibility=hidden',
            *codes, '-gencode=arch=compute_{0},code=compute_{0}'.format(wanted[-1])]


def run(command):
    """Runs a command quietly; raises BuildError with what it said first where it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True)
    if done.returncode:
        lines = done.stdout.strip().splitlines()
        first = next((line for line in lines if 'error' in line), lines[-1] if lines else '')
        sys.stderr.write('\n'.join(lines[:10]) + '\n')
        raise BuildError('{} failed: {}'.format(os.path.basename(command[0]), first.strip()))


# What runs the kernels: the package's folder and the library there, the sources, those for a GPU,
# and a function that gives what the record says of what it was built for, the flags that compile
# the sources, and those that link them.
Host = collections.namedtuple('Host', ['package', 'library', 'sources', 'cuda_sources', 'flags'])


def _tensorflow_flags(cuda):
    """Those that TensorFlow itself was compiled with: its headers lay out Eigen's types by them."""
    del cuda
    if importlib.util.find_spec('tensorflow') is None:
        raise BuildError('there is no TensorFlow in {}'.format(sys.executable))
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
    import tensorflow.compat.v1 as tf

    # Its headers are not ours to be warned about.
    flags = [flag.replace('-I', '-isystem', 1) if flag.startswith('-I') else flag
             for flag in tf.sysconfig.get_compile_flags()]
    # By itself: the whole package needs more than a build does.
    loader = importlib.util.spec_from_file_location(
        'ash_native', str(HOSTS['tensorflow'].package / '__init__.py'))
    native = importlib.util.module_from_spec(loader)
    loader.loader.exec_module(native)
    return ({'fingerprint': native.fingerprint()},
            ['-Wno-unused-parameter', '-Wno-sign-compare', *flags], tf.sysconfig.get_link_flags())


def _onnxruntime_flags(cuda):
    """It needs nothing of onnxruntime to be built, and fits every one from an API version on."""
    header = (ROOT / 'onnxruntime/api.h').read_text(encoding='utf-8')
    return ({'api': int(re.search(r'kVersion = (\d+)', header).group(1))},
            ['-DASH_WITH_CUDA'] if cuda else [], [])


HOSTS = {
    'tensorflow': Host(ROOT.parent / 'ash_tf1' / 'native', 'libash_ops.so',
                       ('tensorflow/schema.cc', 'tensorflow/cpu_kernels.cc'),
                       ('tensorflow/gpu_kernels.cc',), _tensorflow_flags),
    'onnxruntime': Host(ROOT.parent / 'ash_onnx' / 'native', 'libash_onnx.so',
                        ('onnxruntime/library.cc', 'onnxruntime/cpu.cc'),
                        ('onnxruntime/cuda.cc',), _onnxruntime_flags),
}


def _build_into(out, host, cuda):
    """Compiles and links everything; returns the library's path and its record."""
    compiler = find_compiler()
    record, flags, link_flags = host.flags(cuda)
    units = cpu_units(compiler, out)
    for source in host.sources + (host.cuda_sources if cuda else ()):
        target = out / ('host_' + Path(source).stem + '.o')
        units.append(([compiler, *FLAGS, *flags, '-I' + str(ROOT), '-c', str(ROOT / source), '-o',
                       str(target)], target))
    linker = [compiler]
    if cuda:
        nvcc = find_nvcc()
        target = out / 'ash_cuda.o'
        units.append(([nvcc, *nvcc_flags(nvcc), '-ccbin', compiler, '-c',
                       str(ROOT / 'cuda/ash.cu'), '-o', str(target)], target))
        # It knows where its own runtime is, and links that in.
        linker = [nvcc, '-ccbin', compiler, '-cudart', 'static']
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(run, [command for command, _ in units]))
    library = out / host.library
    run([*linker, '-shared', '-o', str(library), *(str(target) for _, target in units),
         *link_flags])
    version = subprocess.run([compiler, '--version'], stdout=subprocess.PIPE,
                             universal_newlines=True).stdout.splitlines()[0]
    record.update(cuda=cuda, compiler=version,
                  instruction_sets=[name for _, name, _ in instruction_sets()])
    return library, record


def build(name, package=None, cuda=False):
    """Builds the library of a host and its record into a package's folder.

    Whatever was there stays until the new ones are whole. Where nothing can be built, the record
    says why, and no library is left that it does not describe.

    Args:
      name: a key of `HOSTS`.
      package: folder to put the library and `built.json` into; the host's own by default.
      cuda: whether to build kernels for the GPU too; needs nvcc.

    Raises:
      BuildError: it cannot be built.
    """
    host = HOSTS[name]
    package = Path(package or host.package)
    package.mkdir(parents=True, exist_ok=True)
    library, record = package / host.library, package / 'built.json'
    with tempfile.TemporaryDirectory(dir=str(package), prefix='.build-') as folder:
        new_record = Path(folder) / 'built.json'
        try:
            new_library, what = _build_into(Path(folder), host, cuda)
        except BuildError as error:
            new_record.write_text(json.dumps({'failure': str(error)}, indent=2) + '\n')
            os.replace(str(new_record), str(record))
            if library.exists():
                library.unlink()
            raise
        new_record.write_text(json.dumps(what, indent=2, sort_keys=True) + '\n')
        os.replace(str(new_library), str(library))
        os.replace(str(new_record), str(record))


def build_harness(program):
    """Builds cuda/harness.cu, which checks and times the CUDA kernels alone, as a program."""
    nvcc = find_nvcc()
    run([nvcc, *nvcc_flags(nvcc), '-ccbin', find_compiler(), str(ROOT / 'cuda/ash.cu'),
         str(ROOT / 'cuda/harness.cu'), '-o', str(program)])


# What does the work where a library is missing.
_WITHOUT = {'tensorflow': 'ASH works all the same, as graph ops, which are several times slower',
            'onnxruntime': 'models run all the same, with ASH as portable nodes, which are slower'}


def main(argv=None):
    parser = argparse.ArgumentParser(
        description='Builds the native ASH: the ops for the TensorFlow of the Python that runs '
                    'this, into ash_tf1/native, or the op for any onnxruntime from 1.18 on, into '
                    'ash_onnx/native. Takes about 7 and 4 seconds on 2 cores, 14 with CUDA.',
        epilog='CXX and NVCC name the compilers. example: .venv/train/bin/python native/build.py')
    parser.add_argument('--host', choices=HOSTS, default='tensorflow',
                        help='what the library is for (default: %(default)s)')
    parser.add_argument('--cuda', action='store_true',
                        help='also build the kernels for the GPU, which needs nvcc')
    parser.add_argument('--if-possible', action='store_true',
                        help='where it cannot be built, say so in a line and exit with 0')
    parser.add_argument('--cuda-harness', metavar='PROGRAM',
                        help='instead of all this, build the program that checks and times the '
                             'kernels for the GPU; needs no TensorFlow')
    args = parser.parse_args(argv)
    try:
        if args.cuda_harness:
            build_harness(args.cuda_harness)
            return 0
        build(args.host, cuda=args.cuda)
    except BuildError as error:
        sys.stderr.write('native ASH for {} was not built: {}. {}.\n'.format(
            args.host, error, _WITHOUT[args.host]))
        return 0 if args.if_possible else 1
    host = HOSTS[args.host]
    print('native ASH for {} is built: {}'.format(args.host, host.package / host.library))
    return 0


if __name__ == '__main__':
    sys.exit(main())
