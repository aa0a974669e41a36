"""setup.py asks each Python for what it can have; the set-up script says what is missing."""
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.fast

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def setup_arguments():
    """The arguments that setup.py hands to setuptools."""
    code = ('import json, setuptools; '
            'setuptools.setup = lambda **kwargs: print(json.dumps(kwargs, default=str)); '
            'exec(compile(open("setup.py").read(), "setup.py", "exec"), '
            '{"__file__": "setup.py", "__name__": "__main__"})')
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def applies(requirement, python):
    """Whether a requirement's marker holds on a Python version such as '3.7'."""
    marker = Requirement(requirement).marker
    return marker is None or marker.evaluate({'python_version': python})


def tensorflow_of(setup_arguments, extra, python):
    """What an extra asks for of TensorFlow, on a Python version."""
    return [r.split(';')[0] for r in setup_arguments['extras_require'][extra]
            if r.startswith('tensorflow') and applies(r, python)]


@pytest.mark.parametrize(('python', 'asked'), [
    ('3.7', ['tensorflow~=1.15.0']), ('3.8', []), ('3.10', ['tensorflow==1.15.5+needs.python.3.7']),
    ('3.13', ['tensorflow==1.15.5+needs.python.3.7'])])
def test_tensorflow_is_asked_for_where_it_has_a_release(setup_arguments, python, asked):
    """Elsewhere for a version that does not exist, so that pip's message says what is needed."""
    assert tensorflow_of(setup_arguments, 'train', python) == asked
    assert tensorflow_of(setup_arguments, 'convert', python) == [a for a in asked if '+' in a]
    for extra in ('serve', 'serve-gpu', 'dev'):
        assert not tensorflow_of(setup_arguments, extra, python)
    assert not [r for r in setup_arguments['install_requires'] if r.startswith('tensorflow')]


@pytest.mark.parametrize(('version', 'there'), [
    (None, 'no TensorFlow'), ('2.15.0', 'TensorFlow 2.15.0'), ('1.13.2', 'TensorFlow 1.13.2')])
@pytest.mark.parametrize('command', [['-c', 'import ash_tf1'], ['-c', 'from ash_tf1 import ops'],
                                     ['tools/train.py', '--help'],
                                     ['tools/export_onnx.py', '--help']])
def test_another_tensorflow_or_none_is_told_in_a_line(tmp_path, command, version, there):
    if version:
        (tmp_path / 'tensorflow').mkdir()
        (tmp_path / 'tensorflow/__init__.py').write_text(f'__version__ = {version!r}\n')
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True,
                          env=dict(os.environ, PYTHONPATH=str(tmp_path)))
    line = done.stderr.splitlines()[-1]
    assert 'ash_tf1 needs TensorFlow 1.15, which runs on Python 3.7' in line
    assert '{}.{} with {}. '.format(*sys.version_info[:2], there) in line
    if command[0] != '-c':
        assert (done.returncode, done.stderr.count('\n')) == (2, 1)


def test_both_packages_and_all_extras_are_there(setup_arguments):
    packages = set(setup_arguments['packages'])
    assert {'ash_tf1', 'ash_tf1.nets', 'ash_tf1.input_pipelines', 'ash_tf1.keras', 'ash_tf1.native',
            'ash_tf1.checkpoint_import.rules', 'ash_onnx', 'ash_onnx.native'} <= packages
    assert set(setup_arguments['extras_require']) == {
        'train', 'train-gpu', 'convert', 'serve', 'serve-gpu', 'serving', 'dev'}


def test_both_packages_have_one_version(setup_arguments):
    text = (ROOT / 'ash_onnx/__init__.py').read_text()
    assert f"\n__version__ = '{setup_arguments['version']}'\n" in text


def test_the_endpoint_of_the_extra_is_that_of_the_lock(setup_arguments):
    kserve, = [Requirement(text) for text in setup_arguments['extras_require']['serving']
               if text.startswith('kserve')]
    assert f'\nkserve{kserve.specifier} ' in (ROOT / 'requirements/serving.txt').read_text()


def test_what_is_no_python_is_packaged_too(setup_arguments):
    built = {'libash_ops.so', 'libash_onnx.so', 'built.json'}  # by setup.py, into the wheel itself
    for folder in ('ash_tf1', 'ash_onnx'):
        for path in (ROOT / folder).rglob('*'):
            if path.is_file() and path.suffix not in ('.py', '.pyc') and path.name not in built:
                package = '.'.join(path.parent.relative_to(ROOT).parts)
                patterns = setup_arguments['package_data'].get(package, [])
                assert any(path.match(pattern) for pattern in patterns), path


@pytest.mark.skipif(not shutil.which('g++'), reason='needs a C++ compiler')
def test_pip_builds_the_fused_op_into_what_it_installs(tmp_path):
    """On the Python of the modern side; the wheel is for this platform then."""
    for part in ('ash_tf1', 'ash_onnx', 'native'):
        shutil.copytree(ROOT / part, tmp_path / 'checkout' / part,
                        ignore=shutil.ignore_patterns('__pycache__', 'built.json', '*.so'))
    for part in ('setup.py', 'README.md'):
        shutil.copy(ROOT / part, tmp_path / 'checkout')
    done = subprocess.run([sys.executable, 'setup.py', '-q', 'build'],
                          cwd=tmp_path / 'checkout', capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    built, = (tmp_path / 'checkout/build').iterdir()
    assert built.name.startswith('lib.')  # 'lib' would be for any platform
    names = {path.name for path in (built / 'ash_onnx/native').iterdir()}
    assert names == {'__init__.py', 'built.json', 'libash_onnx.so'}
    assert not (built / 'ash_tf1/native/built.json').exists()


@pytest.fixture
def set_up(tmp_path):
    """Runs the set-up script in a checkout that has no environment yet, far from any Python 3.7."""
    for part in ('tools/setup_env.sh', 'requirements/train.txt', 'requirements/train-gpu.txt',
                 'requirements/train-dev.txt'):
        (tmp_path / part).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / part, tmp_path / part)
    bare = tmp_path / 'bin'
    bare.mkdir()
    for tool in ('dirname', 'cat', 'cmp', 'grep', 'sh'):
        (bare / tool).symlink_to(shutil.which(tool))

    def run(**environment):
        return subprocess.run(['/bin/sh', str(tmp_path / 'tools/setup_env.sh'), 'train'], text=True,
                              capture_output=True,
                              env={'PATH': str(bare), 'HOME': str(tmp_path), **environment})
    return run


def test_a_missing_python_is_explained(set_up):
    done = set_up()
    assert done.returncode != 0
    assert 'TensorFlow 1.15 needs Python 3.7' in done.stderr
    assert 'docs/docker.md' in done.stderr


@pytest.mark.parametrize('python', ['/nonexistent/python3.7', '/bin/false', sys.executable])
def test_a_python_that_does_not_run_or_fit_is_refused_by_name(set_up, python):
    done = set_up(TRAIN_PYTHON=python)
    assert done.returncode != 0
    assert f'TRAIN_PYTHON={python} does not run, or is not Python 3.7' in done.stderr


@pytest.fixture
def installs(set_up, tmp_path):
    """Runs the set-up script with a uv that installs nothing; returns the locks it was given."""
    fake = tmp_path / 'bin/uv'
    fake.write_text('#!/bin/sh\necho "$*" >> asked\n'
                    '[ "$1" = venv ] && mkdir -p .venv/train/bin && '
                    f'ln -s {shutil.which("true")} .venv/train/bin/python\nexit 0\n')
    fake.chmod(0o755)
    python = tmp_path / 'bin/python3.7'
    python.write_text(f'#!/bin/sh\n[ "$1" = -c ] && case $2 in *executable*) echo {python};; esac\n'
                      'exit 0\n')
    python.chmod(0o755)
    for tool in ('mkdir', 'ln', 'rm'):
        (tmp_path / 'bin' / tool).symlink_to(shutil.which(tool))

    def run(**environment):
        (tmp_path / 'asked').write_text('')
        done = set_up(**environment)
        assert done.returncode == 0, done.stderr
        asked = (tmp_path / 'asked').read_text()
        return re.findall(r'requirements/(\S+)\.txt', asked)
    return run


def test_cuda_takes_the_tensorflow_of_a_gpu_and_an_environment_keeps_what_it_has(installs):
    assert installs() == ['train', 'train-dev']
    assert installs() == []
    assert installs(CUDA='1') == ['train-gpu', 'train-dev']
    assert installs(CUDA='1') == [] and installs() == []


def test_a_renewed_lock_makes_the_environment_anew(installs, tmp_path):
    assert installs(CUDA='1') == ['train-gpu', 'train-dev']
    with open(tmp_path / 'requirements/train.txt', 'a') as lock:
        lock.write('# renewed\n')
    assert installs() == []
    with open(tmp_path / 'requirements/train-dev.txt', 'a') as lock:
        lock.write('# renewed\n')
    assert installs(CUDA='1') == ['train-gpu', 'train-dev']


@pytest.mark.parametrize('tool', ['train', 'export_onnx', 'convert', 'import_checkpoint'])
def test_a_train_tool_says_which_python_to_take(tool):
    done = subprocess.run([sys.executable, ROOT / 'tools' / f'{tool}.py', '--help'], text=True,
                          capture_output=True)
    assert (done.returncode, done.stdout, done.stderr.count('\n')) == (2, '', 1)
    assert done.stderr.startswith(f'{tool}.py: error: take .venv/train/bin/python')


@pytest.mark.parametrize('tool', ['predict', 'verify_onnx', 'evaluate_onnx'])
def test_a_serve_tool_says_which_python_to_take(tool):
    python = ROOT / '.venv/train/bin/python'
    if not python.exists():
        pytest.skip('needs the training environment: make setup')
    done = subprocess.run([python, ROOT / 'tools' / f'{tool}.py', '--help'], text=True,
                          capture_output=True)
    assert (done.returncode, done.stdout, done.stderr.count('\n')) == (2, '', 1)
    assert done.stderr.startswith(f'{tool}.py: error: this needs Python 3.10 or newer')
    assert '.venv/serve/bin/python' in done.stderr and 'Python 3.7' in done.stderr
