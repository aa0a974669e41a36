"""Opens files that come from elsewhere: only regular ones, and within a limit of bytes."""
import os
import stat

from ash_tf1.input_pipelines.dataset import DataFileError


def open_regular(path):
    """Opens a regular file, or a link to one, for reading bytes.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is a pipe, a device or a folder: reading it could wait, or go on, for ever.
    """
    handle = open(path, 'rb', opener=_open_without_waiting)
    if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
        handle.close()
        raise DataFileError(f'{path}: not a regular file')
    return handle


def _open_without_waiting(path, flags):
    # Without O_NONBLOCK, opening a pipe waits until somebody writes into it.
    return os.open(path, flags | os.O_NONBLOCK)


def read_bounded(path, limit):
    """Reads a regular file of at most `limit` bytes.

    Raises:
        OSError: it cannot be opened or read.
        ValueError: it is larger, or no regular file.
    """
    with open_regular(path) as handle:
        size = os.fstat(handle.fileno()).st_size
        if size > limit:
            raise DataFileError(f'{path}: has {size} bytes, expected are at most {limit}')
        return handle.read(limit)
