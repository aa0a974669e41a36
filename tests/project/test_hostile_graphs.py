"""Graphs of a hostile stranger, or off a bad disk: tools/convert.py refuses in a line, or is right.

hostile/ makes them. 20 in `make test`, of each kind; all 200 in `make test-all`.
"""
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

import ash_onnx

ROOT = Path(__file__).resolve().parents[2]
TRAIN_PYTHON = os.environ.get('ASH_TRAIN_PYTHON', str(ROOT / '.venv/train/bin/python'))
SECONDS = 60

pytestmark = pytest.mark.skipif(not Path(TRAIN_PYTHON).exists(),
                                reason='needs the training environment: make setup')


def converted(out, which):
    """What became of each graph: a list of dicts."""
    done = subprocess.run(
        [TRAIN_PYTHON, '-W', 'ignore', str(Path(__file__).with_name('hostile') / 'convert_all.py'),
         str(out), which], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def faults(result):
    """What is wrong with how the conversion of a graph ended: a list of words."""
    found, artifact, said = [], Path(result['artifact']), result['stderr']
    if result['changed']:
        found.append(f'it changed {result["changed"]}')
    if result['seconds'] > SECONDS:
        found.append(f'it took {result["seconds"]:.0f} s')
    if not re.search(result['message'], said):
        found.append(f'it did not say {result["message"]!r}')
    if result['status'] == 0:
        model = ash_onnx.load_artifact(str(artifact), provider='cpu')
        if said or not ash_onnx.verify(model).passed:
            found.append('it is no artifact that verifies')
    elif result['status'] in (1, 2):
        if not re.fullmatch(r'convert\.py: error: [^\n]+\n', said) or 'Traceback' in said:
            found.append('it did not say one line')
        if artifact.parents[1].exists():
            found.append('it left folders')
    else:
        found.append(f'it ended with {result["status"]}')
    return found


def check(results, count):
    assert len(results) == count
    wrong = {result['name']: (faults(result), result['stderr']) for result in results
             if faults(result)}
    assert not wrong
    assert {0, 1, 2} == {result['status'] for result in results}


def test_graphs_of_each_kind(tmp_path):
    check(converted(tmp_path / 'out', 'few'), 20)


@pytest.mark.full_size
@pytest.mark.timeout(1800)
def test_two_hundred_graphs(tmp_path):
    check(converted(tmp_path / 'out', 'all'), 200)


@pytest.mark.parametrize('case, status', [
    ('a leak of no text', 2), pytest.param('NaN', 1, marks=pytest.mark.slow)])
def test_the_command_itself(tmp_path, case, status):
    result, = converted(tmp_path / 'out', case)
    folder = Path(result['artifact']).parents[2]
    source, *arguments = json.loads((folder / 'arguments.json').read_text())
    done = subprocess.run([TRAIN_PYTHON, str(ROOT / 'tools/convert.py'), source,
                           result['artifact'], *arguments], cwd=folder / 'cwd', text=True,
                          capture_output=True)
    assert (done.returncode, done.stdout) == (status, '')
    assert done.stderr == result['stderr']
    assert not (folder / 'new').exists()
