"""The nets of other libraries with random weights, as programs of others would leave them.

Their initial values would make the comparison of answers mean little. Without BatchNorm's averages
the features of a deep net grow or vanish from layer to layer, and a scale of 1 and an offset of 0
hide what is done with them. So kernels are drawn for ReLU by their number of inputs (He et al.,
2015), scales and offsets are spread, and BatchNorm's averages are the statistics of a batch of
noise. An offset of about 1 makes a ReLU pass most of what it gets: otherwise a deep net of random
weights magnifies a rounding a thousand times, as no trained one does.
"""
import importlib
import os
import zlib

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

CLASSES = 1000
IMAGES = 8  # whose statistics become BatchNorm's averages

def make(member, folder):
    """Writes a net as a source to convert.

    Args:
      member: dict: the `module` and `function` that make the net, the `size` of its input, height
        and width, and the `form` to write: `frozen`, `h5`, `saved_model` or `meta_graph`.
      folder: where to write it.

    Returns:
      The path of what was written.
    """
    module = importlib.import_module(member['module'])
    build = _slim if member['module'].startswith('tf_slim') else _keras
    model, images, scores, as_in_training = build(
        module, getattr(module, member['function']), member['size'])
    session = tf.keras.backend.get_session()
    session.run(tf.global_variables_initializer())
    _spread(session)
    _average(session, images, as_in_training)
    path = os.path.join(folder, {'frozen': 'net.pb', 'h5': 'net.h5', 'saved_model': 'net',
                                 'meta_graph': 'net.ckpt'}[member['form']])
    if member['form'] == 'h5':
        model.save(path, include_optimizer=False)
    elif member['form'] == 'saved_model':
        tf.saved_model.simple_save(session, path, {'images': images}, {'scores': scores})
    elif member['form'] == 'meta_graph':
        tf.train.Saver().save(session, path)
    else:
        frozen = tf.graph_util.convert_variables_to_constants(
            session, session.graph.as_graph_def(), [scores.op.name])
        tf.train.write_graph(frozen, folder, 'net.pb', as_text=False)
    return path


def _keras(module, function, size):
    """(Keras model, images, scores, what makes the net as in training) of tf.keras.applications."""
    tf.keras.backend.set_learning_phase(0)
    model = function(weights=None, input_shape=(size, size, 3))
    return model, model.input, model.output, lambda: model(model.input, training=True)


def _slim(module, function, size):
    """(None, images, scores, what makes the net as in training) of tf_slim.nets."""
    arg_scope, = (value for name, value in vars(module).items()
                  if name.endswith('_arg_scope') and name != 'add_arg_scope')
    images = tf.placeholder(tf.float32, (None, size, size, 3), name='images')

    def build(is_training):
        with slim.arg_scope(arg_scope()), tf.variable_scope('', reuse=tf.AUTO_REUSE):
            return function(images, CLASSES, is_training=is_training)[0]
    return None, images, tf.identity(build(False), name='scores'), lambda: build(True)


def _spread(session):
    """Random values for all variables, by their names, but for BatchNorm's averages."""
    values = {}
    for variable in tf.global_variables():
        rng = np.random.RandomState(zlib.crc32(variable.op.name.encode()))
        shape, kind = variable.shape.as_list(), variable.op.name.rpartition('/')[2]
        if len(shape) > 1:
            inputs = np.prod(shape[:2] if 'depthwise' in kind else shape[:-1])
            values[variable.op.name] = rng.standard_normal(shape) * np.sqrt(2.0 / inputs)
        elif kind in ('gamma', 'beta'):
            values[variable.op.name] = rng.uniform(0.5, 1.5, shape)
        elif kind in ('bias', 'biases'):
            values[variable.op.name] = 0.1 * rng.standard_normal(shape)
    _load(session, values)


def _average(session, images, as_in_training):
    """Gives BatchNorm the statistics of a batch of normal noise, computed as in training."""
    before = set(session.graph.get_operations())
    as_in_training()
    norms = [op for op in session.graph.get_operations()
             if op not in before and op.type.startswith('FusedBatchNorm')]
    noise = np.random.RandomState(0).standard_normal([IMAGES] + images.shape.as_list()[1:])
    found = session.run({op.name: op.outputs[1:3] for op in norms}, {images: noise})
    values = {}
    for op in norms:
        offset = op.inputs[2].op
        while offset.inputs:
            offset = offset.inputs[0].op
        scope = offset.name.rpartition('/')[0]
        values[scope + '/moving_mean'], values[scope + '/moving_variance'] = found[op.name]
    _load(session, values)


def _load(session, values):
    """Sets variables by their names, all at once: each run of a large graph takes its time."""
    variables = [variable for variable in tf.global_variables() if variable.op.name in values]
    session.run([variable.initializer for variable in variables],
                {variable.initializer.inputs[1]: values[variable.op.name]
                 for variable in variables})
