"""Activations, nets, data sets, tasks and recipes of one's own, from a Python file.

    from ash_tf1 import plugins

    @plugins.activation('hard_ash')
    def hard_ash(x): ...

A command loads the file by `--plugin FILE`; docs/extending.md has an example of each part. A run
records the path and the SHA-256 of each file that it was started with, so that a resume, an
evaluation and an export find it again.
"""
import hashlib
import importlib.util
import inspect
import os
import sys
from typing import NamedTuple

from ash_tf1 import files, input_pipelines, nets, ops, tasks
from ash_tf1.reading import read_bounded, read_json
from ash_tf1.training import recipes
from ash_tf1.training.settings import Settings

RECORD_FILE = 'plugins.json'
MAX_BYTES = 2 ** 22  # of a plugin
_loaded = {}  # SHA-256 of a file -> `Plugin`


class Plugin(NamedTuple):
    """A Python file that was loaded."""

    path: str    # absolute
    sha256: str  # of the file


def activation(name):
    """Registers an activation: a function of a floating tensor [N, ...] to one of its shape."""
    return lambda function: _add('activation', ops.ACTIVATIONS, name, function)


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


def load(paths):
    """Runs Python files that register parts; one that ran before is not run again.

    Args:
      paths: of the files.

    Returns:
      A list of a `Plugin` for each.

    Raises:
      ValueError: a file cannot be read, or raised an error; the message names it. What it had
        registered before stays.
    """
    found = []
    for path in paths:
        code, plugin = _read(path)
        if plugin.sha256 not in _loaded:
            _run(code, plugin)
            _loaded[plugin.sha256] = plugin
        found.append(plugin)
    return found


def _read(path):
    """(bytes of a plugin, its `Plugin`)."""
    try:
        code = read_bounded(path, MAX_BYTES)
    except OSError as error:
        raise ValueError('plugin {} cannot be read: {}'.format(path, error.strerror)) from None
    return code, Plugin(os.path.realpath(path), hashlib.sha256(code).hexdigest())


def _run(code, plugin):
    name = 'ash_tf1_plugin_{}'.format(plugin.sha256[:12])
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_file_location(name, plugin.path))
    sys.modules[name] = module
    try:
        exec(compile(code, plugin.path, 'exec'), module.__dict__)  # what was hashed is what runs
    except Exception as error:
        del sys.modules[name]
        raise ValueError('plugin {}: {}: {}'.format(
            plugin.path, type(error).__name__, error)) from error


def record(folder, plugins):
    """Writes into a run's folder which plugins it was started with, where there are any."""
    if plugins:
        files.write_json(os.path.join(folder, RECORD_FILE), [one._asdict() for one in plugins])


def load_for(folder, paths=()):
    """Loads what the run or import in a folder was made with, and files that are given.

    A file that has changed, that is gone, or that lies in the folder itself is run only where it
    is given: a folder that came from somebody else runs no code.

    Args:
      folder: of the run.
      paths: of files that are given.

    Returns:
      A list of `Plugin`s, as for `load`.

    Raises:
      ValueError: a file must be given; the message says which. Or as for `load`.
    """
    given = load(paths)
    names = {os.path.basename(one.path) for one in given}
    found = list(given)
    for recorded in _recorded(folder):
        if os.path.basename(recorded.path) in names or recorded.sha256 in _loaded:
            continue
        found += load([_trusted(folder, recorded)])
    return found


def _recorded(folder):
    path = os.path.join(folder, RECORD_FILE)
    if not os.path.exists(path):
        return []
    try:
        return [Plugin(str(one['path']), str(one['sha256'])) for one in read_json(path)]
    except (TypeError, KeyError) as error:
        raise ValueError('{} does not hold the plugins of a run: {!r}'.format(
            path, error)) from None


def _trusted(folder, recorded):
    """The path of a recorded plugin that may run unasked; raises ValueError where none may."""
    reason = None
    inside = os.path.join(os.path.realpath(folder), '')
    if os.path.realpath(recorded.path).startswith(inside):
        reason = 'lies in the folder itself'
    elif not os.path.isabs(recorded.path) or not os.path.exists(recorded.path):
        reason = 'is not there'
    elif _read(recorded.path)[1].sha256 != recorded.sha256:
        reason = 'has changed'
    if reason:
        raise ValueError('{} was made with the plugin {}, which {}: give it by --plugin FILE, if '
                         'you trust its code'.format(folder, recorded.path, reason))
    return recorded.path
