"""Files that are either there whole or not at all."""
import contextlib
import json
import os


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


def write_json(path, value):
    """Writes a value as indented JSON."""
    with replacing(path) as temporary, open(temporary, 'w', encoding='utf-8') as handle:
        json.dump(value, handle, indent=2)
        handle.write('\n')
