"""Photos of a folder as a data set without labels."""
import functools
import os

from ash_tf1.input_pipelines.dataset import DataFileError, Images, Remembered
from ash_tf1.input_pipelines.fitting import fit_image
from ash_tf1.input_pipelines.images import MAX_PIXELS, Photos, find_images, read_image, visible

IMAGE_SIZE = (64, 64)


def load(data_dir, image_size=None):
    """Finds all photos in a folder and in the folders in it; they are decoded when asked for.

    Photos are JPEG or PNG files. Other files are passed over. A photo is fitted by `fit_image` with
    its defaults: scaled to cover the size, and cut to its centre. As far as they fit into memory,
    fitted photos are kept there.

    Args:
      data_dir: path of the folder.
      image_size: (height, width) in pixels; None means `IMAGE_SIZE`.

    Returns:
      `Images` named 'photos', sorted by path, all of them in the split train.

    Raises:
      ValueError: `data_dir` is None, `image_size` is too large, or there are no photos.
      OSError: a folder cannot be listed, or a file cannot be opened.
    """
    if data_dir is None:
        raise ValueError('photos need data_dir (--data-dir): the path of a folder of JPEG or PNG '
                         'files')
    height, width = image_size or IMAGE_SIZE
    if height * width > MAX_PIXELS:
        raise ValueError('an image may have {} pixels, image_size is {} x {}'.format(
            MAX_PIXELS, height, width))
    paths = _find(os.fspath(data_dir))
    if not paths:
        raise DataFileError('{}: has no JPEG or PNG files'.format(data_dir))
    return Images('photos', Remembered(Photos(paths, functools.partial(_make, height, width))),
                  None, None)


def _find(folder):
    paths = find_images(folder)
    for entry in visible(folder):
        if os.path.isdir(entry) and not os.path.islink(entry):  # a link may lead around in a circle
            paths += _find(entry)
    return sorted(paths)


def _make(height, width, path):
    return fit_image(read_image(path), height, width)
