"""A session of Keras for each test."""
import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

import pytest
import tensorflow.compat.v1 as tf


@pytest.fixture
def new_session():
    """A graph and session of Keras that hold nothing from other tests, with a seed."""
    tf.keras.backend.clear_session()
    tf.set_random_seed(0)
    yield
    tf.keras.backend.clear_session()
