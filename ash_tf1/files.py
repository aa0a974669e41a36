"""Files of others, read within limits; and our own, which are there whole or not at all."""
import contextlib
import functools
import hashlib
import json
import os
import stat
import tempfile

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


def _short_int(digits):
    if len(digits) > 400:  # Python takes the square of their number in time
        raise ValueError('an integer of {} digits'.format(len(digits)))
    return int(digits)


@contextlib.contextmanager
def replacing(path):
    """Gives a temporary path beside `path` to write to, and renames it to `path` on success.

    Makes the folder where it is missing. After an exception nothing at `path` has changed.
    """
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    root, extension = os.path.splitext(path)
    temporary = '{}.partial-{}{}'.format(root, os.getpid(), extension)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


@contextlib.contextmanager
def replacing_folder(path):
    """Gives a temporary folder beside `path` to fill, and puts it in place of `path` on success.

    What was at `path` is removed, but only then. After an exception nothing at `path` has changed,
    and the folders above it that were missing are so again.
    """
    parent = os.path.dirname(os.path.abspath(path))
    missing, above = [], parent
    while not os.path.exists(above):
        missing.append(above)
        above = os.path.dirname(above)
    try:
        os.makedirs(parent, exist_ok=True)
        with _replacing_folder(path, parent) as fresh:
            yield fresh
    except BaseException:  # Ctrl-C too
        for folder in missing:
            with contextlib.suppress(OSError):  # somebody else has put something there
                os.rmdir(folder)
        raise


@contextlib.contextmanager
def _replacing_folder(path, parent):
    with tempfile.TemporaryDirectory(prefix='.partial-', dir=parent) as scratch:
        fresh, old = os.path.join(scratch, 'new'), os.path.join(scratch, 'old')
        os.mkdir(fresh)
        yield fresh
        if os.path.exists(path):
            os.rename(path, old)
        try:
            os.rename(fresh, path)
        except BaseException:  # Ctrl-C too: the folder with `old` in it is about to go
            if os.path.exists(old):
                os.rename(old, path)
            raise


def sha256(paths):
    """The SHA-256 of the contents of files one after the other, as a hexadecimal string."""
    digest = hashlib.sha256()
    for path in paths:
        with open_regular(path) as handle:
            for block in iter(functools.partial(handle.read, 1 << 20), b''):
                digest.update(block)
    return digest.hexdigest()


def write_json(path, value):
    """Writes a value as indented JSON."""
    with replacing(path) as temporary, open(temporary, 'w', encoding='utf-8') as handle:
        json.dump(value, handle, indent=2)
        handle.write('\n')
