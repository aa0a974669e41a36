"""The golden lists of the variables of nets.

`pytest -m '' tests/train/nets --update-golden` writes tests/golden/variables/ anew. Look at what
git then shows: a name that changes there breaks every checkpoint.
"""
import os
from pathlib import Path

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

import pytest
import tensorflow.compat.v1 as tf

GOLDEN = Path(__file__).resolve().parents[2] / 'golden' / 'variables'


def pytest_addoption(parser):
    parser.addoption('--update-golden', action='store_true',
                     help='write the golden files anew instead of comparing with them')


@pytest.fixture
def new_graph():
    """Makes a new graph the default one."""
    with tf.Graph().as_default() as graph:
        yield graph


@pytest.fixture
def golden(request):
    """Function (name, lines): holds the lines against the golden file, or writes it anew."""
    def check(name, lines):
        path = GOLDEN / (name + '.txt')
        if request.config.getoption('--update-golden', default=False):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text('\n'.join(lines) + '\n')
        assert lines == path.read_text().splitlines()
    return check
