"""Each tool of the TensorFlow side imports this first.

It makes the packages of the checkout importable, and turns warnings of TensorFlow off. If there is
no TensorFlow 1, it ends the tool with one line that says which Python has it.

The import of TensorFlow 1.15 prints a page of warnings that its user can do nothing about. So they
are turned off before the import. Set TF_CPP_MIN_LOG_LEVEL=0 to see them.
"""
import os
import signal
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
if os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2') != '0':
    warnings.filterwarnings('ignore', category=FutureWarning, module='tensor(flow|board)')
    warnings.filterwarnings('ignore', category=DeprecationWarning)


def _end(number, frame):
    """Ends the process at Ctrl-C, which packages that are being imported may catch or show."""
    del number, frame
    os.write(2, '{}: interrupted\n'.format(os.path.basename(sys.argv[0])).encode())
    os._exit(130)


if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end)  # until a command begins, which undoes this
try:
    import ash_tf1  # noqa: F401
except ImportError as error:  # another Python, or an environment without TensorFlow 1
    sys.stderr.write('{}: error: take .venv/train/bin/python, which `make setup` makes: {}\n'
                     .format(Path(sys.argv[0]).name, error))
    sys.exit(2)
if os.environ['TF_CPP_MIN_LOG_LEVEL'] != '0':
    import tensorflow.compat.v1 as tf
    tf.logging.set_verbosity(tf.logging.ERROR)
