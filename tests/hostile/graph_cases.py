"""Hostile graphs for tools/convert.py: frozen graphs, SavedModels, MetaGraphs, Keras files."""
import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.core.protobuf import saved_model_pb2

from ash_tf1.commands import convert
from ash_tf1.keras import ASH
from tests.hostile import mutations
from tests.hostile.judging import Case, made
from tests.project.hostile import bases
from tests.project.hostile import mutations as of_graphs

LIMITS = ['--time-limit', '45', '--memory-limit', '4']
META = {'meta': ('net.ckpt.meta', tf.MetaGraphDef), 'saved': (
    'saved_model.pb', saved_model_pb2.SavedModel)}
# Which files of a source are damaged in their bytes.
FILES = {'meta': ('net.ckpt.meta', 'net.ckpt.index', 'net.ckpt.data-00000-of-00001'),
         'saved': ('saved_model.pb', 'variables/variables.index',
                   'variables/variables.data-00000-of-00001')}


def sources(folder):
    """NAME.pb of each frozen graph, meta/, saved/ and keras.h5."""
    made_in = os.path.join(folder, 'made')
    bases.make(made_in)
    for name in os.listdir(made_in):
        shutil.move(os.path.join(made_in, name), folder)
    os.rmdir(made_in)
    layers = tf.keras.layers
    with tf.Graph().as_default(), tf.Session().as_default():
        model = tf.keras.Sequential([
            layers.Conv2D(4, 3, input_shape=(8, 8, 3)), layers.BatchNormalization(), ASH(),
            layers.Flatten(), layers.Dense(3)])
        model.save(os.path.join(folder, 'keras.h5'), include_optimizer=False)


def _arguments(folder, path, *more):
    return [path, folder + '/out/artifact', *LIMITS, *more], None


def graph(number):
    """A GraphDef of which a mutation changes nodes, or a file of it whose bytes are others."""
    source = (bases.FROZEN + ('meta', 'saved'))[number % 6]

    def make(folder, rng):
        if source in bases.FROZEN:
            path, name, kind = os.path.join(made(sources), source + '.pb'), 'input.pb', tf.GraphDef
            shutil.copy(path, os.path.join(folder, name))
            files, home = (name,), Path(folder)
        else:
            shutil.copytree(os.path.join(made(sources), source), folder + '/input')
            name, kind = META[source]
            files, home = FILES[source], Path(folder, 'input')
        if rng.randint(2):
            path = home / mutations.pick(files, rng)
            path.write_bytes(mutations.pick(mutations.BYTES, rng)(path.read_bytes(), rng))
        else:
            message = kind.FromString((home / name).read_bytes())
            part = {'meta': lambda: message.graph_def,
                    'saved': lambda: message.meta_graphs[0].graph_def}.get(source, lambda: message)
            mutations.pick(of_graphs.GRAPH_MUTATIONS, rng)(part(), rng)
            (home / name).write_bytes(message.SerializeToString())
        path = {'meta': folder + '/input/net.ckpt', 'saved': folder + '/input'}.get(
            source, folder + '/input.pb')
        return _arguments(folder, path, *(['--output', 'scaled'] if source == 'meta' else []))
    return Case('graph', number, make, convert.main, right, writes=('out',))


def right(out, about):
    return 'examples in the test data set' in out


def _config(data, rng):
    """Changes the config of a model: of a layer, or of the whole."""
    config = json.loads(data)
    layers = config['config']['layers']
    part = mutations.pick([config, config['config'], mutations.pick(layers, rng),
                           mutations.pick(layers, rng)['config']], rng)
    changed = mutations.change_json(part, rng)
    part.clear()
    part.update(changed)
    return json.dumps(config)


def keras(number):
    def make(folder, rng):
        path = Path(folder, 'input.h5')
        shutil.copy(os.path.join(made(sources), 'keras.h5'), str(path))
        if number % 3 == 0:
            path.write_bytes(mutations.pick(mutations.BYTES, rng)(path.read_bytes(), rng))
        else:
            with h5py.File(str(path), 'r+') as file:
                if number % 3 == 1:
                    config = file.attrs['model_config']
                    file.attrs['model_config'] = np.string_(_config(config, rng))
                else:
                    _weights(file, rng)
        return _arguments(folder, str(path))
    return Case('Keras file', number, make, convert.main, right, writes=('out',))


def _weights(file, rng):
    """Weights that are gone, of another shape or dtype, or in another file."""
    names = []
    file.visititems(lambda name, value: names.append(name) if isinstance(
        value, h5py.Dataset) else None)
    name = mutations.pick(names, rng)
    group = file[name].parent
    short = name.rpartition('/')[2]
    value = file[name][()]
    del group[short]
    mutations.pick([
        lambda: None, lambda: group.__setitem__(short, value[..., :-1]),
        lambda: group.__setitem__(short, value.astype('f8')),
        lambda: group.__setitem__(short, np.full(value.shape, np.nan, 'f4')),
        lambda: group.__setitem__(short, h5py.ExternalLink('/etc/passwd', '/x')),
        lambda: group.__setitem__(short, h5py.SoftLink('/nowhere')),
        lambda: group.create_dataset(short, (2 ** 40,), 'f4', chunks=(2 ** 10,)),
        lambda: group.create_group(short), lambda: group.__setitem__(short, 'text')], rng)()


MAKERS = [(graph, 180), (keras, 90)]
