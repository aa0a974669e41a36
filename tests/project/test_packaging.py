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

import ash_distribution
import ash_onnx
from ash_distribution.commands import SERVE, TRAIN

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
    assert {'ash_distribution', 'ash_tf1', 'ash_tf1.nets', 'ash_tf1.input_pipelines',
            'ash_tf1.keras', 'ash_tf1.native',
            'ash_tf1.checkpoint_import.rules', 'ash_onnx', 'ash_onnx.native'} <= packages
    assert set(setup_arguments['extras_require']) == {
        'train', 'train-gpu', 'convert', 'serve', 'serve-gpu', 'serving', 'dev'}


def test_the_endpoint_of_the_extra_is_that_of_the_lock(setup_arguments):
    kserve, = [Requirement(text) for text in setup_arguments['extras_require']['serving']
               if text.startswith('kserve')]
    assert f'\nkserve{kserve.specifier} ' in (ROOT / 'requirements/serving.txt').read_text()


def test_a_command_is_installed_for_each_tool(setup_arguments):
    """The module that a command runs is the one that the tool of its name runs."""
    sides = (TRAIN, SERVE)
    commands = {name: f'{side.package}.commands.{module}' for side in sides
                for name, module in side.modules.items()}
    assert setup_arguments['entry_points']['console_scripts'] == [
        f'ash-{name} = ash_distribution.commands:main' for name in commands]
    tools = {re.search(r'^ *from (\S+) import main$', path.read_text(), re.MULTILINE).group(1)
             for path in (ROOT / 'tools').glob('[a-z]*.py')}
    assert set(commands.values()) == tools


def test_both_packages_have_the_version_of_the_distribution(setup_arguments):
    for package in ('ash_tf1', 'ash_onnx'):
        assert re.search(r'^from ash_distribution import __version__$',
                         (ROOT / package / '__init__.py').read_text(), re.MULTILINE)
    assert ash_onnx.__version__ == setup_arguments['version'] == ash_distribution.__version__


def test_the_extra_for_gpus_is_capped_as_the_lock_is(setup_arguments):
    """onnxruntime-gpu with its CUDA libraries, of CUDA 12; see docs/docker.md."""
    asked = {Requirement(one).name: Requirement(one)
             for one in setup_arguments['extras_require']['serve-gpu']}
    locked = dict(re.findall(r'^([a-z0-9-]+)==([0-9.]+)',
                             (ROOT / 'requirements/serve-gpu.txt').read_text(), re.MULTILINE))
    assert asked['onnxruntime-gpu'].extras == {'cuda', 'cudnn'}
    for name in ('onnxruntime-gpu', 'nvidia-cudnn-cu12'):
        major, minor, *_ = locked[name].split('.')
        assert locked[name] in asked[name].specifier
        assert f'{major}.{int(minor) + 1}' not in asked[name].specifier


@pytest.fixture
def call(tmp_path):
    """Function (Python, name of a command, *arguments): runs it as a script of pip does."""
    def call(python, name, *arguments):
        code = (f'import sys; sys.argv[0] = {str(tmp_path / name)!r}; '
                'from ash_distribution.commands import main; sys.exit(main())')
        return subprocess.run([python, '-c', code, *arguments], cwd=ROOT, text=True,
                              capture_output=True)
    return call


@pytest.mark.parametrize(('name', 'extra'), [
    ('ash-train', 'train'), ('ash-evaluate', 'train'), ('ash-export', 'train,convert'),
    ('ash-convert', 'train,convert'), ('ash-summarize', 'train')])
def test_an_installed_train_command_says_which_python_and_extra(call, name, extra):
    done = call(sys.executable, name, '--help')
    assert (done.returncode, done.stdout, done.stderr.count('\n')) == (2, '', 1)
    assert done.stderr.startswith(f'{name}: error: this needs Python 3.7 and the extra {extra}, ')
    assert f"'.[{extra}]'; here is Python {sys.version_info.major}." in done.stderr


@pytest.mark.parametrize('name', ['ash-verify', 'ash-predict', 'ash-evaluate-onnx', 'ash-generate',
                                  'ash-optimize'])
@pytest.mark.parametrize('python', ['an older Python', 'no onnxruntime'])
def test_an_installed_serve_command_says_which_python_and_extra(call, tmp_path, name, python):
    if python == 'no onnxruntime':
        subprocess.run([sys.executable, '-m', 'venv', '--without-pip', tmp_path / 'bare'],
                       check=True)
        python = tmp_path / 'bare/bin/python'
    else:
        python = ROOT / '.venv/train/bin/python'
        if not python.exists():
            pytest.skip('needs the training environment: make setup')
    done = call(python, name, 'x')
    assert (done.returncode, done.stdout, done.stderr.count('\n')) == (2, '', 1)
    assert done.stderr.startswith(
        f'{name}: error: this needs Python 3.10 or newer and the extra serve, as from '
        "python3 -m pip install '.[serve]'; here is Python")


def test_an_unknown_command_lists_the_known(call):
    done = call(sys.executable, 'ash-training')
    assert done.returncode == 2 and 'ash- and one of train, evaluate, ' in done.stderr


def module(python, package, *arguments):
    """What `python -m` gives, without ORT_DISABLE_TELEMETRY: (status, stdout, stderr)."""
    environment = {key: value for key, value in os.environ.items()
                   if key != 'ORT_DISABLE_TELEMETRY'}
    done = subprocess.run([python, '-m', package, *arguments], cwd=ROOT, text=True,
                          capture_output=True, env=environment)
    return done.returncode, done.stdout, done.stderr


def test_python_m_runs_each_command_by_name():
    for arguments in ((), ('--help',)):
        status, out, err = module(sys.executable, 'ash_onnx', *arguments)
        assert (status, err) == (0, '')
        assert [line.split()[0] for line in out.splitlines()[3:]] == [
            *SERVE.modules]
        assert max(map(len, out.splitlines())) <= 80
    assert module(sys.executable, 'ash_onnx', '--version')[:2] == (0, ash_onnx.__version__ + '\n')
    status, out, err = module(sys.executable, 'ash_onnx', 'verfy')
    assert (status, out) == (2, '') and "unknown command 'verfy', did you mean verify?" in err
    status, _, err = module(sys.executable, 'ash_onnx', 'verify', 'nowhere')
    assert (status, err) == (2, 'python -m ash_onnx verify: error: nowhere: no such artifact '
                                'folder or ONNX file\n')


def test_python_m_of_the_train_side():
    status, out, err = module(sys.executable, 'ash_tf1', 'train')
    assert (status, out, err.count('\n')) == (1, '', 1) and 'needs TensorFlow 1.15' in err
    python = ROOT / '.venv/train/bin/python'
    if not python.exists():
        pytest.skip('needs the training environment: make setup')
    status, out, err = module(python, 'ash_tf1', '--help')
    assert (status, err) == (0, '')
    assert [line.split()[0] for line in out.splitlines()[3:]] == [*TRAIN.modules]
    status, _, err = module(python, 'ash_tf1', 'summarize', 'resnet_v2_8', '--classes', '0')
    assert (status, err) == (2, 'python -m ash_tf1 summarize: error: --classes must be 1 or more, '
                                'got 0\n')
    status, out, err = module(python, 'ash_onnx', 'verify')
    assert (status, out, err.count('\n')) == (1, '', 1) and 'Python 3.10 or newer' in err


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
    for part in ('ash_distribution', 'ash_tf1', 'ash_onnx', 'native'):
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
