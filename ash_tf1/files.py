"""Files and folders that are either there whole or not at all."""
import contextlib
import functools
import hashlib
import json
import os
import tempfile


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
        with open(path, 'rb') as handle:
            for block in iter(functools.partial(handle.read, 1 << 20), b''):
                digest.update(block)
    return digest.hexdigest()


def write_json(path, value):
    """Writes a value as indented JSON."""
    with replacing(path) as temporary, open(temporary, 'w', encoding='utf-8') as handle:
        json.dump(value, handle, indent=2)
        handle.write('\n')
