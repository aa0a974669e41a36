"""Marks the folders that this package writes, so that only unchanged ones are ever replaced."""
import contextlib
import os

from ash_tf1 import files, reading

MARK_FILE = '.ash_tf1.json'  # relative path -> SHA-256 of each file that was written


def mark(folder):
    """Writes down, in a folder that is whole, what it holds."""
    written = {name: reading.sha256([os.path.join(folder, name)])
               for name in _paths(folder)[0] if name != MARK_FILE}
    files.write_json(os.path.join(folder, MARK_FILE), {'files': written})


def check_replaceable(folder, overwrite):
    """Checks that a folder is not there, or may be replaced.

    Args:
      folder: its path.
      overwrite: whether one that `mark` marked, and in which nothing has changed, may be replaced.

    Raises:
      ValueError: it may not; the message names what is in the way.
    """
    if not os.path.lexists(folder):
        return
    if not overwrite:
        raise ValueError('{} exists: give another folder, or overwrite it (--overwrite, '
                         'overwrite=True)'.format(folder))
    path = os.path.join(folder, MARK_FILE)
    if os.path.islink(folder) or not os.path.isdir(folder):
        raise ValueError('{} is no folder: it will not be replaced'.format(folder))
    if os.listdir(folder) and not os.path.isfile(path):
        raise ValueError('{} has no {}, as a folder has that was written here: it will not be '
                         'replaced'.format(folder, MARK_FILE))
    written = _read_mark(path) if os.path.isfile(path) else {}
    found, folders = _paths(folder)
    homes = {os.path.dirname(name) for name in written}
    for name in folders:
        if not any((home + '/').startswith(name + '/') for home in homes):
            raise _in_the_way(folder, name, 'is not of what was written')
    for name in found:
        if name != MARK_FILE and name not in written:
            raise _in_the_way(folder, name, 'is not of what was written')
        if name != MARK_FILE and written[name] != _sha256(os.path.join(folder, name)):
            raise _in_the_way(folder, name, 'has changed since it was written')


@contextlib.contextmanager
def replacing_folder(folder, overwrite):
    """As `files.replacing_folder`, for a folder that `check_replaceable` lets be replaced.

    It is asked before, and again at the end: somebody may have put something there meanwhile.
    """
    check_replaceable(folder, overwrite)
    with files.replacing_folder(folder) as fresh:
        yield fresh
        check_replaceable(folder, overwrite)


def _in_the_way(folder, name, problem):
    return ValueError('{} {}: {} will not be replaced'.format(
        os.path.join(folder, name), problem, folder))


def _sha256(path):
    # A link, or what is no regular file, is none of ours.
    return None if os.path.islink(path) or not os.path.isfile(path) else reading.sha256([path])


def _read_mark(path):
    values = reading.read_json(path)
    written = values.get('files') if isinstance(values, dict) else None
    if not isinstance(written, dict) or not all(isinstance(one, str) for one in written.values()):
        raise ValueError('{} does not say what was written'.format(path))
    return written


def _paths(folder):
    """(files, folders) in a folder, at any depth, relative to it, with /; links are files."""
    found, folders = [], []
    for home, inner, names in os.walk(folder):
        for name in inner + names:
            path = os.path.join(home, name)
            is_folder = name in inner and not os.path.islink(path)
            (folders if is_folder else found).append(
                os.path.relpath(path, folder).replace(os.sep, '/'))
    return sorted(found), sorted(folders)
