import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

import numpy as np
import pytest
import tensorflow.compat.v1 as tf


@pytest.fixture
def new_session():
    """A graph and session of Keras that hold nothing from other tests, with a seed."""
    tf.keras.backend.clear_session()
    tf.set_random_seed(0)
    yield
    tf.keras.backend.clear_session()


def randomize_weights(model, seed=0):
    """Gives each weight of a model, biases and statistics too, a value of its own; returns it."""
    rng = np.random.RandomState(seed)
    model.set_weights([rng.uniform(0.2, 1.0, value.shape) * (
        rng.choice([-1, 1], value.shape) if value.ndim > 1 else 1)
        for value in model.get_weights()])
    return model


@pytest.fixture(scope='session')
def randomize():
    """The function above, which test modules cannot import."""
    return randomize_weights


HERE = Path(__file__).resolve().parent
EAGERLY = """
import importlib.util
import tensorflow.compat.v1 as tf
tf.{switch}()
def load(name):
    spec = importlib.util.spec_from_file_location(name, {here!r} + '/' + name + '.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
randomize, module = load('conftest').randomize_weights, load({module!r})
{code}
assert tf.executing_eagerly()
"""


@pytest.fixture(scope='session')
def run_eagerly():
    """Function (test module, switch, code): runs code in a new process, the switch thrown.

    Whether it is thrown cannot be changed in a process that has begun. The code finds the test
    module as `module` and `randomize`.
    """
    def run(module, switch, code):
        program = EAGERLY.format(switch=switch, here=str(HERE), module=module, code=code)
        done = subprocess.run([sys.executable, '-c', program], universal_newlines=True,
                              env=dict(os.environ, PYTHONPATH=str(HERE.parents[2])),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout
    return run
