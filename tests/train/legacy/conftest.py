"""Whether the examples of docs/legacy.md find a native ASH, and the page's blocks."""
import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

import pytest

from tests.train.legacy.page import read_blocks


@pytest.fixture(scope='session')
def blocks():
    """The Python blocks of the page: heading -> list."""
    return read_blocks()


@pytest.fixture(scope='session')
def native_built():
    """Whether there is a native ASH that fits."""
    from ash_tf1 import native
    try:
        native.library()
    except native.Unavailable:
        return False
    return True
