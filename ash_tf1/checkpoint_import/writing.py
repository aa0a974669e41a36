"""Writes a checkpoint and the description of its net: completely, or not at all."""
import os
import re
import tempfile

import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1.checkpoint import check_name, checkpoint_files, listed_checkpoints
from ash_tf1.training.run_dir import MODEL_FILE, SETTINGS_FILE, load_model, save_model


def check_new(old, new, overwrite, model=None):
    """Checks that a checkpoint may be written.

    Args:
      old: the checkpoint that is imported, as from `checkpoint.find_checkpoint`.
      new: prefix of the checkpoint to write.
      overwrite: whether existing files may be replaced.
      model: the (`Task`, `ModelSpec`) to write beside it, if any.

    Raises:
      ValueError: `new` is a folder, a name that TensorFlow cannot read, or `old` itself; its folder
        is that of a run; or a file exists and must not be replaced.
    """
    if not os.path.basename(new) or os.path.isdir(new):
        raise ValueError('{} is a folder: give the prefix of a checkpoint, such as {}'.format(
            new, os.path.join(new, 'model.ckpt')))
    check_name(new)
    present = {os.path.realpath(path) for path in _files_at(new)}
    if present & {os.path.realpath(path) for path in checkpoint_files(old)}:
        raise ValueError('{} is the checkpoint to import: give another prefix'.format(new))
    if present and not overwrite:
        raise ValueError('there is a checkpoint at {} already: give another prefix, or --overwrite'
                         .format(new))
    folder = os.path.dirname(os.path.abspath(new))
    if os.path.exists(os.path.join(folder, SETTINGS_FILE)):
        raise ValueError('{} is the folder of a training run, which keeps its own checkpoints '
                         'there: give a prefix in another folder'.format(folder))
    if model is None or not os.path.exists(os.path.join(folder, MODEL_FILE)):
        return
    if not overwrite and load_model(folder) != model:
        raise ValueError('{} describes another net: give a prefix in another folder, or '
                         '--overwrite'.format(os.path.join(folder, MODEL_FILE)))


def write_checkpoint(prefix, values, model=None):
    """Writes a V2 checkpoint and makes it the latest of its folder; replaces one of that name.

    After an exception there is no new file, and the old files are unchanged.

    Args:
      prefix: prefix of the checkpoint; its folder is made if it is missing.
      values: a dict: name -> (value, `tf.DType`).
      model: the (`Task`, `ModelSpec`) to write into the folder as `model.json`, or None.

    Raises:
      ValueError: the files cannot be written.
    """
    folder, name = os.path.split(os.path.abspath(prefix))
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='.partial-', dir=folder) as scratch:
        fresh, aside = os.path.join(scratch, 'new'), os.path.join(scratch, 'old')
        os.mkdir(fresh)
        os.mkdir(aside)
        _save(os.path.join(fresh, name), values)
        replaced = _files_at(prefix)
        if model is not None:
            save_model(fresh, *model)
            replaced += [path for path in [os.path.join(folder, MODEL_FILE)]
                         if os.path.exists(path)]
        moves = [(path, os.path.join(aside, os.path.basename(path))) for path in replaced]
        moves += [(os.path.join(fresh, part), os.path.join(folder, part))
                  for part in sorted(os.listdir(fresh))]
        done = []
        try:
            for source, destination in moves:
                os.rename(source, destination)
                done.append((source, destination))
            _make_latest(folder, name)
        except BaseException:  # Ctrl-C too: the temporary folder holds the old files
            for source, destination in reversed(done):
                os.rename(destination, source)
            raise


def _files_at(prefix):
    """The files of the checkpoint at a prefix, V1 or V2, with its .meta file."""
    folder, name = os.path.split(os.path.abspath(prefix))
    mine = re.compile(re.escape(name) + r'(\.index|\.meta|(\.data)?-\d{5}-of-\d{5})?')
    return [os.path.join(folder, entry)
            for entry in (sorted(os.listdir(folder)) if os.path.isdir(folder) else ())
            if mine.fullmatch(entry)]


def _save(prefix, values):
    """Writes values as a V2 checkpoint, under any names."""
    with tf.Graph().as_default(), tf.Session() as session:
        # The values are fed, because a graph with them as constants may exceed 2 GB, the limit.
        feeds = [tf.placeholder(dtype, np.shape(value)) for value, dtype in values.values()]
        save = tf.raw_ops.SaveV2(prefix=prefix, tensor_names=list(values),
                                 shape_and_slices=[''] * len(feeds), tensors=feeds)
        try:
            session.run(save, dict(zip(feeds, (value for value, _ in values.values()))))
        except tf.errors.OpError as error:
            raise ValueError('{} cannot be written: {}'.format(
                prefix, error.message.splitlines()[0])) from None


def _make_latest(folder, name):
    """Lists a checkpoint as the latest one in its folder's file `checkpoint`, after the others."""
    others = [os.path.basename(path) for path in listed_checkpoints(folder)]
    tf.train.update_checkpoint_state(
        folder, name, [path for path in others if path != name] + [name])
