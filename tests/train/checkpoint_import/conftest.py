"""A checkpoint of four variables, one of the miniature net under other names, and rules."""
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

V1, V2 = tf.train.SaverDef.V1, tf.train.SaverDef.V2


def _save(prefix, values, kind='v2', meta=False):
    """Saves arrays as variables of the dict's names; in two files if kind says so."""
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


def _random_values(variables, seed=0):
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


@pytest.fixture
def save():
    """Function (prefix, arrays by name, kind='v2', meta=False): saves them, returns the prefix.

    The kinds are 'v2', 'v1' and 'v1 sharded', which is of two files.
    """
    return _save


@pytest.fixture
def random_values():
    """Function (variables, seed=0): values by name that keep what goes through a deep net."""
    return _random_values


@pytest.fixture
def small():
    """Arrays of several dtypes and shapes, by name."""
    return {'old/a': np.arange(6, dtype=np.float32).reshape(2, 3),
            'old/b': np.array([1, -(2 ** 40)], np.int64),
            'old/c': np.array(0.1),
            'old/d': np.array([True, False])}


@pytest.fixture
def tiny_target():
    """The miniature net with ReLU, as a target."""
    from ash_tf1.commands.import_checkpoint import classifier_target
    return classifier_target('tiny', 3, (8, 8, 3), 'relu')


@pytest.fixture
def rules(tmp_path):
    """Function of lines: the path of a rules file that holds them."""
    def write(*lines):
        path = tmp_path / 'rules.txt'
        path.write_text('\n'.join(lines))
        return [str(path)]
    return write


@pytest.fixture
def to_new(rules):
    return rules(r'regex old/(.+) new/\1')


@pytest.fixture
def tiny_values(tiny, tiny_target):
    """Values for the variables of the net 'tiny', by name."""
    with tf.Graph().as_default():
        return _random_values(tiny_target.build(tf.nn.relu).values())


@pytest.fixture
def old_tiny(tiny_values, tmp_path):
    """Function (kind, **changes): a checkpoint of 'tiny' below 'old/', and the rules for it.

    A change of value None leaves a variable out; '__' stands for '/'.
    """
    def write(kind='v2', **changes):
        values = {name.replace('tiny/', 'old/'): value for name, value in tiny_values.items()}
        values.update({name.replace('__', '/'): value for name, value in changes.items()})
        (tmp_path / 'tiny.txt').write_text('drop old/slot\nregex old/(.+) tiny/\\1\n')
        return _save(tmp_path / 'old' / 'm.ckpt', {
            name: value for name, value in values.items() if value is not None}, kind)
    write.rules = [str(tmp_path / 'tiny.txt')]
    return write
