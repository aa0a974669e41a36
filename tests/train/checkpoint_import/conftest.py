"""A checkpoint of four variables, one of the miniature net under other names, and rules."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from tests.train.checkpoint_import.checkpoints import random_values, save


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
        return random_values(tiny_target.build(tf.nn.relu).values())


@pytest.fixture
def old_tiny(tiny_values, tmp_path):
    """Function (kind, **changes): a checkpoint of 'tiny' below 'old/', and the rules for it.

    A change of value None leaves a variable out; '__' stands for '/'.
    """
    def write(kind='v2', **changes):
        values = {name.replace('tiny/', 'old/'): value for name, value in tiny_values.items()}
        values.update({name.replace('__', '/'): value for name, value in changes.items()})
        (tmp_path / 'tiny.txt').write_text('drop old/slot\nregex old/(.+) tiny/\\1\n')
        return save(tmp_path / 'old' / 'm.ckpt', {
            name: value for name, value in values.items() if value is not None}, kind)
    write.rules = [str(tmp_path / 'tiny.txt')]
    return write
