"""A session for each test; tests of the native form are left out where it cannot be built."""
import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

import pytest
import tensorflow.compat.v1 as tf

from ash_tf1 import native


def pytest_collection_modifyitems(items):
    """Leaves out the native form where there is no compiler that could have built it."""
    try:
        native.library()
    except native.Unavailable as reason:
        for item in items:
            if getattr(item, 'callspec', None) and item.callspec.params.get(
                    'implementation') == 'native':
                item.add_marker(pytest.mark.skip(reason=str(reason)))


@pytest.fixture
def session():
    """A session on a new default graph."""
    with tf.Graph().as_default() as graph, tf.Session(graph=graph) as session:
        yield session
