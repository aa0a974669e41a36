"""SavedModels and MetaGraphs: what is found in them, and the variables without their restore op."""
import json
import os

import numpy as np
import onnx
import pytest
import tensorflow.compat.v1 as tf
from onnx import numpy_helper

from ash_tf1 import ops
from ash_tf1.converting import foreign, freezing, sources
from ash_tf1.converting.foreign import Options

X = np.random.RandomState(0).randn(3, 6).astype('f')


@pytest.fixture(autouse=True)
def new_graph():
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        yield


def net():
    """Native ASH between dense layers, with dropout and training by placeholders."""
    x = tf.placeholder(tf.float32, (None, 6), name='x')
    training = tf.placeholder(tf.bool, [], name='training')
    y = tf.layers.batch_normalization(tf.layers.dense(x, 5, activation=ops.ASH), training=training)
    y = tf.layers.dropout(y, training=training)
    return x, training, tf.layers.dense(y, 2, name='logits')


def session_of(scale=True):
    """A session with the graph's variables, every moving average and z_k moved from its start."""
    session = tf.Session()
    session.run(tf.global_variables_initializer())
    rng = np.random.RandomState(1)
    for variable in tf.global_variables() if scale else ():
        variable.load(session.run(variable) + 0.1 * rng.rand(*variable.shape), session)
    return session


def converted(path, tmp_path, **options):
    """(names and values of the test data set, metadata) of an artifact."""
    foreign.convert(str(path), str(tmp_path / 'artifact'), Options(overwrite=True, **options))
    folder = tmp_path / 'artifact/test_data_set_0'
    tensors = [onnx.TensorProto.FromString((folder / name).read_bytes())
               for name in sorted(os.listdir(str(folder)))]
    model = onnx.load(str(tmp_path / 'artifact/model.onnx'))
    return ({tensor.name: numpy_helper.to_array(tensor) for tensor in tensors},
            {entry.key: entry.value for entry in model.metadata_props})


@pytest.mark.parametrize('kind', ['MetaGraph', 'folder', 'graph', 'SavedModel', 'file'])
def test_every_source_answers_as_its_session_did(tmp_path, kind):
    x, training, y = net()
    np.save(str(tmp_path / 'x.npy'), X)
    with session_of() as session:
        expected = session.run(y, {x: X, training: False})
        tf.train.Saver().save(session, str(tmp_path / 'run/net.ckpt'), global_step=7)
        tf.saved_model.simple_save(session, str(tmp_path / 'saved'),
                                   {'features': x, 'training': training}, {'scores': y})
    path, output = {
        'MetaGraph': ('run/net.ckpt-7', y.name), 'folder': ('run', y.name),
        'graph': ('run/net.ckpt-7.meta', y.name), 'SavedModel': ('saved', None),
        'file': ('saved/saved_model.pb', None)}[kind]
    values, metadata = converted(
        tmp_path / path, tmp_path, samples=str(tmp_path / 'x.npy'),
        values=(('training', 'false'),), outputs=(output,) if output else ())
    input_name, output_name = ('x', y.op.name) if output else ('features', 'scores')
    np.testing.assert_array_equal(values[input_name], X)
    np.testing.assert_array_equal(values[output_name], expected)
    assert metadata['net'] == ('net.ckpt-7' if output else 'saved')
    assert json.loads(metadata['inputs'])[0]['name'] == input_name


def variables_of_every_kind(x):
    """An expression of every kind of variable that TensorFlow 1 has."""
    reference = tf.get_variable('reference', [6])
    resource = tf.get_variable('resource', [6], use_resource=True)
    parts = tf.get_variable('parts', [6, 4], partitioner=tf.fixed_size_partitioner(3))
    table = tf.get_variable('table', [5, 6], use_resource=True)
    rows = tf.get_variable('rows', [5, 6], partitioner=tf.fixed_size_partitioner(2))
    whole = tf.cond(tf.reduce_sum(x) > 1e6, lambda: x * reference, lambda: x + resource)
    _, looped = tf.while_loop(lambda i, y: i < 2, lambda i, y: (i + 1, y * resource + reference),
                              (0, whole))
    ids = tf.cast(x[:, 0] > 0, tf.int32)
    looked_up = tf.nn.embedding_lookup(table, ids) + tf.nn.embedding_lookup(rows, ids)
    return tf.matmul(looped + looked_up, parts, name='y')


@pytest.mark.parametrize('form', ['v2', 'v1', 'sharded', 'averages'])
def test_every_kind_of_variable_and_of_saver(tmp_path, form):
    x = tf.placeholder(tf.float32, (None, 6), name='x')
    y = variables_of_every_kind(x)
    path, arguments = str(tmp_path / 'net.ckpt'), {}
    if form == 'averages':  # the saver renames, as those of moving averages do
        arguments['var_list'] = {'average/' + v.op.name: v for v in tf.global_variables()
                                 if 'part' not in v.op.name and 'rows' not in v.op.name}
    saver = tf.train.Saver(write_version=1 if form == 'v1' else 2, sharded=form == 'sharded',
                           **arguments)
    with session_of() as session:
        if form == 'averages':
            others = tf.train.Saver([v for v in tf.global_variables()
                                     if v not in arguments['var_list'].values()])
            others.save(session, str(tmp_path / 'others.ckpt'), write_meta_graph=False)
        expected = session.run(y, {x: X})
        saver.save(session, path)
    if form == 'averages':
        with pytest.raises(ValueError, match='net.ckpt lacks parts/part_0, .*rows'):
            converted(path + '.meta', tmp_path, outputs=('y',))
        source = sources.read(path)
        assert source.slots['reference'] == freezing.Slot('average/reference', '')
        return
    np.save(str(tmp_path / 'x.npy'), X)
    values, _ = converted(path + '.meta', tmp_path, samples=str(tmp_path / 'x.npy'),
                          outputs=('y',))
    np.testing.assert_allclose(values['y'], expected, rtol=1e-6)


def test_nothing_of_the_graph_but_the_part_is_run(tmp_path, monkeypatch):
    """Neither an initializer, nor a restore op, nor the main op of a SavedModel."""
    monkeypatch.chdir(tmp_path)
    x = tf.placeholder(tf.float32, (None, 6), name='x')
    harm = [tf.io.write_file('harm-{}.txt'.format(name), 'harm') for name in ('main', 'init')]
    with tf.control_dependencies(harm[1:]):
        weights = tf.get_variable('weights', initializer=lambda: tf.ones([6]))
    y = tf.multiply(x, weights, name='y')
    with session_of() as session:
        builder = tf.saved_model.Builder('saved')
        signature = tf.saved_model.predict_signature_def({'x': x}, {'y': y})
        builder.add_meta_graph_and_variables(session, ['serve'], {'serving_default': signature},
                                             main_op=tf.group(*harm[:1]))
        builder.save()
    for name in os.listdir('.'):
        if name.startswith('harm'):
            os.remove(name)
    converted('saved', tmp_path)
    assert sorted(os.listdir('.')) == ['artifact', 'saved']


def test_a_restored_name_may_be_missing_or_of_another_shape(tmp_path):
    x = tf.placeholder(tf.float32, (None, 6), name='x')
    tf.multiply(x, tf.get_variable('w', [6]), name='y')
    path = str(tmp_path / 'net.ckpt')
    with session_of() as session:
        tf.train.Saver().save(session, path)
    meta = (tmp_path / 'net.ckpt.meta').read_bytes()
    for name, shape, message in (('v', [6], 'net.ckpt lacks w, which the graph needs'),
                                 ('w', [5], "'w' is float32 .6,. in the graph, and float32 .5.")):
        with tf.Graph().as_default():
            tf.get_variable(name, shape)
            with session_of() as session:
                tf.train.Saver().save(session, path, write_meta_graph=False)
        (tmp_path / 'net.ckpt.meta').write_bytes(meta)
        with pytest.raises(ValueError, match=message):
            converted(path, tmp_path, outputs=('y',))


def save(folder, *graphs, signatures=('serving_default',), asset=None):
    """A SavedModel with a graph for each set of tags; each multiplies by its place."""
    builder = tf.saved_model.Builder(str(folder))
    for place, tags in enumerate(graphs):
        with tf.Graph().as_default(), tf.Session() as session:
            x = tf.placeholder(tf.float32, (2,), name='x')
            keys = {key: tf.saved_model.predict_signature_def(
                {'x': x}, {'x': x * (10.0 * place + number)})
                for number, key in enumerate(signatures)}
            add = builder.add_meta_graph if place else builder.add_meta_graph_and_variables
            add(*(() if place else (session,)), tags=tags, signature_def_map=keys)
    builder.save()


def test_tags_and_signatures_choose(tmp_path):
    save(tmp_path / 'two', ['serve'], ['serve', 'gpu'], signatures=('one', 'two'))
    for options, factor in (({'signature': 'two'}, 1.0),
                            ({'signature': 'two', 'tags': ('gpu', 'serve')}, 11.0)):
        values, _ = converted(tmp_path / 'two', tmp_path, **options)
        # An output of the name of an input gets another one.
        np.testing.assert_allclose(values['x_output'], factor * values['x'], rtol=1e-6)
    for options, message in (
            ({}, "no signature 'serving_default': choose by --signature among one, two"),
            ({'tags': ('tpu',)}, 'no graph tagged tpu; its graphs are tagged serve and gpu,serve')):
        with pytest.raises(ValueError, match=message):
            sources.read(str(tmp_path / 'two'), **options)
    save(tmp_path / 'other', ['train'], signatures=('own',))
    assert sources.read(str(tmp_path / 'other')).inputs == (('x', 'x:0'),)


@pytest.mark.parametrize('name', ['../../secret.txt', '/etc/passwd', '..'])
def test_an_asset_outside_the_folder_is_refused(tmp_path, name):
    save(tmp_path / 'saved', ['serve'])
    path = tmp_path / 'saved/saved_model.pb'
    message = sources.saved_model_pb2.SavedModel.FromString(path.read_bytes())
    message.meta_graphs[0].asset_file_def.add(filename=name)
    path.write_bytes(message.SerializeToString())
    with pytest.raises(ValueError, match='names the asset {!r}, which is outside'.format(name)):
        sources.read(str(tmp_path / 'saved'))


@pytest.mark.parametrize('path, message', [
    ('nothing', 'nothing: no checkpoint at .*nothing; a source is a frozen graph'),
    ('empty', 'a source is a frozen graph'),
    ('bad', 'saved_model.pb is no SavedModel'),
    ('alone.index', 'has lost its .data file'),
    ('net', 'has no graph beside it, .*net.meta')])
def test_what_is_no_source_is_named(tmp_path, path, message):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'bad').mkdir()
    (tmp_path / 'bad/saved_model.pb').write_bytes(b'\xff' * 9)
    (tmp_path / 'alone.index').write_bytes(b'')
    tf.get_variable('w', [6])
    with session_of() as session:
        tf.train.Saver().save(session, str(tmp_path / 'net'), write_meta_graph=False)
    with pytest.raises(ValueError, match=message):
        sources.read(str(tmp_path / path))


@pytest.mark.parametrize('part, fits', [
    ('6 4 0,3:-', True), ('6 4 3,3:0,4', True), ('9 4 0,3:-', False), ('6 0,3:-', False),
    ('4 6 0,3:-', False), ('6 4 4,3:-', False), ('6 4 0,3', False), ('6 4 -', False)])
def test_a_part_must_be_of_the_tensor_that_there_is(tmp_path, part, fits):
    """TensorFlow itself refuses a slice whose whole has another shape in the checkpoint."""
    value = np.arange(24, dtype='f').reshape(6, 4)
    with tf.Graph().as_default(), tf.Session() as session:
        whole = tf.get_variable('whole', initializer=value)
        session.run(whole.initializer)
        prefix = tf.train.Saver().save(session, str(tmp_path / 'net.ckpt'))
    with tf.Graph().as_default() as graph:
        tf.get_variable('v', shape=[3, 4], use_resource=False)
        graph_def = tf.graph_util.extract_sub_graph(graph.as_graph_def(), ['v'])
    slots = {'v': freezing.Slot('whole', part)}
    if not fits:
        with pytest.raises(ValueError, match="the graph restores '{}' from whole".format(part)):
            freezing.freeze(graph_def, slots, prefix)
        return
    constant, = freezing.freeze(graph_def, slots, prefix).node
    start = int(part.split()[2].partition(',')[0])
    np.testing.assert_array_equal(tf.make_ndarray(constant.attr['value'].tensor),
                                  value[start:start + 3])
