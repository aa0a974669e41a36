"""Reads the configs of a model's layers, and makes layers from them.

Keras's own config of a Lambda layer holds the code of its function. `Lambda.from_config` makes a
function from that code. To do so it copies all names of the function's module into Keras's module,
where they may replace names of Keras. The configs that are read here hold the functions instead.
"""
import collections
import contextlib
import functools
import inspect

import tensorflow.compat.v1 as tf

_linear = tf.keras.activations.linear


def make(layer, config):
    """Makes a new layer from the class and the config of another layer.

    Args:
      layer: the other layer; it is not changed.
      config: its config, read under `readable`.

    Raises:
      ValueError: the layer cannot be made from its config.
    """
    try:
        with tf.keras.utils.custom_object_scope(_own_objects(layer)):
            return _maker(type(layer)).from_config(config)
    except Exception as error:  # a user's layer class may raise anything
        raise no_copy(layer, error) from error


def no_copy(layer, reason):
    """The error that says that a layer cannot be copied."""
    return ValueError('layer {!r} ({}) cannot be copied by its get_config(): {}'.format(
        layer.name, type(layer).__name__, reason))


def parts(layer):
    """A layer or model and all layers inside it, each once."""
    # Not by `submodules`, which fails for a model that has been saved.
    found = collections.OrderedDict()

    def add(part):
        if id(part) in found or isinstance(part, tf.keras.metrics.Metric):
            return
        found[id(part)] = part
        values = part.layers if isinstance(part, tf.keras.Model) else vars(part).values()
        for value in values:
            if isinstance(value, dict):
                value = list(value.values())
            for each in value if isinstance(value, (list, tuple)) else [value]:
                if isinstance(each, tf.keras.layers.Layer):
                    add(each)

    add(layer)
    return list(found.values())


@contextlib.contextmanager
def readable(model):
    """While this is open, the layers of a model give configs that `make` accepts.

    Keras's own configs do not work for two kinds of layers. A Lambda layer gives its functions
    here, not their code. A layer whose activation was set to None is linear, but its `get_config`
    fails, because Keras asks for the name of None. Here it gives a config.
    """
    found = parts(model)
    linear = [part for part in found
              if getattr(part, 'activation', _linear) is None and not _has_config(part)]
    lambdas = [part for part in found if isinstance(part, tf.keras.layers.Lambda)]
    for part in linear:
        part.activation = _linear
    for part in lambdas:
        # Set on the object, so that a wrapper or a model that asks for the config gets this too.
        part.get_config = functools.partial(_lambda_config, part)
    try:
        yield
    finally:
        for part in linear:
            part.activation = None
        for part in lambdas:
            del part.get_config


def _has_config(layer):
    try:
        layer.get_config()
    except AttributeError:
        return False
    return True


class _Kept:
    """A value in a config that stays the same object when Keras copies the config."""

    def __init__(self, value):
        self.value = value

    def __deepcopy__(self, memo):
        return self


def _lambda_config(layer):
    """The config of a Lambda layer, with its functions instead of their code."""
    config = type(layer).get_config(layer)
    if 'function_type' not in config:  # a subclass with its own get_config and from_config
        return config
    # A private attribute, because the config holds only the code of a function.
    output_shape = vars(layer)['_output_shape']
    for key, module, value in (('function', 'module', layer.function),
                               ('output_shape', 'output_shape_module', output_shape),
                               ('mask', 'mask_module', layer.mask)):
        if key in config:
            config.update({key: _Kept(value), key + '_type': 'raw', module: None})
    config['arguments'] = _Kept(dict(layer.arguments))
    return config


class _LambdaMaker:
    """Takes the place of a Lambda class when Keras makes a layer from a class name and a config.

    Its `from_config` takes no custom objects, because Lambda's own writes them into Keras's module.
    """

    def __init__(self, cls):
        self._cls = cls

    def from_config(self, config):
        return self._cls.from_config({
            key: value.value if isinstance(value, _Kept) else value
            for key, value in config.items()})


def _maker(value):
    """The object whose `from_config` makes a layer, for a class; other values as they are."""
    is_lambda = inspect.isclass(value) and issubclass(value, tf.keras.layers.Lambda)
    return _LambdaMaker(value) if is_lambda else value


def _own_objects(layer):
    """The classes and functions that a layer consists of, by their names in its config."""
    objects = {}
    for part in parts(layer):
        found = [type(part)]
        if not isinstance(part, tf.keras.layers.Lambda):  # its config holds its functions
            found += [value for value in vars(part).values() if inspect.isfunction(value)]
        for value in found:
            if objects.setdefault(value.__name__, value) is not value:
                raise ValueError('it uses two things by the name {!r}'.format(value.__name__))
    return {name: _maker(value) for name, value in objects.items()}
