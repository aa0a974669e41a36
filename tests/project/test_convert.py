"""docs/legacy.md's way from an own loop to an ONNX model, as it stands there: both sides."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TRAIN_PYTHON = os.environ.get('ASH_TRAIN_PYTHON', str(ROOT / '.venv/train/bin/python'))

pytestmark = pytest.mark.skipif(not Path(TRAIN_PYTHON).exists(),
                                reason='needs the training environment: make setup')


def section():
    """The Python block and the commands of the page's section."""
    page = (ROOT / 'docs/legacy.md').read_text(encoding='utf-8')
    text = page.partition('## A frozen graph as an ONNX model')[2].partition('\n## ')[0]
    program, = re.findall(r'^```python\n(.*?)^```', text, re.DOTALL | re.MULTILINE)
    return program, re.findall(r'^    \.venv/(train|serve)/bin/python (tools/.*)$', text,
                               re.MULTILINE)


def run(folder, *command, **environment):
    return subprocess.run(command, cwd=folder, text=True, capture_output=True, timeout=600,
                          env=dict(os.environ, PYTHONPATH=str(ROOT), **environment))


@pytest.mark.parametrize('native, opset', [('auto', 11), ('0', 18)])
def test_vgg19_in_an_own_loop_becomes_a_model_that_verifies(tmp_path, native, opset):
    """In the forms that are the default, native where it is built, and graph ops; and opsets."""
    program, commands = section()
    done = run(tmp_path, TRAIN_PYTHON, '-W', 'ignore', '-c', program, ASH_NATIVE=native)
    assert done.returncode == 0, done.stderr
    assert [side for side, _ in commands] == ['train', 'serve']
    for side, command in commands:
        tool, *arguments = command.split()
        python = TRAIN_PYTHON if side == 'train' else sys.executable
        done = run(tmp_path, python, str(ROOT / tool), *arguments,
                   *(['--json'] if side == 'serve' else ['--opset', str(opset)]))
        assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result['passed']
    assert result['tolerance']['relative'] < 1e-3
    assert max(row['max_rel_difference'] for row in result['differences']) < 1e-5


def test_a_refusal_is_one_line_and_leaves_nothing(tmp_path):
    (tmp_path / 'graph.pb').write_bytes(b'no graph')
    done = run(tmp_path, TRAIN_PYTHON, str(ROOT / 'tools/convert.py'), 'graph.pb', 'out')
    assert (done.returncode, done.stderr.count('\n')) == (2, 1)
    assert done.stderr.startswith('convert.py: error: graph.pb is no GraphDef')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['graph.pb']
