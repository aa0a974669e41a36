"""The native kernels alone, without TensorFlow: sanitizers, an emulated GPU, nvcc's warnings."""
import importlib.util
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
@pytest.mark.parametrize('kernels, last_line', [
    ('cpu', ': 300 cases, 0 wrong'),
    ('cuda', 'checked against the formula in long double: all right')])
def test_they_are_right_and_clean_under_sanitizers(kernels, last_line):
    done = subprocess.run([sys.executable, str(NATIVE / 'tests/run_check.py'), kernels],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1].endswith(last_line)
    if kernels == 'cpu':
        assert lines[0] == 'generic' + last_line


def test_the_check_sees_a_wrong_kernel(builder, compiler, tmp_path):
    """So that 'all right' means something: with a sign of the gradient turned around."""
    shutil.copytree(NATIVE, tmp_path / 'native')
    source = tmp_path / 'native/cpu/ash.cc'
    text = source.read_text()
    assert text.count('z_k_total -= ') == 1
    source.write_text(text.replace('z_k_total -= ', 'z_k_total += '))
    done = subprocess.run([sys.executable, str(tmp_path / 'native/tests/run_check.py'), 'cpu',
                           '--cases', '20', '--sanitizer', 'none'], capture_output=True, text=True)
    assert done.returncode == 1
    assert 'dz_k is' in done.stdout


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
