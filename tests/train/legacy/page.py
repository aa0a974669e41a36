"""The blocks of docs/legacy.md, by section, and the processes that run them."""
import collections
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ANSWER = 'ANSWER '
# What a test asks of a program once the page's blocks have run, as a Python expression.
ASK = '\nimport json\nprint({answer!r} + json.dumps({expression}))\n'


def read_blocks():
    """The Python blocks of the page: heading -> list, for each heading that has some."""
    text = (ROOT / 'docs/legacy.md').read_text(encoding='utf-8')
    found = collections.OrderedDict()
    for part in re.split(r'^##+ ', text, flags=re.MULTILINE):
        title, _, body = part.partition('\n')
        code = re.findall(r'^```python\n(.*?)^```', body, re.DOTALL | re.MULTILINE)
        if code:
            found[title] = code
    return found


def run_program(folder, code, ask=None, **environment):
    """Runs code in a new process, in a folder.

    Returns:
      (what it printed, the value of the expression `ask` at its end); both are for a program that
      succeeds. Raises AssertionError with what it printed for one that fails.
    """
    if ask:
        code += ASK.format(answer=ANSWER, expression=ask)
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code], cwd=str(folder), universal_newlines=True,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(
            [str(ROOT)] + os.environ.get('PYTHONPATH', '').split(os.pathsep)), **environment),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    answers = re.findall('^{}(.*)$'.format(ANSWER), done.stdout, re.MULTILINE)
    return done.stdout, json.loads(answers[-1]) if ask else None
