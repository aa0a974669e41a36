"""Reads files that come from elsewhere: only regular ones are opened, and within limits."""
import functools
import hashlib
import json
import os
import stat

MAX_TEXT_BYTES = 2 ** 26  # of settings, labels, rules


def open_regular(path):
    """Opens a regular file, or a link to one, for reading bytes.

    Raises:
      OSError: it cannot be opened.
      ValueError: it is a pipe, a socket, a device or a folder: reading it could wait, or go on, for
        ever.
    """
    handle = open(path, 'rb', opener=_open_without_waiting)
    if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
        handle.close()
        raise ValueError('{}: not a regular file'.format(path))
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
            raise ValueError('{}: has {} bytes, expected are at most {}'.format(path, size, limit))
        return handle.read(size)  # not the limit, whose memory would be taken


def read_text(path):
    """Reads a text file in UTF-8, of at most `MAX_TEXT_BYTES`; a mark of byte order is dropped.

    Raises:
      OSError: it cannot be opened or read.
      ValueError: it is larger, no regular file, or not UTF-8; the message names it.
    """
    try:
        return read_bounded(path, MAX_TEXT_BYTES).decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError('{}: is no text in UTF-8: {}'.format(path, error)) from None


def read_json(path):
    """Reads the value of a JSON file.

    Raises:
      OSError, ValueError: as for `read_text`; or it is not JSON, or nested too deep.
    """
    text = read_text(path)
    try:
        return json.loads(text, parse_int=_short_int)
    except RecursionError:
        raise ValueError('{}: is nested too deep'.format(path)) from None
    except ValueError as error:
        raise ValueError('{}: is not JSON: {}'.format(path, error)) from None


def sha256(paths):
    """The SHA-256 of the contents of files one after the other, as a hexadecimal string.

    Raises:
      OSError, ValueError: as for `open_regular`.
    """
    digest = hashlib.sha256()
    for path in paths:
        with open_regular(path) as handle:
            for block in iter(functools.partial(handle.read, 1 << 20), b''):
                digest.update(block)
    return digest.hexdigest()


def _short_int(digits):
    if len(digits) > 400:  # Python takes the square of their number in time
        raise ValueError('an integer of {} digits'.format(len(digits)))
    return int(digits)
