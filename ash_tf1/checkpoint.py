"""Finding a checkpoint, and restoring it into a graph that may not be its own."""
import glob
import os

import tensorflow.compat.v1 as tf

CHECKPOINT_PREFIX = 'model.ckpt'
BEST_FOLDER = 'best'


def find_checkpoint(path):
    """The checkpoint that a path means.

    Args:
      path: a folder that TensorFlow wrote checkpoints to (its latest is taken), or the prefix of
        one checkpoint, such as RUN/best/model.ckpt-3900 (its .index or .meta file will do).

    Returns:
      The prefix, as `tf.train.Saver.restore` takes it.

    Raises:
      ValueError: there is no checkpoint, or a part of it is missing.
    """
    if os.path.isdir(path):
        try:
            prefix = tf.train.latest_checkpoint(path)
        except ValueError:  # TensorFlow's own does not always say which file it read
            prefix = None
        if prefix is None:
            raise ValueError('no checkpoint in folder {}: its file `checkpoint` is missing, '
                             'damaged or leads nowhere'.format(path))
    else:
        prefix = path
        for ending in ('.index', '.meta'):
            if prefix.endswith(ending):
                prefix = prefix[:-len(ending)]
    if not os.path.exists(prefix + '.index'):
        raise ValueError('no checkpoint at {}'.format(prefix))
    if not glob.glob(glob.escape(prefix) + '.data-*'):
        raise ValueError('the checkpoint at {} has lost its .data file'.format(prefix))
    return prefix


def restore(session, prefix, saver=None):
    """Restores all global variables of a session's graph from a checkpoint, or none.

    Args:
      session: a session of the graph.
      prefix: a checkpoint, as from `find_checkpoint`.
      saver: a `tf.train.Saver` of these variables, for a graph that is finalized; a new one by
        default.

    Raises:
      ValueError: a variable is missing from the checkpoint or has another shape there; the message
        names it and both shapes.
    """
    try:
        stored = tf.train.NewCheckpointReader(prefix).get_variable_to_shape_map()
    except tf.errors.OpError as error:
        raise ValueError('{} cannot be read as a checkpoint: {}'.format(
            prefix, error.message)) from None
    for variable in tf.global_variables():
        name, shape = variable.op.name, variable.shape.as_list()
        if name not in stored:
            raise ValueError('checkpoint {} does not fit the net: it has no variable {}'.format(
                prefix, name))
        if stored[name] != shape:
            raise ValueError('checkpoint {} does not fit the net: {} is {} there, {} here'.format(
                prefix, name, stored[name], shape))
    try:
        (saver or tf.train.Saver()).restore(session, prefix)
    except tf.errors.OpError as error:
        raise ValueError('checkpoint {} is damaged: {}'.format(prefix, error.message)) from None
