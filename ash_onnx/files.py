"""Files that come from elsewhere: how they are opened, and how their names are shown."""

import os
import stat

from ash_distribution.parser import shown

MAX_NAMED = 10  # files that are passed over, in text; all of them in JSON


def open_regular(path):
    """Opens a regular file, or a link to one, for reading bytes.

    Raises:
      OSError: it cannot be opened.
      ValueError: it is a pipe, a socket or a device: reading it could wait, or go on, for ever.
    """
    stream = open(path, 'rb', opener=_open_without_waiting)
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise ValueError(f'{path}: not a regular file')
    return stream


def _open_without_waiting(path, flags):
    # Without O_NONBLOCK, which Windows lacks, opening a pipe waits until somebody writes into it.
    return os.open(path, flags | getattr(os, 'O_NONBLOCK', 0))


def read_bounded(path, limit):
    """Reads a regular file.

    Raises:
      OSError: it cannot be opened or read.
      ValueError: it is larger than `limit` bytes, or no regular file.
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > limit:
            raise ValueError(f'{path}: more than {limit} bytes, {size}')
        return stream.read(size)  # not the limit, whose memory would be taken


def describe_others(paths):
    """Returns how many files were passed over and the first of their names, in one line."""
    names = ', '.join(map(shown, paths[:MAX_NAMED]))
    rest = f' and {len(paths) - MAX_NAMED} more' if len(paths) > MAX_NAMED else ''
    return f'passed over {len(paths)}, no JPEG or PNG files: {names}{rest}'
