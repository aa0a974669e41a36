"""Activations, nets, data sets, tasks and recipes of one's own: from files, or installed packages.

    from ash_tf1 import plugins

    @plugins.activation('hard_ash')
    def hard_ash(x): ...

A command loads the file by `--plugin FILE`; docs/extending.md has an example of each part. An
installed distribution offers its parts by an entry point of the group `ash_tf1.plugins`, and
`--plugin NAME` loads them. A run records the path and the SHA-256 of each file that it was started
with, so that a resume, an evaluation and an export find it again.
"""
import functools
import hashlib
import importlib.util
import inspect
import os
import sys
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from ash_tf1 import files, input_pipelines, installed, nets, ops, tasks
from ash_tf1.reading import read_bounded, read_json
from ash_tf1.training import recipes
from ash_tf1.training.settings import Settings

RECORD_FILE = 'plugins.json'
MAX_BYTES = 2 ** 22  # of a plugin
_loaded = {}  # SHA-256 of a file -> `Plugin`


class Plugin(NamedTuple):
    """A Python file that was loaded. The last three are empty for one that a path was given of."""

    path: str    # absolute
    sha256: str  # of the file
    name: str = ''          # of its entry point
    distribution: str = ''  # that brings the entry point
    version: str = ''       # of the distribution


def activation(name):
    """Registers an activation: a function of a floating tensor [N, ...] to one of its shape.

    What it gives is checked at each call; see `_checked`.
    """
    def register(function):
        _add('activation', ops.ACTIVATIONS, name, _checked(name, function))
        return function
    return register


def _checked(name, function):
    """An activation that raises a ValueError where its result has another shape or dtype than x.

    Without that an op further on is blamed, such as the next convolution. A partial of an `ops.ASH`
    stays as it is: it keeps the shape, and `ops.get_activation` chooses its implementation.
    """
    if getattr(function, 'func', function) in ops.ASH_FAMILY:
        return function

    @functools.wraps(function)
    def checked(x, *args, **kwargs):
        y = function(x, *args, **kwargs)
        if not (isinstance(y, tf.Tensor) and y.dtype.base_dtype == x.dtype.base_dtype
                and y.shape.is_compatible_with(x.shape)):
            code = getattr(function, '__code__', None)  # of a builtin there is none
            raise ValueError(
                'activation {}{} gave {} for {} in the variable scope {!r}: it must give a tensor '
                'of the same shape and dtype'.format(
                    name, ' ({})'.format(code.co_filename) if code else '', _in_words(y),
                    _in_words(x), tf.get_variable_scope().name))
        return y
    return checked


def _in_words(value):
    if not isinstance(value, tf.Tensor):
        return 'a {}'.format(type(value).__name__)
    sizes = '...' if value.shape.ndims is None else ', '.join(
        '?' if size is None else str(size) for size in value.shape.as_list())
    return '{} [{}]'.format(value.dtype.base_dtype.name, sizes)


def net(name):
    """Registers a net: a function as `ash_tf1.nets` says, whose `scope` has a default."""
    def register(function):
        parameters = inspect.signature(function).parameters
        missing = [each for each in nets.ARGUMENTS if each not in parameters]
        if missing:
            raise ValueError('net {!r} must take the arguments {}; it lacks {}'.format(
                name, ', '.join(nets.ARGUMENTS), ', '.join(missing)))
        if not isinstance(parameters['scope'].default, str):
            raise ValueError('net {!r} must have a default of scope, the name of its variable '
                             'scope'.format(name))
        return _add('net', nets.NETS, name, function)
    return register


def dataset(name):
    """Registers a data set: a function (data_dir) that gives an `input_pipelines.Dataset`."""
    return lambda function: _add('data set', input_pipelines.DATASETS, name, function)


def task(one):
    """Registers a task: a `tasks.Task`, under its own name."""
    if not isinstance(one, tasks.Task):
        raise ValueError('a task must be a tasks.Task, got {!r}'.format(one))
    return _add('task', tasks.TASKS, one.name, one)


def recipe(name, **settings):
    """Registers a recipe: what differs from the defaults of `Settings`."""
    Settings(**settings)
    return _add('recipe', recipes.RECIPES, name, settings)


def _add(kind, registry, name, value):
    if not isinstance(name, str) or not name:
        raise ValueError('a name of a {} must be a string, got {!r}'.format(kind, name))
    if name in registry:
        raise ValueError('the name {!r} has another {} already: give yours another name'.format(
            name, kind))
    registry[name] = value
    return value


def load(given):
    """Runs Python files that register parts; one that ran before is not run again.

    Args:
      given: paths of the files, or names of entry points of the group `ash_tf1.plugins`.

    Returns:
      A list of a `Plugin` for each.

    Raises:
      ValueError: a file cannot be read, or raised an error, or there is no entry point of a name;
        the message names it. What it had registered before stays.
    """
    found = []
    for one in given:
        if os.sep in one or one.endswith('.py') or os.path.exists(one):
            code, plugin = _read(one)
            _run_once(plugin, lambda code=code, plugin=plugin: _run(code, plugin))
        else:
            point, plugin = _find_installed(one)
            _run_once(plugin, lambda point=point: importlib.import_module(point.module))
        found.append(plugin)
    return found


def _read(path):
    """(bytes of a plugin, its `Plugin`)."""
    try:
        code = read_bounded(path, MAX_BYTES)
    except OSError as error:
        raise ValueError('plugin {} cannot be read: {}'.format(path, error.strerror)) from None
    return code, Plugin(os.path.realpath(path), hashlib.sha256(code).hexdigest())


def _find_installed(name):
    """(`installed.EntryPoint` of a name, its `Plugin`)."""
    points = installed.entry_points()
    if name not in points:
        raise ValueError('plugin {} is neither a file nor installed; installed are {}'.format(
            name, ', '.join(sorted(points)) or 'none'))
    point = points[name]
    _, plugin = _read(installed.path_of(point))
    return point, plugin._replace(name=name, distribution=point.distribution,
                                  version=point.version)


def _run_once(plugin, function):
    if plugin.sha256 in _loaded:
        return
    try:
        function()
    except Exception as error:
        raise ValueError('plugin {}: {}: {}'.format(
            plugin.path, type(error).__name__, error)) from error
    _loaded[plugin.sha256] = plugin


def _run(code, plugin):
    name = 'ash_tf1_plugin_{}'.format(plugin.sha256[:12])
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_file_location(name, plugin.path))
    sys.modules[name] = module
    try:
        exec(compile(code, plugin.path, 'exec'), module.__dict__)  # what was hashed is what runs
    except Exception:
        del sys.modules[name]
        raise


def record(folder, plugins):
    """Writes into a run's folder which plugins it was started with, where there are any."""
    if plugins:
        files.write_json(os.path.join(folder, RECORD_FILE), [
            {key: value for key, value in one._asdict().items() if value} for one in plugins])


def load_for(folder, given=()):
    """Loads what the run or import in a folder was made with, and files that are given.

    A file that has changed, that is gone, or that lies in the folder itself is run only where it
    is given: a folder that came from somebody else runs no code.

    Args:
      folder: of the run.
      given: what is given, as for `load`.

    Returns:
      A list of `Plugin`s, as for `load`.

    Raises:
      ValueError: a file must be given; the message says which. Or as for `load`.
    """
    found = load(given)
    keys = {_key(one) for one in found}
    for recorded in _recorded(folder):
        if _key(recorded) not in keys and recorded.sha256 not in _loaded:
            found += load([_trusted(folder, recorded)])
    return found


def _key(plugin):
    """What tells that a given plugin takes the place of a recorded one."""
    return plugin.name or os.path.basename(plugin.path)


def _recorded(folder):
    path = os.path.join(folder, RECORD_FILE)
    if not os.path.exists(path):
        return []
    try:
        return [Plugin(**{key: str(value) for key, value in one.items()})
                for one in read_json(path)]
    except (TypeError, AttributeError) as error:
        raise ValueError('{} does not hold the plugins of a run: {!r}'.format(
            path, error)) from None


def _trusted(folder, recorded):
    """The path or name of a recorded plugin that may run unasked; raises ValueError if none may."""
    reason = (_doubt_installed if recorded.name else _doubt_file)(folder, recorded)
    if reason:
        raise ValueError('{} was made with the plugin {}, which {}: give it by --plugin {}, if '
                         'you trust its code'.format(folder, recorded.name or recorded.path, reason,
                                                     recorded.name or 'FILE'))
    return recorded.name or recorded.path


def _doubt_file(folder, recorded):
    """Why a file that was given by its path may not run unasked; None if it may."""
    inside = os.path.join(os.path.realpath(folder), '')
    if os.path.realpath(recorded.path).startswith(inside):
        return 'lies in the folder itself'
    if not os.path.isabs(recorded.path) or not os.path.exists(recorded.path):
        return 'is not there'
    if _read(recorded.path)[1].sha256 != recorded.sha256:
        return 'has changed'
    return None


def _doubt_installed(folder, recorded):
    """The same for one that an installed distribution offers, wherever that lies now."""
    del folder
    if recorded.name not in installed.entry_points():
        return 'is not installed (it came with {} {})'.format(recorded.distribution,
                                                              recorded.version)
    _, now = _find_installed(recorded.name)
    if now.sha256 != recorded.sha256:
        return 'has changed since {} {} (here is {} {})'.format(
            recorded.distribution, recorded.version, now.distribution, now.version)
    return None
