"""docs/extending.md: its parts are trained, evaluated, exported and verified by its commands."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TRAIN_PYTHON = os.environ.get('ASH_TRAIN_PYTHON', str(ROOT / '.venv/train/bin/python'))
PAGE = (ROOT / 'docs/extending.md').read_text(encoding='utf-8')

pytestmark = pytest.mark.skipif(not Path(TRAIN_PYTHON).exists(),
                                reason='needs the training environment: make setup')


def run(folder, command, status=0):
    """Runs a command of the page in a folder; its stdout and stderr."""
    python, tool, *arguments = command.split()
    python = TRAIN_PYTHON if 'train' in python else sys.executable
    done = subprocess.run([python, str(ROOT / tool), *arguments], cwd=folder, text=True,
                          capture_output=True, timeout=600)
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    """The folder in which the page's commands were run, and what each printed."""
    folder = tmp_path_factory.mktemp('extending')
    blocks = re.findall(r'```python\n(.*?)```', PAGE, re.DOTALL)
    (folder / 'my_parts.py').write_text('\n'.join(blocks), encoding='utf-8')
    commands = re.findall(r'^    (\.venv/.*)$', PAGE, re.MULTILINE)
    return folder, {command: run(folder, command) for command in commands}


def output(page, start):
    return next(text for command, text in page[1].items() if start in command)


def test_the_own_net_learns(page):
    top1 = float(re.search(r'top-1 ([\d.]+)%', output(page, 'evaluate.py')).group(1))
    assert top1 > 80  # of two classes
    losses = re.findall(r'validation loss ([\d.]+)', output(page, '--recipe brightness'))
    assert len(losses) == 4 and float(losses[-1]) < float(losses[0])


def test_the_activations_variable_is_read_from_the_checkpoint_as_the_page_says(page):
    code, = re.findall(r"`(tf\.train\.load_checkpoint\(.*?\)\.get_tensor\(.*?\))`", PAGE)
    done = subprocess.run(
        [TRAIN_PYTHON, '-W', 'ignore', '-c',
         f'import tensorflow.compat.v1 as tf; print(float({code}))'],
        cwd=page[0], capture_output=True, text=True)
    assert float(done.stdout) not in (0.0, 1.0), done.stderr  # it begins with 1


def test_the_list_shows_what_the_page_says_of_a_part(page):
    command = '.venv/train/bin/python tools/train.py --plugin my_parts.py --list'
    assert command.partition('bin/python ')[2] in PAGE
    assert re.search(r'^  scaled_tanh +tanh times a scale that is trained$',
                     run(page[0], command), re.MULTILINE)


def test_the_artifacts_verify(page):
    for name in ('stripes', 'brightness'):
        assert 'passed' in output(page, f'verify_onnx.py artifacts/{name}')


def test_the_run_says_which_file_it_needs_and_runs_no_other(page):
    folder, _ = page
    plugin, = json.loads((folder / 'runs/stripes/plugins.json').read_text())
    assert plugin['path'] == str(folder / 'my_parts.py')
    evaluate = next(command for command in page[1] if 'evaluate.py' in command)
    code = (folder / 'my_parts.py').read_text(encoding='utf-8')
    try:
        (folder / 'my_parts.py').write_text(code + '# changed\n', encoding='utf-8')
        line, = run(folder, evaluate, status=2).splitlines()
        assert 'my_parts.py, which has changed: give it by --plugin FILE' in line
        run(folder, evaluate + ' --plugin my_parts.py')
    finally:
        (folder / 'my_parts.py').write_text(code, encoding='utf-8')
