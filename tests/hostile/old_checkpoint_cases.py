"""Hostile checkpoints of the format V1, TensorFlow's before 1.0: in one file, and in several."""
import json
import os
import shutil
from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1 import checkpoint
from ash_tf1.commands import import_checkpoint
from tests.hostile import mutations, tables
from tests.hostile.judging import Case, made, reading

VALUES = {'a': np.arange(6, dtype=np.float32).reshape(2, 3), 'scope/b': np.array([1, -2 ** 40]),
          'scope/c': np.array(0.1), 'd': np.array([True, False]),
          'large': np.linspace(-1, 1, 900, dtype=np.float32).reshape(30, 30)}
PARTS = 'parts'  # a variable in three parts, of rising numbers
ONE, TWO = ('input',), ('input-00000-of-00002', 'input-00001-of-00002')


def originals(folder):
    """Fills one/ and two/, with a checkpoint in one file and one in two."""
    with tf.Graph().as_default(), tf.Session(
            config=tf.ConfigProto(device_count={'CPU': 2})) as session:
        named = {}
        for number, (name, value) in enumerate(sorted(VALUES.items())):
            with tf.device('/cpu:{}'.format(number % 2)):
                named[name] = tf.Variable(value, name=name)
        with tf.device('/cpu:0'):
            parts = tf.get_variable(PARTS, [10, 4], partitioner=tf.fixed_size_partitioner(3),
                                    initializer=lambda shape, dtype, partition_info: tf.fill(
                                        shape, float(partition_info.var_offset[0])))
        named[PARTS] = list(parts)
        session.run(tf.global_variables_initializer())
        for name in ('one', 'two'):
            os.mkdir(os.path.join(folder, name))
            tf.train.Saver(named, sharded=name == 'two', write_version=tf.train.SaverDef.V1).save(
                session, os.path.join(folder, name, 'input'), write_meta_graph=False)


def _sums(path):
    prefix = checkpoint.find_checkpoint(path, v1=True)
    stored = checkpoint.list_variables(prefix)
    print(json.dumps({name: [list(value.shape), repr(np.float64(value.sum()))]
                      for name, value in checkpoint.read_variables(
                          prefix, stored, {name: name for name in stored})}, sort_keys=True))


def _expected():
    values = dict(VALUES, **{PARTS: np.repeat(np.float32([0] * 4 + [4] * 3 + [7] * 3), 4).reshape(
        10, 4)})
    return {name: [list(value.shape), repr(np.float64(value.sum()))]
            for name, value in values.items()}


def _other_files(home, names, rng):
    """Files that are gone, exchanged, no files, of another checkpoint, or one too many."""
    name = home / mutations.pick(names, rng)

    def instead(make):
        os.remove(str(name))
        make(str(name))
    mutations.pick([
        lambda: os.remove(str(name)), lambda: instead(os.mkfifo), lambda: instead(os.mkdir),
        lambda: instead(lambda one: os.symlink('/dev/zero', one)),
        lambda: instead(lambda one: os.symlink(os.path.basename(one), one)),
        lambda: instead(lambda one: os.truncate(open(one, 'wb').name, 2 ** 40)),
        lambda: (home / names[-1]).write_bytes((home / names[0]).read_bytes()),
        lambda: shutil.copy(str(home / names[0]), str(home / 'input-00000-of-00003')),
        lambda: os.rename(str(home / names[0]), str(home / names[-1]))], rng)()


def old_checkpoint(number):
    """Of one file or two; changed in its bytes, in its tables with right checksums, or as files."""
    names, way = (ONE, TWO)[number % 2], number // 2 % 4
    forged = way in (1, 2)  # what it then holds is as good as any other

    def make(folder, rng):
        home = Path(folder)
        for name in names:
            shutil.copy(os.path.join(made(originals), 'one' if names is ONE else 'two', name),
                        folder)
        if way == 3:
            _other_files(home, names, rng)
        else:
            path = home / mutations.pick(names, rng)
            change = tables.changed if forged else mutations.pick(mutations.BYTES, rng)
            path.write_bytes(change(path.read_bytes(), rng))
        (home / 'rules').write_text('regex (.*) new/\\1\n')
        if number % 3 == 0:
            return [folder + '/input', folder + '/out/new', '--map', folder + '/rules'], None
        return [folder + '/input'], None

    def right(out, about):
        return number % 3 == 0 or forged or json.loads(out) == _expected()
    run = import_checkpoint.main if number % 3 == 0 else reading(_sums)
    return Case('checkpoint V1', number, make, run, right, writes=('out',))
