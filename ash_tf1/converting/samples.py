"""The inputs of an artifact's test data set: from a file, or made up."""
import numpy as np
import tensorflow.compat.v1 as tf

MAX_ELEMENTS = 2 ** 28  # of an input that is made up, 2 GB of random numbers
BATCH = 4  # of inputs made up, where the graph leaves the first size open


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


def read(path, names, tensors):
    """The inputs from a `.npy` or `.npz` file, held against the graph.

    Raises:
      ValueError: it is no such file, lacks an input, or an array does not fit.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        arrays = dict(loaded) if hasattr(loaded, 'files') else {names[0]: loaded}
    except MemoryError:
        raise ValueError('{} says that it holds more than fits the memory'.format(path)) from None
    except (OSError, ValueError, EOFError) as error:
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
