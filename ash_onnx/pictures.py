"""Pictures that the package writes: the checks of their paths, and files that appear complete."""

import os
from pathlib import Path

import cv2

_SUFFIXES = ('.png', '.jpg', '.jpeg')


def check_picture_path(path, overwrite=True, inputs=()):
    """Raises what forbids a picture at this path, before any work is done for it.

    Args:
      path: the picture.
      overwrite: whether a file that is there may be replaced.
      inputs: paths of the image files and folders that are read; the picture must be none of
        these files.
    """
    path = Path(path)
    if path.suffix.lower() not in _SUFFIXES:
        raise ValueError(f'{path}: a picture\'s name must end in {", ".join(_SUFFIXES)}')
    if not path.parent.is_dir():
        raise FileNotFoundError(f'{path}: there is no folder {path.parent}')
    if path.is_dir():
        raise IsADirectoryError(f'{path}: this is a folder')
    # Where it is a link, what it leads to must stay as well.
    if not overwrite and os.path.lexists(path):
        raise ValueError(f'{path}: this file exists; give another name, or --overwrite')
    for given in inputs:
        if any(same_file(path, one) for one in (Path(given).iterdir() if Path(given).is_dir()
                                                 else [given])):
            raise ValueError(f'{path}: this is one of the images to classify, which it would '
                             'replace')


def write_picture(path, picture):
    """Writes a picture under a name that `check_picture_path` allows, or nothing.

    Args:
      path: the file; replaced at once when the picture is complete.
      picture: uint8 array [height, width, 3], RGB.

    Raises:
      OSError: it cannot be written.
    """
    path = Path(path)
    _, data = cv2.imencode(path.suffix.lower(), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    # Beside its final name: a rename is atomic within one file system only.
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        temporary.write_bytes(data.tobytes())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def same_file(path, other):
    """Whether both are there and are one file."""
    return os.path.exists(path) and os.path.exists(other) and os.path.samefile(path, other)
