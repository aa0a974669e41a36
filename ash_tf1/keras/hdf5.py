"""Reads Keras models from HDF5 files that `model.save('model.h5')` wrote: checks, then loads."""
import json
import os

import h5py
import tensorflow.compat.v1 as tf
import tensorflow.compat.v2 as tf2

from ash_tf1.converting import sources
from ash_tf1.keras import copying, export, layers
from ash_tf1.reading import open_regular

_MODELS = ('Model', 'Functional', 'Sequential', 'Network')
_OURS = {'ASH': layers.ASH, 'Swish': layers.Swish}
_MODULES = [module for keras in (tf.keras, tf2.keras) for module in (
    keras.layers, keras.initializers, keras.regularizers, keras.constraints)]


def read(path, trust_code=False):
    """Reads a Keras model as a source to convert, for inference.

    Args:
      path: an HDF5 file that `model.save` wrote.
      trust_code: whether a Lambda layer may be loaded. It holds Python code, which loading runs.

    Returns:
      A `converting.sources.Source` of a frozen graph. Its ASH layers keep their implementation.

    Raises:
      ValueError: the file is not HDF5, holds no model, links to another file, or names a class that
        is neither Keras's nor ours (the message names it). In these cases no code of the model has
        run. Or Keras cannot load the model.
    """
    model_config = _read_config(path)
    for name in _class_names(model_config):
        if name == 'Lambda' and not trust_code:
            raise ValueError('{} holds a Lambda layer, which is Python code that loading would '
                             'run: --trust-code allows it'.format(path))
        if name not in _MODELS and name not in _OURS and not any(
                hasattr(module, name) for module in _MODULES):
            raise ValueError('{} holds the class {!r}, which is neither Keras\'s nor of '
                             'ash_tf1.keras: save the model without it, or convert its frozen '
                             'graph'.format(path, name))
    with tf.Graph().as_default(), tf.Session().as_default():
        try:
            model = tf.keras.models.load_model(path, custom_objects=_OURS, compile=False)
        except Exception as error:  # Keras may raise anything here: TypeError, KeyError, IndexError
            raise ValueError('{} cannot be loaded by Keras: {}: {}'.format(
                path, type(error).__name__, error)) from error
        copying.check_model(model)
        graph_def, signature = export.freeze(model)
    return sources.Source(os.path.basename(path), (path,), graph_def, inputs=signature.inputs,
                          outputs=signature.outputs)


def _read_config(path):
    try:
        open_regular(path).close()
        with h5py.File(path, 'r') as file:
            _check_links(path, file)
            config = file.attrs.get('model_config')
    except (OSError, RuntimeError, KeyError, TypeError) as error:  # h5py raises any of them
        raise ValueError('{} cannot be read as HDF5: {}'.format(path, error)) from None
    if config is None:
        raise ValueError('{} holds no model. Perhaps save_weights wrote it: save the whole model '
                         'by model.save'.format(path))
    try:
        return json.loads(config.decode() if isinstance(config, bytes) else config)
    except (ValueError, RecursionError) as error:
        raise ValueError('{} holds a model whose config is no JSON: {}'.format(
            path, error)) from None


def _check_links(path, group):
    """Raises ValueError if the file refers to data in another file."""
    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
            raise ValueError('{} has {!r} in another file'.format(path, name))
        value = group.get(name)
        if isinstance(value, h5py.Group):
            _check_links(path, value)
        elif isinstance(value, h5py.Dataset) and value.external:
            raise ValueError('{} has {!r} in another file'.format(path, name))


def _class_names(config):
    """Yields every class that a model's config names, in order."""
    waiting = [config]
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, dict):
            if isinstance(value.get('class_name'), str):
                yield value['class_name']
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
