"""Runs code of tests in a new process, in which TensorFlow is eager from the beginning."""
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
EAGERLY = """
import importlib
import tensorflow.compat.v1 as tf
tf.{switch}()
module = importlib.import_module('tests.train.keras.{module}')
{code}
assert tf.executing_eagerly()
"""


def run_eagerly(module, switch, code):
    """Runs code in a new process, the switch thrown. The code finds the test module as `module`.

    Whether the switch is thrown cannot be changed in a process that has begun.
    """
    program = EAGERLY.format(switch=switch, module=module, code=code)
    done = subprocess.run([sys.executable, '-c', program], universal_newlines=True,
                          env=dict(os.environ, PYTHONPATH=str(HERE.parents[2])),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
