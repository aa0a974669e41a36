"""Checkpoints for tests: arrays saved under any names, and values for the variables of a net."""
import os

import numpy as np
import tensorflow.compat.v1 as tf

V1, V2 = tf.train.SaverDef.V1, tf.train.SaverDef.V2


def save(prefix, values, kind='v2', meta=False):
    """Saves arrays as variables of the dict's names; returns the prefix.

    The kinds are 'v2', 'v1' and 'v1 sharded', which is of two files.
    """
    prefix = str(prefix)
    os.makedirs(os.path.dirname(prefix), exist_ok=True)
    config = tf.ConfigProto(device_count={'CPU': 2})
    with tf.Graph().as_default(), tf.Session(config=config) as session:
        variables = {}
        for i, name in enumerate(sorted(values)):
            with tf.device('/cpu:%d' % (i % 2)):
                variables[name] = tf.Variable(
                    tf.placeholder(tf.as_dtype(values[name].dtype), values[name].shape,
                                   name='initial_%d' % i), name='v%d' % i)
        for i, name in enumerate(sorted(values)):
            session.run(variables[name].initializer, {'initial_%d:0' % i: values[name]})
        saver = tf.train.Saver(variables, sharded='sharded' in kind, save_relative_paths=True,
                               write_version=V2 if kind == 'v2' else V1)
        saver.save(session, prefix, write_meta_graph=meta)
    return prefix


def random_values(variables, seed=0):
    """Values for variables that keep what goes through a deep net of moderate size."""
    rng = np.random.RandomState(seed)
    values = {}
    for variable in variables:
        name, shape = variable.op.name, variable.shape.as_list()
        if name.endswith(('weights', 'kernel')):
            value = rng.normal(0.0, np.sqrt(1.0 / np.prod(shape[:-1])), shape)
        elif name.endswith(('variance', 'gamma', '/alpha')):
            value = rng.uniform(0.5, 1.5, shape)
        else:
            value = rng.normal(0.0, 0.1, shape)
        values[name] = value.astype(np.float32)
    return values
