"""`pip install '.[EXTRA]'` in a fresh environment gives commands that work; needs an index."""
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.full_size

ROOT = Path(__file__).resolve().parents[2]
ARTIFACT = ROOT / 'checkpoints/resnet20-cifar10-ash'


def find_python(version):
    """A Python of a version: on the PATH, or pyenv's."""
    roots = Path(os.environ.get('PYENV_ROOT', Path.home() / '.pyenv'))
    found = [shutil.which(f'python{version}'),
             *sorted((roots / 'versions').glob(f'{version}.*/bin/python{version}'))]
    for python in filter(None, found):
        if not subprocess.run([python, '-c', 'import ensurepip'], capture_output=True).returncode:
            return python
    pytest.skip(f'there is no Python {version}')


@pytest.fixture(scope='module')
def install(tmp_path_factory):
    """Function (version, extra): folder of the commands of a new environment. Each is made once."""
    made = {}

    def install(version, extra):
        if version not in made:
            folder = tmp_path_factory.mktemp('environment')
            checkout = folder / 'checkout'
            shutil.copytree(ROOT, checkout, ignore=shutil.ignore_patterns(
                '.*', 'runs', 'tests', 'checkpoints', 'built.json', '*.so', 'build', '*.egg-info'))
            subprocess.run([find_python(version), '-m', 'venv', folder / 'env'], check=True)
            done = subprocess.run(
                [folder / 'env/bin/python', '-m', 'pip', 'install', '-q',
                 '--disable-pip-version-check', f'{checkout}[{extra}]'],
                capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            shutil.rmtree(checkout)  # what runs is what was installed
            made[version] = folder / 'env/bin'
        return made[version]
    return install


def run(folder, command, *arguments, status=0):
    """Runs a command that was installed, far from the checkout: its stdout and stderr."""
    hidden = ('PYTHONPATH', 'ORT_DISABLE_TELEMETRY', 'TF_CPP_MIN_LOG_LEVEL')
    done = subprocess.run([folder / command, *map(str, arguments)], cwd=folder, text=True,
                          capture_output=True, timeout=600,
                          env={key: value for key, value in os.environ.items()
                               if key not in hidden})
    assert done.returncode == status, done.stderr
    return done.stdout, done.stderr


def test_the_serving_side_verifies_and_predicts_on_python_3_12(install, tmp_path):
    scripts = install('3.12', 'serve')
    out, err = run(scripts, 'ash-verify', ARTIFACT, '--json')
    assert json.loads(out)['passed'] and err == ''
    out, err = run(scripts, 'ash-predict', ARTIFACT, ARTIFACT / 'samples/ship', '--top', 1)
    assert out.splitlines()[1].split()[1] == 'ship' and err == ''
    out, err = run(scripts, 'ash-train', '--help', status=2)
    assert out == '' and re.fullmatch('ash-train: error: this needs Python 3.7 and .*\n', err)
    assert 'TensorFlow' not in run(scripts, 'pip', 'list')[0]


def test_the_training_side_trains_and_goes_on_on_python_3_7(install, tmp_path):
    scripts = install('3.7', 'train')
    run_dir = tmp_path / 'run'
    out, err = run(scripts, 'ash-train', '--recipe', 'digits', '--epochs', 1, '--run-dir', run_dir)
    assert err == '' and 'validation' in out and (run_dir / 'learning_curve.png').exists()
    _, err = run(scripts, 'ash-train', '--resume', '--epochs', 2, '--run-dir', run_dir, status=2)
    assert err.startswith('ash-train: error: ')
    assert err.rstrip().endswith(f'{scripts}/ash-train --extend --run-dir {run_dir} --epochs 2')
    out, err = run(scripts, 'ash-evaluate', run_dir, '--json')
    assert json.loads(out)['count'] and err == ''
    out, err = run(scripts, 'ash-export', run_dir, tmp_path / 'artifact', status=2)
    assert 'the extra `convert`' in err and err.count('\n') == 1
    out, err = run(scripts, 'ash-verify', 'x', status=2)
    assert 'this needs Python 3.10 or newer and the extra serve' in err and err.count('\n') == 1
