"""A share of the hostile inputs that `make hostile` judges, of every kind."""
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[1] / 'hostile' / 'run.py'


@pytest.mark.timeout(300)
def test_a_share_of_the_hostile_inputs():
    done = subprocess.run([sys.executable, '-W', 'ignore', str(RUN), 'serve', '29'],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    assert done.returncode == 0, done.stdout
    kinds = [line.split()[-2:] for line in done.stdout.splitlines()[1:]]
    assert len(kinds) == 8 + 1 and all(int(count) > 0 for count, _ in kinds), done.stdout
