"""setup.py asks each Python for what it can have; the set-up script says what is missing."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def setup_arguments():
    """The arguments that setup.py hands to setuptools."""
    code = ('import json, setuptools; '
            'setuptools.setup = lambda **kwargs: print(json.dumps(kwargs)); '
            'exec(compile(open("setup.py").read(), "setup.py", "exec"), '
            '{"__file__": "setup.py", "__name__": "__main__"})')
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def applies(requirement, python):
    """Whether a requirement's marker holds on a Python version such as '3.7'."""
    marker = Requirement(requirement).marker
    return marker is None or marker.evaluate({'python_version': python})


@pytest.mark.parametrize(('python', 'asked'), [('3.7', True), ('3.8', False), ('3.11', False),
                                               ('3.13', False)])
def test_tensorflow_is_asked_for_where_it_has_a_release(setup_arguments, python, asked):
    everything = setup_arguments['install_requires'] + sum(
        setup_arguments['extras_require'].values(), [])
    found = [r for r in everything if r.startswith('tensorflow') and applies(r, python)]
    assert bool(found) == asked


def test_both_packages_and_all_extras_are_there(setup_arguments):
    packages = set(setup_arguments['packages'])
    assert {'ash_tf1', 'ash_tf1.nets', 'ash_tf1.input_pipelines', 'ash_onnx'} <= packages
    assert set(setup_arguments['extras_require']) == {
        'train', 'convert', 'serve', 'serve-gpu', 'dev'}


def set_up(kind, **environment):
    # Neither pyenv nor uv nor any Python 3.7 within sight, only the shell's own tools.
    return subprocess.run(
        ['/bin/sh', str(ROOT / 'tools/setup_env.sh'), kind], capture_output=True, text=True,
        env={'PATH': os.environ.get('ASH_BARE_PATH', '/usr/bin:/bin'), 'HOME': '/nonexistent',
             **environment})


def test_a_missing_python_is_explained(tmp_path):
    bare = tmp_path / 'bin'
    bare.mkdir()
    for tool in ('dirname', 'cat', 'cmp', 'sh'):
        source = next(Path(folder) / tool for folder in ('/usr/bin', '/bin')
                      if (Path(folder) / tool).exists())
        (bare / tool).symlink_to(source)
    done = set_up('train', PATH=str(bare))
    assert done.returncode != 0
    assert 'TensorFlow 1.15 needs Python 3.7' in done.stderr
    assert 'Docker image' in done.stderr


@pytest.mark.parametrize('python', ['/nonexistent/python3.7', '/bin/false'])
def test_a_python_that_does_not_run_is_refused_by_name(python):
    done = set_up('train', TRAIN_PYTHON=python)
    assert done.returncode != 0
    assert f'TRAIN_PYTHON={python} does not run' in done.stderr
