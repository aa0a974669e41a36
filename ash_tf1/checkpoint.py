"""Finds checkpoints, reads them, and restores them into a graph after a check that they fit."""
import collections
import contextlib
import glob
import os
import re

import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1 import checkpoint_reading
from ash_tf1.reading import MAX_TEXT_BYTES, open_regular

_V1_SHARD = re.compile(r'-(\d{5}|\?{5})-of-(\d{5})\Z')
_V2_SHARD = re.compile(r'\.data-\d{5}-of-\d{5}\Z')
AVERAGE = '/ExponentialMovingAverage'  # what the name of a variable's average adds to its own
_V1_MAGIC = b'\x57\xfb\x80\x8b\x24\x75\x47\xdb'  # how TensorFlow's table files end

Variable = collections.namedtuple('Variable', ['shape', 'dtype'])
Variable.__doc__ += """: a list of sizes, and a `tf.DType`."""


def find_checkpoint(path, v1=False):
    """Finds the checkpoint that a path stands for.

    Args:
      path: a folder that TensorFlow wrote checkpoints to, for the latest one; or the prefix of one
        checkpoint, such as RUN/best/model.ckpt-3900; or its .index, .meta or .data-* file. If the
        folder's file `checkpoint` names a path that does not exist, as after a move from another
        machine, the checkpoint of that base name in the folder is taken.
      v1: whether the checkpoint may have the format V1, TensorFlow's before version 1.0: one file
        named as the prefix, or several named PREFIX-?????-of-?????.

    Returns:
      The prefix, as `tf.train.Saver.restore` takes it. For V1 it is a pattern of the files.

    Raises:
      ValueError: there is no checkpoint, or a part of it is missing.
    """
    prefix = _latest(path) if os.path.isdir(path) else _prefix_of(path)
    data = [file for file in glob.glob(glob.escape(prefix) + '.data-*') if os.path.isfile(file)]
    if not os.path.isfile(prefix + '.index'):
        pattern = _find_v1(prefix)
        if pattern is None and data:
            raise ValueError('the checkpoint at {} has lost its .index file'.format(prefix))
        if pattern is None:
            raise ValueError('no checkpoint at {}'.format(prefix))
        if not v1:
            raise ValueError('the checkpoint at {} is of the old format V1; '
                             'tools/import_checkpoint.py makes a current one of it'.format(prefix))
        return pattern
    if not data:
        raise ValueError('the checkpoint at {} has lost its .data file'.format(prefix))
    check_name(prefix)
    return prefix


def check_name(prefix):
    """Raises ValueError for a path of a checkpoint from which TensorFlow restores nothing."""
    if set(str(prefix)) & set('*?[]\\'):
        raise ValueError('TensorFlow takes *, ?, [, ] and \\ in the name of a checkpoint for a '
                         'pattern: it restores nothing from {}'.format(prefix))


def listed_checkpoints(folder):
    """The checkpoints in a folder that its file `checkpoint` lists, the latest last.

    They are looked for in this folder by their base names, even if the folder has been moved since.

    Args:
      folder: a folder that TensorFlow wrote checkpoints to.

    Returns:
      A list of prefixes; empty if the file is missing or damaged.
    """
    state = _state(folder)
    listed = [] if state is None else state.all_model_checkpoint_paths
    return [prefix for prefix in (_beside(folder, path) for path in listed) if _is_there(prefix)]


def _state(folder):
    """What the file `checkpoint` of a folder says; None if it is missing or damaged."""
    path = os.path.join(folder, 'checkpoint')
    try:
        if os.path.isfile(path) and os.path.getsize(path) <= MAX_TEXT_BYTES:
            return tf.train.get_checkpoint_state(folder)
    except ValueError:  # TensorFlow's message does not always name the file
        pass
    return None


def _latest(folder):
    """The prefix of the latest checkpoint of a folder."""
    # Not by tf.train.latest_checkpoint, which logs an error if the named path does not exist.
    state = _state(folder)
    if state is None:
        raise ValueError('no checkpoint in folder {}: its file `checkpoint` is missing or '
                         'damaged'.format(folder))
    named = state.model_checkpoint_path
    for prefix in (named, _beside(folder, named)):
        if _is_there(prefix):
            return prefix
    raise ValueError('no checkpoint in folder {}: its file `checkpoint` names {}, which does not '
                     'exist, and the folder has none of that base name'.format(folder, named))


def _beside(folder, path):
    """The base name of a path, as a prefix in a folder."""
    return os.path.join(folder, os.path.basename(path))


def _is_there(prefix):
    """Whether a checkpoint has the file that TensorFlow reads first."""
    if os.path.isfile(prefix + '.index') or os.path.isfile(prefix):
        return True
    # TensorFlow lists a V1 checkpoint of several files as PREFIX-?????-of-00002.
    files = _V1_SHARD.search(prefix)
    return bool(files and glob.glob(glob.escape(prefix[:files.start()]) + files.group()))


def _prefix_of(path):
    """The prefix of a checkpoint, given the prefix itself or one of the checkpoint's files."""
    for ending in ('.index', '.meta'):
        if path.endswith(ending):
            path = path[:-len(ending)]
    data = _V2_SHARD.search(path)
    # A V1 checkpoint of one file may have such a name too.
    return path[:data.start()] if data and not (os.path.isfile(path) and _is_table(path)) else path


def checkpoint_files(prefix):
    """The files that hold the variables of a checkpoint, V1 or V2, sorted.

    Args:
      prefix: as from `find_checkpoint`.
    """
    index = prefix + '.index'
    if os.path.exists(index):
        return sorted(glob.glob(glob.escape(prefix) + '.data-*')) + [index]
    return sorted(glob.glob(prefix))


def _find_v1(prefix):
    """The pattern of the files of a V1 checkpoint; None if there is no such file.

    Raises:
      ValueError: a file is missing, cut short or not a table, or the files belong to several
        checkpoints.
    """
    # TensorFlow reads the name as a pattern, so special characters of the path are escaped.
    if os.path.isfile(prefix) and not _V1_SHARD.search(prefix):
        if not _is_table(prefix):
            raise ValueError('no checkpoint at {}: the file is another one, or cut short'.format(
                prefix))
        return glob.escape(prefix)
    given = _V1_SHARD.search(prefix)
    base = prefix[:given.start()] if given else prefix
    paths = [path for path in glob.glob(glob.escape(base) + '-*')
             if _V1_SHARD.match(path, len(base))]
    counts = sorted({path[-5:] for path in paths if not given or path[-5:] == given.group(2)})
    if not counts:
        return None
    if len(counts) > 1:
        raise ValueError('the files {}-* are of several checkpoints, of {} files: give one of them'
                         .format(base, ' and '.join(str(int(count)) for count in counts)))
    for i in range(int(counts[0])):
        path = '{}-{:05d}-of-{}'.format(base, i, counts[0])
        if path not in paths:
            raise ValueError('the checkpoint at {} has lost its file {}'.format(
                base, os.path.basename(path)))
        if not _is_table(path):
            raise ValueError('the checkpoint at {} is damaged: {} is another file, or cut short'
                             .format(base, os.path.basename(path)))
    return '{}-?????-of-{}'.format(glob.escape(base), counts[0])


def _is_table(path):
    """Whether a file ends as TensorFlow's table files do. V1 checkpoints consist of these."""
    with open_regular(path) as handle:
        handle.seek(max(0, os.path.getsize(path) - len(_V1_MAGIC)))
        return handle.read() == _V1_MAGIC


def check_fits(prefix, variables):
    """Checks that a checkpoint holds the given variables, by name and shape.

    Args:
      prefix: a checkpoint, as from `find_checkpoint`.
      variables: the `tf.Variable`s, in a sequence or, as for `tf.train.Saver`, in a dict by their
        names in the checkpoint.

    Raises:
      ValueError: the checkpoint cannot be read, or a variable is missing from it or has another
        shape there. The message names the variable and both shapes.
    """
    stored, _ = _read_index(prefix)
    named = variables if isinstance(variables, dict) else {v.op.name: v for v in variables}
    for name, variable in named.items():
        shape = variable.shape.as_list()
        if name not in stored:
            raise ValueError('checkpoint {} does not fit the net: it has no variable {}'.format(
                prefix, name))
        if stored[name] != shape:
            raise ValueError('checkpoint {} does not fit the net: {} is {} there, {} here'.format(
                prefix, name, stored[name], shape))


def _read_index(prefix):
    """(shapes, dtypes) of a checkpoint, by the names of its variables.

    Raises:
      ValueError: it cannot be read.
    """
    return checkpoint_reading.read_index(prefix, _stamps(prefix))


def _stamps(prefix):
    """(path, size, time of change) of each file of a checkpoint."""
    stats = [(path, os.stat(path)) for path in checkpoint_files(prefix)]
    return tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in stats)


def evaluated(prefix, variables):
    """The names under which a checkpoint has the values with which a net is evaluated.

    Where it has the moving average of a variable, as `tf.train.ExponentialMovingAverage` names it,
    this is the value. The rule is that of its method `variables_to_restore`.

    Args:
      prefix: a checkpoint, as from `find_checkpoint`.
      variables: dict: name in the checkpoint -> `tf.Variable`.

    Returns:
      A dict of the same form.

    Raises:
      ValueError: the checkpoint cannot be read.
    """
    stored, _ = _read_index(prefix)
    return collections.OrderedDict(
        (name + AVERAGE if name + AVERAGE in stored else name, variable)
        for name, variable in variables.items())


def restore_evaluated(session, prefix):
    """Restores all global variables with the values with which a net is evaluated.

    Args, Raises: as for `restore`; `evaluated` says which values.
    """
    restore(session, prefix, variables=evaluated(prefix, collections.OrderedDict(
        (variable.op.name, variable) for variable in tf.global_variables())))


def restore(session, prefix, saver=None, variables=None):
    """Restores variables of a session's graph from a checkpoint: all of them, or none.

    Args:
      session: a session of the graph.
      prefix: a checkpoint, as from `find_checkpoint`.
      saver: a `tf.train.Saver` of these variables, which a finalized graph needs; a new one by
        default.
      variables: the variables, as for `check_fits`; all global ones by default.

    Raises:
      ValueError: as for `check_fits`, or the checkpoint is damaged.
    """
    variables = tf.global_variables() if variables is None else variables
    check_fits(prefix, variables)
    check_values(prefix, variables if isinstance(variables, dict) else
                 [variable.op.name for variable in variables])
    try:
        (saver or tf.train.Saver(variables)).restore(session, prefix)
    except tf.errors.OpError as error:
        raise ValueError('checkpoint {} is damaged: {}'.format(prefix, error.message)) from None


def list_variables(prefix):
    """The variables that a checkpoint holds.

    Args:
      prefix: a checkpoint, as from `find_checkpoint`.

    Returns:
      An OrderedDict: name -> `Variable`, sorted by name.

    Raises:
      ValueError: it cannot be read, or claims to hold more elements than its files have bytes.
    """
    shapes, dtypes = _read_index(prefix)
    # Each element takes at least one byte in either format. So the check bounds the memory that a
    # damaged checkpoint can make us take.
    elements = sum(int(np.prod(shape, dtype=np.float64)) for shape in shapes.values())
    size = sum(os.path.getsize(path) for path in checkpoint_files(prefix))
    if elements > size:
        raise ValueError('{} is damaged: it claims {} elements in {} bytes'.format(
            prefix, elements, size))
    return collections.OrderedDict(
        (name, Variable(shapes[name], dtypes[name])) for name in sorted(shapes))


def read_variables(prefix, stored, sources):
    """Reads variables of a checkpoint.

    Args:
      prefix: a checkpoint, as from `find_checkpoint`.
      stored: what `list_variables` gave for it.
      sources: dict: a name that the caller chooses -> the name of a variable in the checkpoint.

    Yields:
      (the caller's name, array) of each.

    Raises:
      ValueError: the checkpoint is damaged, or lacks a variable. The message names the variable.
    """
    for source in sources.values():
        if source not in stored:
            raise ValueError('checkpoint {} has no variable {}'.format(prefix, source))
    values = checkpoint_reading.read_values(prefix, [(source, *stored[source])
                                                     for source in sources.values()])
    with contextlib.closing(values):
        yield from zip(sources, values)


def check_values(prefix, names):
    """Checks that variables of a checkpoint can be read. TensorFlow may do it then.

    Args:
      prefix: a checkpoint, as from `find_checkpoint`.
      names: of variables that it holds, in a sequence or a dict.

    Raises:
      ValueError: the checkpoint is damaged. The message names the variable.
    """
    checkpoint_reading.check_values(prefix, tuple(names), _stamps(prefix))
