"""The native kernels alone and the op for onnxruntime: sanitizers, an emulated GPU, warnings."""
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NATIVE = Path(__file__).resolve().parents[2] / 'native'


@pytest.fixture(scope='module')
def builder():
    """native/build.py as a module."""
    spec = importlib.util.spec_from_file_location('native_build', NATIVE / 'build.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def compiler(builder):
    try:
        return builder.find_compiler()
    except builder.BuildError as reason:
        pytest.skip(str(reason))


@pytest.mark.slow
@pytest.mark.parametrize('part, options, last_line', [
    ('cpu', (), ': 300 cases, 0 wrong'),
    ('cuda', (), 'checked against the formula in long double: all right'),
    ('onnxruntime', (), '3 dtypes, 0 wrong'),
    ('onnxruntime', ('--sanitizer', 'thread'), '3 dtypes, 0 wrong')])
def test_they_are_right_and_clean_under_sanitizers(part, options, last_line):
    done = subprocess.run([sys.executable, str(NATIVE / 'tests/run_check.py'), part, *options],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1].endswith(last_line)
    if part == 'cpu':
        assert lines[0] == 'generic' + last_line


@pytest.mark.slow  # as what it tests
@pytest.mark.parametrize('part, file, right, wrong, told', [
    ('cpu', 'cpu/ash.cc', 'z_k_total -= ', 'z_k_total += ', 'dz_k is'),
    ('onnxruntime', 'onnxruntime/op.h', 'shape[0], Elements(shape, 1)', '1, Elements(shape)',
     'wrong: y'),
    ('onnxruntime', 'cpu/half.h', '0xfffu + (size >> 13 & 1u)', '0x1000u', 'wrong: a tie')])
def test_the_check_sees_what_is_wrong(tmp_path, part, file, right, wrong, told):
    """So that 'all right' means something."""
    shutil.copytree(NATIVE, tmp_path / 'native')
    source = tmp_path / 'native' / file
    text = source.read_text()
    assert text.count(right) == 1
    source.write_text(text.replace(right, wrong))
    done = subprocess.run([sys.executable, str(tmp_path / 'native/tests/run_check.py'), part,
                           '--cases', '20', '--sanitizer', 'none'], capture_output=True, text=True)
    assert done.returncode == 1
    assert told in done.stdout


def test_what_the_op_knows_of_onnxruntime_is_what_its_header_says():
    """Wherever that is; nothing here needs it."""
    include = Path(os.environ.get('ONNXRUNTIME_INCLUDE', '/usr/include/onnxruntime'))
    if not (include / 'onnxruntime_c_api.h').exists():
        pytest.skip('there is no onnxruntime_c_api.h: libonnxruntime-dev has it')
    done = subprocess.run([sys.executable, str(NATIVE / 'tests/run_check.py'), 'api', '--include',
                           str(include)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.gpu
@pytest.mark.skipif(not shutil.which('nvcc'), reason='needs nvcc')
def test_nvcc_has_no_warnings(tmp_path):
    architectures = [f'-gencode=arch=compute_{arch},code=sm_{arch}' for arch in (75, 80, 90)]
    for source in ('ash.cu', 'harness.cu'):
        done = subprocess.run(['nvcc', '-std=c++14', '-O3', '-Werror', 'all-warnings',
                               '-Xcompiler=-Wall,-Wextra', *architectures, '-c',
                               str(NATIVE / 'cuda' / source), '-o', str(tmp_path / 'out.o')],
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert not done.stdout + done.stderr
