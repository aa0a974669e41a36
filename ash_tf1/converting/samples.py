"""The inputs of an artifact's test data set: from a file, or made up."""
import os
import zipfile
import zlib

import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1.input_pipelines.images import SUFFIXES, read_image, sample_images
from ash_tf1.preprocessing import Preprocessing
from ash_tf1.reading import open_regular

IMAGES = 8  # of a folder, at most
MAX_ELEMENTS = 2 ** 28  # of an input that is made up, 2 GB of random numbers
BATCH = 4  # of inputs made up, where the graph leaves the first size open


def choose_inputs(path, names, tensors, seed, preprocessing=None):
    """The inputs from a file, as by `read`, or as by `make` where there is none.

    Returns:
      (an array for each input, where they are from as text).
    """
    if path:
        return read(path, names, tensors, preprocessing), base_names([path])
    return make(names, tensors, seed), 'made up, seed {}'.format(seed)


def base_names(paths):
    """The base names of files as text, which a file's name need not be."""
    names = ', '.join(os.path.basename(os.path.normpath(path)) for path in paths)
    return os.fsencode(names).decode('utf-8', 'replace')


def fit_images(paths, height, width, preprocessing):
    """Images fitted as a `Preprocessing` says: uint8 [N, height, width, 3], RGB."""
    return np.stack([preprocessing.fit(read_image(path), height, width) for path in paths])


def make(names, tensors, seed):
    """Seeded inputs for a graph: normal numbers; integers 0 and 1; a batch where it is open.

    Raises:
      ValueError: a shape or dtype leaves open what to make; the message says what to give.
    """
    rng, values = np.random.RandomState(seed), []
    for name, tensor in zip(names, tensors):
        shape = tensor.shape
        if shape is None or None in shape[1:]:
            raise ValueError('input {} leaves its shape open: give --input {}:SHAPE, such as '
                             '{}:4,224,224,3, or --samples'.format(tensor, name, name))
        sizes = [BATCH if size is None else size for size in shape]
        count = tf.TensorShape(sizes).num_elements()
        if not 0 < count <= MAX_ELEMENTS:
            raise ValueError('input {} cannot be made up, with {} elements: give another shape by '
                             '--input {}:SHAPE, or --samples'.format(tensor, count, name))
        if tensor.dtype.is_floating:
            value = rng.standard_normal(sizes)
        elif tensor.dtype == tf.uint8:  # pixels
            value = rng.randint(0, 256, sizes)
        elif tensor.dtype.is_integer or tensor.dtype.is_bool:
            value = rng.randint(0, 2, sizes)
        else:
            raise ValueError('input {} cannot be made up: give --samples'.format(tensor))
        values.append(np.asarray(value, tensor.dtype.as_numpy_dtype))
    return values


def read(path, names, tensors, preprocessing=None):
    """The inputs from a file, held against the graph.

    Args:
      path: of a `.npy` or `.npz` file, of an image file, or of a folder of images, of which the
        first `IMAGES` are taken.
      names, tensors: of the inputs, `graphs.Tensor`s.
      preprocessing: the `Preprocessing` that fits images.

    Raises:
      ValueError: it is no such file, lacks an input, or an array does not fit.
    """
    if os.path.isdir(path) or path.lower().endswith(SUFFIXES):
        return _images(path, tensors, preprocessing or Preprocessing())
    try:
        with open_regular(path) as handle:
            loaded = np.load(handle, allow_pickle=False)
            arrays = dict(loaded) if hasattr(loaded, 'files') else {names[0]: loaded}
    except MemoryError:
        raise ValueError('{} says that it holds more than fits the memory'.format(path)) from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError,
            RuntimeError, KeyError) as error:  # the last ones of .npz alone
        raise ValueError('{} cannot be read as .npy or .npz: {}'.format(
            path, ' '.join(str(error).split()))) from None
    if set(arrays) != set(names):
        raise ValueError('{} must hold the inputs {}, it holds {}'.format(
            path, ', '.join(names), ', '.join(sorted(arrays))))
    for name, tensor in zip(names, tensors):
        dtype, shape = tensor.dtype.as_numpy_dtype, tf.TensorShape(tensor.shape)
        if not np.can_cast(arrays[name].dtype, dtype, 'same_kind') or not shape.is_compatible_with(
                arrays[name].shape):
            raise ValueError('{} has {} as {} {}, the graph takes {}'.format(
                path, name, arrays[name].dtype, list(arrays[name].shape), tensor))
        if not arrays[name].size:
            raise ValueError('{} has {} of no elements, {}, which tests nothing'.format(
                path, name, list(arrays[name].shape)))
        arrays[name] = arrays[name].astype(dtype)
    return [arrays[name] for name in names]


def _images(path, tensors, preprocessing):
    """The one input of images: pixels 0 to 255 in its dtype, [N, H, W, 3] RGB."""
    shape = tensors[0].shape
    if len(tensors) != 1 or shape is None or len(shape) != 4 or shape[3] != 3 or None in shape[1:]:
        raise ValueError('{} has images, and the graph takes {}: it needs one input [N, H, W, 3]'
                         .format(path, ', '.join(map(str, tensors))))
    pixels = fit_images(sample_images([path], shape[0] or IMAGES), *shape[1:3], preprocessing)
    return [pixels.astype(tensors[0].dtype.as_numpy_dtype)]
