"""Writes, moves and removes files and folders, so that each is there whole or not at all.

Every change that a training run makes on the disk goes through this module.
"""
import contextlib
import json
import os
import re
import shutil
import tempfile

_PARTIAL = re.compile(r'.+\.partial-\d+(\.\w+)?')  # what `replacing` writes to


@contextlib.contextmanager
def change(what, path):
    """Is entered before each change that a run makes on the disk, and left after it. Does nothing.

    Tests replace it by something that ends the process there, as a crash would.

    Args:
      what: 'move', 'remove' or 'append'.
      path: of the file or folder that changes.
    """
    del what, path
    yield


def move(source, path):
    """Renames a file, in place of one at `path`."""
    with change('move', path):
        os.replace(source, path)


def remove(path):
    """Removes a file."""
    with change('remove', path):
        os.remove(path)


def remove_folder(path):
    """Removes a folder and what is in it, where there is one."""
    if os.path.isdir(path):
        with change('remove', path):
            shutil.rmtree(path)


def append(path, text):
    """Appends text to a file in one write."""
    with change('append', path):
        try:
            with open(path, 'ab') as handle:
                handle.write(text.encode('utf-8'))
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from None  # it names no file


def write_text(path, text):
    """Writes a file of text, whole or not at all."""
    with replacing(path) as temporary, open(temporary, 'w', encoding='utf-8') as handle:
        handle.write(text)


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
        move(temporary, path)
    except OSError as error:
        if error.filename is None and error.errno is not None:  # a full disk names no file
            raise OSError(error.errno, error.strerror, path) from None
        raise
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def remove_partials(folder):
    """Removes what `replacing` left in a folder where a process ended while it wrote."""
    for name in sorted(os.listdir(folder) if os.path.isdir(folder) else ()):
        if _PARTIAL.fullmatch(name):
            remove(os.path.join(folder, name))


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


def write_json(path, value):
    """Writes a value as indented JSON."""
    with replacing(path) as temporary, open(temporary, 'w', encoding='utf-8') as handle:
        json.dump(value, handle, indent=2)
        handle.write('\n')
