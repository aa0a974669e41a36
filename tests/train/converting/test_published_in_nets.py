"""ASH as owners wrote it themselves, in their nets: frozen, optimised, in conditions and loops."""
import numpy as np
import onnx
import pytest
import tensorflow.compat.v1 as tf
from onnx import numpy_helper

from ash_tf1 import ops
from ash_tf1.converting import foreign, lowering, onnx_model

Z_K, ALPHA = 0.3, 0.7


@pytest.fixture(autouse=True)
def new_graph():
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        yield


def exponential(x, z_k, alpha):
    mean, variance = tf.nn.moments(x, list(range(1, x.shape.ndims)), keep_dims=True)
    return x / (1.0 + tf.exp(-2.0 * alpha * (x - mean - z_k * tf.sqrt(variance))))


def sigmoid(x, z_k, alpha):
    mean = tf.reduce_mean(x, list(range(1, x.shape.ndims)), keepdims=True)
    sigma = tf.math.reduce_std(x, list(range(1, x.shape.ndims)), keepdims=True)
    return x * tf.sigmoid(2.0 * alpha * (x - (mean + z_k * sigma)))


def owners_ash(x):
    """A layer of an owner's code, with variables of its scope."""
    z_k = tf.get_variable('z_k', (1,), initializer=tf.constant_initializer(Z_K))
    alpha = tf.get_variable('alpha', (1,), initializer=tf.constant_initializer(ALPHA))
    return exponential(x, z_k, alpha)


def owners_net():
    """Frozen: a convolution and a dense layer with ASH after BatchNorm, and logits without."""
    x = tf.placeholder(tf.float32, (None, 6, 5, 3), name='x')
    for name, layer in (('conv', lambda x: tf.layers.conv2d(x, 4, 3, padding='same')),
                        ('dense', lambda x: tf.layers.dense(tf.layers.flatten(x), 8))):
        with tf.variable_scope(name):
            x = owners_ash(tf.layers.batch_normalization(layer(x)))
    tf.layers.dense(x, 3, name='logits')
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        return tf.graph_util.convert_variables_to_constants(
            session, session.graph.as_graph_def(), ['logits/BiasAdd'])


def without_identities(graph_def):
    return tf.graph_util.remove_training_nodes(graph_def)


def folded(graph_def):
    """With the constants computed beforehand, as TensorFlow's optimisers leave a graph."""
    from tensorflow.tools.graph_transforms import TransformGraph
    return TransformGraph(graph_def, ['x'], ['logits/BiasAdd'], [
        'remove_nodes(op=Identity)', 'fold_constants(ignore_errors=true)', 'fold_batch_norms'])


@pytest.mark.parametrize('treat', [lambda graph_def: graph_def, without_identities, folded],
                         ids=['frozen', 'without identities', 'folded'])
def test_an_owners_net_becomes_an_artifact(tmp_path, treat):
    graph_def = treat(owners_net())
    layers = lowering.find_layers(graph_def)
    np.testing.assert_allclose([(layer.z_k, layer.alpha) for layer in layers],
                               [(Z_K, ALPHA)] * 2, rtol=1e-6)
    (tmp_path / 'net.pb').write_bytes(graph_def.SerializeToString())
    foreign.convert(str(tmp_path / 'net.pb'), str(tmp_path / 'artifact'))
    model = onnx.load(str(tmp_path / 'artifact/model.onnx'))
    ops = [node.op_type for node in model.graph.node]
    assert [ops.count(op) for op in ('Sigmoid', 'ReduceMean', 'Sqrt', 'Exp', 'Reciprocal')] == [
        2, 4, 2, 0, 0]
    # The recorded answer is that of the owner's own graph.
    x, answer = (numpy_helper.to_array(onnx.TensorProto.FromString(
        (tmp_path / 'artifact/test_data_set_0' / name).read_bytes()))
        for name in ('input_0.pb', 'output_0.pb'))
    signature = onnx_model.Signature((('x', 'x:0'),), (('y', 'logits/BiasAdd:0'),))
    np.testing.assert_array_equal(onnx_model.run_frozen(graph_def, signature, x)[0], answer)


def looped(ash):
    def body(i, x):
        x = tf.nn.conv2d(x, tf.constant(np.eye(3), tf.float32, (1, 1, 3, 3)), 1, 'SAME')
        return i + 1, ash(x)
    return lambda x: tf.while_loop(lambda i, x: i < 2, body, [0, x])[1]


def in_a_condition(ash):
    return lambda x: tf.cond(tf.reduce_sum(x) > 0, lambda: ash(x), lambda: ash(x) + 1.0)


FORMS = {'exponential': exponential, 'sigmoid': sigmoid}
FORMS.update({form: lambda *inputs, form=form: ops.apply_ash(*inputs, implementation=form)
              for form in ('native', 'recompute')})


@pytest.mark.parametrize('place, count', [(looped, 1), (in_a_condition, 2)])
@pytest.mark.parametrize('form', FORMS)
def test_in_control_flow(place, count, form):
    trained = [tf.constant([value], name=name) for name, value in (('z_k', Z_K), ('alpha', ALPHA))]
    x = tf.placeholder(tf.float32, (None, 6, 5, 3), name='x')
    tf.identity(place(lambda x: FORMS[form](x, *trained))(x), name='out')
    graph_def = tf.get_default_graph().as_graph_def()
    assert [layer.form for layer in lowering.find_layers(graph_def)] == [form] * count
    lowered = lowering.lower(graph_def)
    assert not lowering.find_ash(lowered.node)
    signature = onnx_model.Signature((('x', 'x:0'),), (('out', 'out:0'),))
    x = np.random.RandomState(0).standard_normal((4, 6, 5, 3))
    for sign in (1.0, -1.0):  # for both branches
        expected, found = (onnx_model.run_frozen(graph, signature, sign * np.abs(x))[0]
                           for graph in (graph_def, lowered))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
