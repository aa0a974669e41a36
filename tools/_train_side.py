"""Imported first by every tool of the TensorFlow side: finds the checkout, and hushes TensorFlow.

TensorFlow 1.15 greets with a page of warnings that no user of it can act on. They come while it is
imported, so that they have to be turned off before; TF_CPP_MIN_LOG_LEVEL=0 brings them back.
"""
import os
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
if os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '1') != '0':
    warnings.filterwarnings('ignore', category=FutureWarning, module='tensor(flow|board)')
    warnings.filterwarnings('ignore', category=DeprecationWarning)
    import tensorflow.compat.v1 as tf
    tf.logging.set_verbosity(tf.logging.ERROR)
