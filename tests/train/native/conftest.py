"""What the tests of the native ops share: the library, and sessions with so many threads."""
import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

import pytest
import tensorflow.compat.v1 as tf

from ash_tf1 import native


@pytest.fixture(scope='session')
def library():
    """The module of the ops; skips where there is no compiler that could have built them."""
    try:
        return native.library()
    except native.Unavailable as reason:
        if 'there is no C++ compiler' not in str(reason):
            raise
        pytest.skip(str(reason))


@pytest.fixture
def session_of():
    """Function (threads) -> a session on the default graph, with a pool of its own."""
    def make(threads):
        return tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=threads,
                                                use_per_session_threads=True))
    with tf.Graph().as_default():
        yield make
