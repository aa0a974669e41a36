"""The configs of layers: reading them from a model, and making layers from them.

The config of a Lambda layer holds the code of its function. `Lambda.from_config` makes a function
of it again. For that it copies all names of the function's module into Keras's own module, where a
name of the one may replace a name of the other. The configs from here hold the functions.
"""
import collections
import contextlib
import functools
import inspect

import tensorflow.compat.v1 as tf

_linear = tf.keras.activations.linear


def make(layer, config):
    """A new layer of the class of another one.

    Args:
      layer: the other layer; only read.
      config: its config, read under `readable`.

    Raises:
      ValueError: the layer cannot be made from its config.
    """
    try:
        with tf.keras.utils.custom_object_scope(_own_objects(layer)):
            return _maker(type(layer)).from_config(config)
    except Exception as error:  # the layer may be anybody's
        raise no_copy(layer, error) from error


def no_copy(layer, reason):
    """The error that a layer cannot be copied."""
    return ValueError('layer {!r} ({}) cannot be copied by its get_config(): {}'.format(
        layer.name, type(layer).__name__, reason))


def parts(layer):
    """A layer or model and all that it is made of that are layers themselves, each once."""
    # Not by its `submodules`, which fails on a model that has been saved.
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
    """Lets the layers of a model give configs that `make` takes, where Keras's own would not do.

    A Lambda gives its functions themselves. A layer whose activation has been set to None, which
    means linear, gives its config at all: Keras looks for the name of None there and fails.
    """
    found = parts(model)
    linear = [part for part in found
              if getattr(part, 'activation', _linear) is None and not _has_config(part)]
    lambdas = [part for part in found if isinstance(part, tf.keras.layers.Lambda)]
    for part in linear:
        part.activation = _linear
    for part in lambdas:
        # On the object, so that a wrapper or a model which asks for the config gets this one too.
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
    """A value in a config that stays the same object where Keras copies the config."""

    def __init__(self, value):
        self.value = value

    def __deepcopy__(self, memo):
        return self


def _lambda_config(layer):
    """The config of a Lambda layer, with its functions instead of their code."""
    config = type(layer).get_config(layer)
    if 'function_type' not in config:  # a class with a config and from_config of its own
        return config
    # Keras has no other way to the output shape: its config has only the code of a function.
    output_shape = vars(layer)['_output_shape']
    for key, module, value in (('function', 'module', layer.function),
                               ('output_shape', 'output_shape_module', output_shape),
                               ('mask', 'mask_module', layer.mask)):
        if key in config:
            config.update({key: _Kept(value), key + '_type': 'raw', module: None})
    config['arguments'] = _Kept(dict(layer.arguments))
    return config


class _LambdaMaker:
    """Stands for a Lambda class where Keras makes a layer by class name and config.

    Its `from_config` takes no custom objects: Lambda's own writes them into Keras's module.
    """

    def __init__(self, cls):
        self._cls = cls

    def from_config(self, config):
        return self._cls.from_config({
            key: value.value if isinstance(value, _Kept) else value
            for key, value in config.items()})


def _maker(value):
    """What makes a layer from a config, for a class; anything else as it is."""
    is_lambda = inspect.isclass(value) and issubclass(value, tf.keras.layers.Lambda)
    return _LambdaMaker(value) if is_lambda else value


def _own_objects(layer):
    """The classes and functions that a layer is made of, by the names that its config has."""
    objects = {}
    for part in parts(layer):
        found = [type(part)]
        if not isinstance(part, tf.keras.layers.Lambda):  # whose config has its functions
            found += [value for value in vars(part).values() if inspect.isfunction(value)]
        for value in found:
            if objects.setdefault(value.__name__, value) is not value:
                raise ValueError('it uses two things by the name {!r}'.format(value.__name__))
    return {name: _maker(value) for name, value in objects.items()}
