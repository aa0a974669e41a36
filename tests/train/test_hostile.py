"""A share of the hostile inputs that `make hostile` judges, of every kind."""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.hostile.judging import Case, judge

RUN = Path(__file__).resolve().parents[1] / 'hostile' / 'run.py'


@pytest.mark.timeout(300)
def test_a_share_of_the_hostile_inputs():
    done = subprocess.run([sys.executable, '-W', 'ignore', str(RUN), 'train', '39'],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    assert done.returncode == 0, done.stdout
    kinds = [line.split()[-2:] for line in done.stdout.splitlines()[1:]]
    assert len(kinds) == 20 + 1 and all(int(count) > 0 for count, _ in kinds), done.stdout


CHANGES = {
    'nothing': (lambda: None, None),
    'what it may': (lambda: os.mkdir('out'), None),
    'a file': (lambda: open('precious.txt', 'w').close(), 'precious.txt'),
    'a file more': (lambda: open('new', 'w').close(), 'new'),
    'a folder more': (lambda: os.mkdir('new'), 'new'),
    'a link more': (lambda: os.symlink('/', 'new'), 'new'),
    'rights': (lambda: os.chmod('precious.txt', 0o600), 'precious.txt'),
    'a file less': (lambda: os.remove('precious.txt'), 'precious.txt'),
    'a name like it': (lambda: os.mkdir('output'), 'output'),
    'a temporary file': (lambda: tempfile.mkstemp(suffix='.left'), '.left')}


@pytest.mark.parametrize('change', CHANGES)
@pytest.mark.parametrize('status', [0, 2])
def test_what_a_case_changes_beside_its_output_is_a_fault(tmp_path, change, status):
    def run(argv):
        os.chmod('precious.txt', 0o644)
        CHANGES[change][0]()
        sys.stderr.write('input\n' if status else '')
        return status

    def make(folder, rng):
        os.chmod(os.path.join(folder, 'precious.txt'), 0o644)
        return [], None
    case = Case('kind', 0, make, run, writes=('out',), leaves=() if change == 'nothing' else (
        'out',))
    (_, found), = judge([case], str(tmp_path / 'scratch'))
    named = CHANGES[change][1]
    assert len(found) == (named is not None) and all(named in fault for fault in found)
    assert not os.listdir(str(tmp_path / 'scratch'))


@pytest.mark.parametrize('ending, fault', [
    (lambda: sys.stderr.write('input is bad\n') and 2, None),
    (lambda: sys.stderr.write('it is bad\n') and 2, 'did not name'),
    (lambda: sys.stderr.write('input\n' * 4) and 2, 'did not say one line'),
    (lambda: 2, 'did not say one line'), (lambda: 0, 'its answer is wrong'),
    (lambda: sys.stderr.write('input \x1b[31m\n') and 1, 'control characters'),
    (lambda: {}['input'], 'ended with 99'), (lambda: os.kill(os.getpid(), 9), 'ended with -9')])
def test_how_a_case_must_not_end(tmp_path, ending, fault):
    case = Case('kind', 0, lambda folder, rng: ([], None), lambda argv: ending(),
                lambda out, about: False)
    (_, found), = judge([case], str(tmp_path / 'scratch'))
    assert len(found) == (fault is not None) and all(fault in one for one in found)
