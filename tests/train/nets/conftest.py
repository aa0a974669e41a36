"""The registered nets, each built once, and the golden lists of their variables.

`pytest -m '' tests/train/nets --update-golden` writes tests/golden/variables/ anew. Look at what
git then shows: a name that changes there breaks every checkpoint.
"""
import collections
import functools
import os
from pathlib import Path

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

import pytest
import tensorflow.compat.v1 as tf

from ash_tf1.nets import NETS

GOLDEN = Path(__file__).resolve().parents[2] / 'golden' / 'variables'

Built = collections.namedtuple('Built', ['logits', 'end_points', 'layers', 'graph'])
Built.__doc__ += """: `layers` are the variable scopes in which the activation was called."""


def pytest_addoption(parser):
    parser.addoption('--update-golden', action='store_true',
                     help='write the golden files anew instead of comparing with them')


def stand_in_for_ash(x):
    """The variables of ASH on a linear activation: builds fast, and hides no non-linearity."""
    z_k, alpha = (tf.get_variable(name, [1], tf.float32, tf.constant_initializer(value))
                  for name, value in (('z_k', 1e-3), ('alpha', 1.0)))
    return alpha * x + z_k


class Recorder:
    """An activation that notes where it is called, and marks its ops by their name scope."""

    MARK = 'recorded_activation'

    def __init__(self, activation=stand_in_for_ash):
        self.activation = activation
        self.layers = []

    def __call__(self, x):
        self.layers.append(tf.get_variable_scope().name)
        with tf.name_scope(self.MARK):
            return self.activation(x)


@functools.lru_cache(maxsize=None)
def build_net(name):
    recorder = Recorder()
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [None, 32, 32, 3])
        logits, end_points = NETS[name](images, 10, recorder, is_training=False)
    return Built(logits, end_points, recorder.layers, graph)


@pytest.fixture(scope='session')
def built():
    """Function: name of a net -> `Built`, at 32x32x3 with 10 classes. Not to be changed."""
    return build_net


@pytest.fixture(scope='session')
def stand_in():
    """An activation with the variables of ASH."""
    return stand_in_for_ash


@pytest.fixture
def recorder():
    """The class `Recorder`."""
    return Recorder


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
