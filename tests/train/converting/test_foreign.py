"""Frozen graphs of other code: what is cut out, refused, lowered and converted."""
import json
import os

import cv2
import numpy as np
import onnx
import pytest
import tensorflow.compat.v1 as tf
from onnx import numpy_helper

from ash_tf1 import ops
from ash_tf1.converting import foreign, graphs, lowering, onnx_model, opsets, sources
from ash_tf1.converting.foreign import Options
from ash_tf1.preprocessing import parse
from ash_tf1.tasks.classification.adapting import GraphClassifier
from ash_tf1.tasks.classification.labels import read_labels

pytestmark = pytest.mark.fast

SHAPE = (3, 6, 5, 4)


@pytest.fixture(autouse=True)
def new_graph():
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        yield


def freeze(*outputs):
    """The current graph with its initial weights, as a GraphDef without variables."""
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        return tf.graph_util.convert_variables_to_constants(
            session, session.graph.as_graph_def(), list(outputs))


def net(activation):
    """A convolution, an activation and a dense layer over [N, 6, 5, 4]."""
    x = tf.placeholder(tf.float32, (None,) + SHAPE[1:], name='x')
    y = tf.layers.conv2d(x, 4, 3, activation=activation, name='conv')
    return tf.layers.dense(tf.layers.flatten(y), 2, name='dense')


def write(path, graph_def):
    with open(str(path), 'wb') as handle:
        handle.write(graph_def.SerializeToString())
    return str(path)


@pytest.mark.parametrize('name', ['ash', 'l_ash', 'f_ash_10'])
@pytest.mark.parametrize('implementation', ['native', 'recompute', 'plain'])
def test_every_form_becomes_portable_and_answers_the_same(name, implementation):
    y = net(ops.get_activation(name, implementation))
    frozen = freeze(y.op.name)
    assert len(lowering.find_ash(frozen.node)) == (implementation != 'plain')
    lowered = lowering.lower(frozen)
    assert not lowering.find_ash(lowered.node)
    signature = onnx_model.Signature((('x', 'x:0'),), (('y', y.name),))
    x = np.random.RandomState(0).randn(*SHAPE)
    expected, = onnx_model.run_frozen(frozen, signature, x)
    found, = onnx_model.run_frozen(lowered, signature, x)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_an_ash_that_cannot_be_lowered_is_named():
    x = tf.placeholder(tf.float32, name='x')
    known = tf.placeholder_with_default(x, [None, 4])
    ops.apply_ash(known, [0.5], [1.0], implementation='native')
    forward = next(op for op in tf.get_default_graph().get_operations() if op.type == 'AshForward')
    tf.identity(forward.outputs[1], name='mean')
    with pytest.raises(ValueError, match="'mean' reads output 1 of ASH '{}'".format(forward.name)):
        lowering.lower(tf.get_default_graph().as_graph_def())


def test_inputs_and_outputs_are_found_where_there_is_one_of_each():
    y = net(tf.nn.relu)
    part, inputs, outputs = graphs.cut(freeze(y.op.name))
    assert [str(tensor) for tensor in inputs] == ['x (float32 [?, 6, 5, 4])']
    assert [str(tensor) for tensor in outputs] == [y.op.name + ' (float32 [?, 2])']
    assert [node.op for node in part.node].count('Placeholder') == 1


def test_any_tensor_may_be_an_input_or_an_output():
    """Here that of an iterator, whose data set is then left out."""
    data = tf.data.Dataset.from_tensor_slices(np.ones([8, 3], 'f')).batch(2)
    x = tf.data.make_one_shot_iterator(data).get_next()
    tf.identity(tf.split(tf.square(x, name='middle') + 1.0, [1, 2], 1, name='parts')[1], name='out')
    graph_def = tf.get_default_graph().as_graph_def()
    with pytest.raises(ValueError, match="op '(One|It).*Iterator.* as --input"):
        graphs.cut(graph_def, outputs=['out'])
    part, inputs, outputs = graphs.cut(graph_def, [('IteratorGetNext', [None, 3])],
                                       ['parts:1', 'middle'])
    assert [node.op for node in part.node if 'terator' in node.op + node.name] == ['Placeholder']
    assert [(tensor.name, tensor.shape) for tensor in inputs + outputs] == [
        ('IteratorGetNext:0', (None, 3)), ('parts:1', (None, 2)), ('middle:0', (None, 3))]


@pytest.mark.parametrize('inputs, outputs, message', [
    ([], [], r'2 outputs that nothing reads \(one \(float32 \[2\]\), two \(float32'),
    ([], ['three'], r"no tensor 'three'; its placeholders are a, b, and what no node reads is one"),
    ([('c', None)], ['one'], "no tensor 'c'"),
    ([('b', None)], ['one'], 'the outputs do not depend on b:0'),
    ([('a', None)], ['two'], r'inputs that are not given: b \(float32 \[2\]\)')])
def test_what_is_not_clear_is_listed(inputs, outputs, message):
    a, b = (tf.placeholder(tf.float32, [2], name=name) for name in 'ab')
    tf.square(a, name='one')
    tf.add(a, b, name='two')
    with pytest.raises(ValueError, match=message):
        graphs.cut(tf.get_default_graph().as_graph_def(), inputs, outputs)


def write_a_file(x):
    done = tf.io.write_file('harm.txt', 'harm')
    with tf.control_dependencies([done]):
        return tf.identity(x)


DANGEROUS = {
    'WriteFile': write_a_file,
    'ReadFile': lambda x: x + tf.cast(tf.strings.length(tf.io.read_file('secret')), tf.float32),
    'PyFunc': lambda x: tf.py_func(lambda x: open('harm.txt', 'w') and x, [x], tf.float32),
    'RandomUniform': lambda x: tf.nn.dropout(x, rate=0.5),
    'VariableV2': lambda x: x * tf.get_variable('v', []),
    'ReadVariableOp': lambda x: x * tf.get_variable('v', [], use_resource=True),
    'Print': lambda x: tf.Print(x, [x]),
}


@pytest.mark.parametrize('kind', DANGEROUS)
def test_what_is_no_mathematics_is_refused_and_not_run(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    tf.identity(DANGEROUS[kind](tf.placeholder(tf.float32, [2, 3], name='x')), name='out')
    path = write(tmp_path / 'graph.pb', tf.get_default_graph().as_graph_def())
    with pytest.raises(ValueError, match=r"(op|variable) '\w+") as error:
        foreign.convert(path, 'artifact', Options(outputs=['out']))
    assert '\n' not in str(error.value)
    assert os.listdir(str(tmp_path)) == ['graph.pb']


def graph_that_writes_to_know_a_shape(path):
    """TensorFlow runs what the shape of 'y' depends on while it imports the graph."""
    x = tf.placeholder(tf.float32, [2, 3], name='x')
    tf.reshape(x, tf.identity(tf.constant([3, 2]), name='shape'), name='y')
    tf.add(x, tf.random_uniform([]), name='u')
    graph_def = tf.get_default_graph().as_graph_def()
    node = next(node for node in graph_def.node if node.name == 'shape')
    node.op = 'DebugIdentity'
    node.attr['tensor_name'].s = b'shape:0'
    node.attr['device_name'].s = b'/job:localhost/replica:0/task:0/device:CPU:0'
    node.attr['debug_urls'].list.s.append(b'file://' + str(path).encode())
    return graph_def


@pytest.mark.parametrize('inputs, outputs, message', [
    ([], ['y'], "op 'shape' is of the type DebugIdentity"),
    ([('y', None)], ['y', 'u'], 'inputs that are not given: x'),
    ([], [], 'has 2 outputs that nothing reads'),
    ([], ['u'], 'draws random numbers')])
def test_not_even_a_shape_runs_an_op_that_is_refused(tmp_path, inputs, outputs, message):
    graph_def = graph_that_writes_to_know_a_shape(tmp_path / 'harm')
    with pytest.raises(ValueError, match=message):
        graphs.cut(graph_def, inputs, outputs)
    assert os.listdir(str(tmp_path)) == []
    with tf.Graph().as_default():  # else the test would show nothing
        tf.import_graph_def(graph_def)
    assert os.listdir(str(tmp_path)) == ['harm']


@pytest.mark.parametrize('content, name, message', [
    (b'', 'a.pb', 'holds no graph'), (b'\xff\xff\xff', 'a.pb', 'is no GraphDef'),
    (b'node { name: 1 }', 'a.pbtxt', 'is no GraphDef'), (None, 'a.pb', 'is no file')])
def test_what_is_no_frozen_graph_is_named(tmp_path, content, name, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=name + '.*' + message):
        sources.read_frozen_graph(str(path))


@pytest.mark.parametrize('text', [False, True])
def test_the_artifact(tmp_path, text):
    y = net(ops.ASH)
    frozen = freeze(y.op.name)
    path = str(tmp_path / ('net.pbtxt' if text else 'net.pb'))
    if text:
        tf.train.write_graph(frozen, str(tmp_path), 'net.pbtxt')
    else:
        write(path, frozen)
    exported = foreign.convert(path, str(tmp_path / 'artifact'), Options(seed=3))
    model = onnx.load(str(tmp_path / 'artifact/model.onnx'))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert (metadata['kind'], metadata['net']) == ('tensors', os.path.basename(path))
    assert metadata['samples'] == 'made up, seed 3'
    assert json.loads(metadata['inputs']) == [
        {'name': 'x', 'dtype': 'float32', 'shape': [None, 6, 5, 4], 'example': [4, 6, 5, 4]}]
    assert 1e-5 <= json.loads(metadata['tolerance'])['relative'] <= 1e-2
    assert exported.samples == 4
    assert {node.domain for node in model.graph.node} <= {'', 'ai.onnx'}
    folder = tmp_path / 'artifact/test_data_set_0'
    x, answer = (numpy_helper.to_array(onnx.TensorProto.FromString((folder / name).read_bytes()))
                 for name in ('input_0.pb', 'output_0.pb'))
    # The recorded answer is the source graph's own, native ASH included.
    signature = onnx_model.Signature((('x', 'x:0'),), (('y', y.name),))
    np.testing.assert_array_equal(onnx_model.run_frozen(frozen, signature, x)[0], answer)


def test_samples_are_taken_from_files_and_held_against_the_graph(tmp_path):
    y = net(tf.nn.relu)
    path = write(tmp_path / 'net.pb', freeze(y.op.name))
    good = np.random.RandomState(0).randn(2, *SHAPE[1:]).astype('f')
    np.save(str(tmp_path / 'good.npy'), good)
    foreign.convert(path, str(tmp_path / 'a'), Options(samples=str(tmp_path / 'good.npy')))
    stored = onnx.TensorProto.FromString((tmp_path / 'a/test_data_set_0/input_0.pb').read_bytes())
    np.testing.assert_array_equal(numpy_helper.to_array(stored), good)
    for name, arrays, message in (
            ('b.npz', {'z': good}, 'must hold the inputs x, it holds z'),
            ('c.npz', {'x': good[:, :3]}, r'x as float32 \[2, 3, 5, 4\], the graph takes x'),
            ('d.npz', {'x': good.astype(object)}, 'cannot be read'),
            ('e.npz', {'x': good.astype(complex)}, 'x as complex128')):
        np.savez(str(tmp_path / name), **arrays)
        with pytest.raises(ValueError, match=message):
            foreign.convert(path, str(tmp_path / 'x'), Options(samples=str(tmp_path / name)))
    assert not (tmp_path / 'x').exists()


@pytest.mark.parametrize('opset', [opsets.FIRST, opsets.LAST])
def test_an_opset_can_be_chosen(tmp_path, opset):
    path = write(tmp_path / 'net.pb', freeze(net(ops.ASH).op.name))
    foreign.convert(path, str(tmp_path / 'a'), Options(opset=opset))
    model = onnx.load(str(tmp_path / 'a/model.onnx'))
    assert [(entry.domain, entry.version) for entry in model.opset_import
            if entry.domain in ('', 'ai.onnx')] == [('', opset)]


@pytest.mark.parametrize('opset', [opsets.FIRST - 1, opsets.LAST + 1, None])
def test_another_opset_is_refused(tmp_path, opset):
    path = write(tmp_path / 'net.pb', freeze(net(tf.nn.relu).op.name))
    with pytest.raises(ValueError, match='opset must be from 11 to 18, got {}'.format(opset)):
        foreign.convert(path, str(tmp_path / 'a'), Options(opset=opset))
    assert not (tmp_path / 'a').exists()


def test_an_input_of_an_open_shape_asks_for_one(tmp_path):
    x = tf.placeholder(tf.float32, [None, None, None, 3], name='x')
    tf.reduce_mean(x, [1, 2], name='out')
    path = write(tmp_path / 'net.pb', tf.get_default_graph().as_graph_def())
    with pytest.raises(ValueError, match=r'input x \(float32 \[\?, \?, \?, 3\]\) leaves its shape'):
        foreign.convert(path, str(tmp_path / 'a'), Options(outputs=['out']))
    foreign.convert(path, str(tmp_path / 'a'), Options([('x', [None, 8, 8, 3])], ['out']))


def test_a_graph_that_gives_no_numbers_is_refused(tmp_path):
    tf.math.log(-tf.abs(tf.placeholder(tf.float32, [2, 3], name='x')) - 1.0, name='out')
    path = write(tmp_path / 'net.pb', tf.get_default_graph().as_graph_def())
    with pytest.raises(RuntimeError, match='gives NaN or infinity as out'):
        foreign.convert(path, str(tmp_path / 'a'))


def test_a_badly_conditioned_graph_gets_a_wider_tolerance(tmp_path):
    tolerances = []
    for factor in (1.0, 1e4):
        with tf.Graph().as_default() as graph:
            x = tf.placeholder(tf.float32, [None, 8], name='x')
            tf.sin(factor * x, name='out')
            path = write(tmp_path / 'net.pb', graph.as_graph_def())
            foreign.convert(path, str(tmp_path / 'a'), Options(overwrite=True))
        metadata = onnx.load(str(tmp_path / 'a/model.onnx')).metadata_props
        tolerances.append(json.loads({e.key: e.value for e in metadata}['tolerance'])['relative'])
    assert tolerances[0] < 1e-4 < tolerances[1]


def test_the_output_is_found_beside_what_trains(tmp_path):
    """Gradients, an optimizer, summaries, a saver and ASH's monitors are none."""
    x = tf.placeholder(tf.float32, (None, 6), name='x')
    y = tf.layers.dense(tf.layers.dense(x, 5, activation=ops.ASH), 2)
    loss = tf.reduce_mean(tf.square(y), name='loss')
    tf.summary.scalar('loss', loss)
    tf.train.AdamOptimizer().minimize(loss)
    tf.train.Saver()
    graph_def = tf.get_default_graph().as_graph_def()
    _, _, (output,) = graphs.cut(graph_def, variables=True)
    assert output.name == 'loss:0'
    tf.identity(y, name='scores')
    with pytest.raises(ValueError, match=r'2 outputs that nothing reads \(loss \(float32 \[\]\), '
                                         r'scores \(float32 \[\?, 2\]\)\): name'):
        graphs.cut(tf.get_default_graph().as_graph_def(), variables=True)


def classifier(softmax, channels_first=False):
    x = tf.placeholder(tf.float32, (None, 3, 6, 5) if channels_first else (2, 6, 5, 3), name='x')
    y = tf.transpose(x, [0, 2, 3, 1]) if channels_first else x
    y = tf.layers.conv2d(y, 4, 3, activation=ops.ASH)
    y = tf.layers.dense(tf.reduce_mean(y, [1, 2]), 3)
    return tf.reshape(tf.nn.softmax(y), [-1, 3], name='y') if softmax else tf.identity(y, name='y')


@pytest.mark.parametrize('softmax', [False, True])
@pytest.mark.parametrize('channels_first', [False, True])
def test_an_image_classifier(tmp_path, softmax, channels_first):
    y = classifier(softmax, channels_first)
    frozen = freeze(y.op.name)
    (tmp_path / 'labels.txt').write_text('cat\ndog\nüber\n', encoding='utf-8')
    path = write(tmp_path / 'net.pb', frozen)
    preprocessing = parse(['channels=BGR', 'mean=100,110,120', 'std=50', 'crop=0.875'])
    foreign.convert(path, str(tmp_path / 'a'), Options(
        adapter=GraphClassifier(read_labels(str(tmp_path / 'labels.txt')), preprocessing)))
    model = onnx.load(str(tmp_path / 'a/model.onnx'))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata['kind'] == 'image_classifier'
    assert json.loads(metadata['labels']) == ['cat', 'dog', 'über']
    assert json.loads(metadata['input_shape']) == [6, 5, 3]
    assert json.loads(metadata['preprocessing'])['mean'] == [100.0, 110.0, 120.0]
    images, logits, probabilities = (
        numpy_helper.to_array(onnx.TensorProto.FromString(
            (tmp_path / 'a/test_data_set_0' / name).read_bytes()))
        for name in ('input_0.pb', 'output_0.pb', 'output_1.pb'))
    assert (images.dtype, images.shape) == (np.uint8, (4, 6, 5, 3))
    # By hand, into the graph as it was before.
    x = (images[..., ::-1] - np.array([100.0, 110.0, 120.0])) / 50.0
    signature = onnx_model.Signature((('x', 'x:0'),), (('y', 'y:0'),))
    expected = np.concatenate([
        onnx_model.run_frozen(frozen, signature, np.transpose(
            part, [0, 3, 1, 2]) if channels_first else part)[0] for part in (x[:2], x[2:])])
    np.testing.assert_allclose(probabilities if softmax else logits, expected, rtol=1e-4, atol=1e-6)
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(probabilities, exponentials / exponentials.sum(1, keepdims=True),
                               rtol=1e-5)


@pytest.mark.parametrize('text, shape, last, message', [
    ('a\nb\n', [2, 6, 5, 3], tf.identity, r'output y \(float32 \[2, 3\]\) gives scores of shape'),
    ('a\nb\nc\n', [2, 6, 5, 3], tf.sigmoid, "output 'y' is a sigmoid"),
    ('a\n\nc\n', [2, 6, 5, 3], tf.identity, "labels.txt, line 2: '' is no label"),
    ('', [2, 6, 5, 3], tf.identity, 'holds no labels'),
    ('a\nb\nc\n', [2, 6, 5, 4], tf.identity, 'none of normalised images of a known size: give'),
    ('a\nb\nc\n', [2, None, 5, 3], tf.identity, 'is none of normalised images of a known size')])
def test_what_is_no_image_classifier_is_named(tmp_path, text, shape, last, message):
    x = tf.placeholder(tf.float32, shape, name='x')
    last(tf.layers.dense(tf.reduce_mean(x, [1, 2]), 3), name='y')
    (tmp_path / 'labels.txt').write_text(text)
    with pytest.raises(ValueError, match=message):
        foreign.convert(write(tmp_path / 'net.pb', freeze('y')), str(tmp_path / 'a'),
                        Options(adapter=GraphClassifier(
                            read_labels(str(tmp_path / 'labels.txt')))))
    assert not (tmp_path / 'a').exists()


def test_samples_are_images_of_a_folder(tmp_path):
    y = classifier(softmax=True)
    path = write(tmp_path / 'net.pb', freeze(y.op.name))
    (tmp_path / 'labels.txt').write_text('no array')
    (tmp_path / 'photos').mkdir()
    pictures = np.random.RandomState(0).randint(0, 256, (2, 6, 5, 3), np.uint8)
    for name, picture in zip('ab', pictures):
        cv2.imwrite(str(tmp_path / 'photos' / (name + '.png')), picture[..., ::-1])
    for adapter in (GraphClassifier(['a', 'b', 'c']), None):
        foreign.convert(path, str(tmp_path / 'a'), Options(
            adapter=adapter, samples=str(tmp_path / 'photos'), overwrite=True))
        stored = numpy_helper.to_array(onnx.TensorProto.FromString(
            (tmp_path / 'a/test_data_set_0/input_0.pb').read_bytes()))
        assert stored.dtype == (np.uint8 if adapter else np.float32)
        np.testing.assert_array_equal(stored, pictures)
    with pytest.raises(ValueError, match='labels.txt cannot be read as .npy or .npz'):
        foreign.convert(path, str(tmp_path / 'b'), Options(samples=str(tmp_path / 'labels.txt')))
    (tmp_path / 'c.png').write_bytes(b'no picture')
    with pytest.raises(ValueError, match='c.png is no whole PNG or JPEG file'):
        foreign.convert(path, str(tmp_path / 'b'), Options(samples=str(tmp_path / 'c.png')))
