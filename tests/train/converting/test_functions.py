"""Functions in the library of a graph: calls, and the conditions and loops of control flow v2.

Answers that are compared are of one set of kernels, in another order at most: 1e-6 of their size.
"""
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.python.framework import function
from tensorflow.python.ops import functional_ops

from ash_tf1 import ops
from ash_tf1.converting import definitions, foreign, functions, graphs, lowering, onnx_model
from ash_tf1.converting.foreign import Options

X = np.random.RandomState(0).randn(5, 4).astype('f')
SIGNATURE = onnx_model.Signature((('x', 'x:0'),), (('y', 'y:0'),))


@pytest.fixture(autouse=True)
def control_flow_v2():
    before = tf.control_flow_v2_enabled()
    tf.enable_control_flow_v2()
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        yield
    if not before:
        tf.disable_control_flow_v2()


def graph_of(make, *arguments):
    """The GraphDef of what a function makes of x, as y."""
    x = tf.placeholder(tf.float32, (None, 4), name='x')
    tf.identity(make(x, *arguments), name='y')
    return tf.get_default_graph().as_graph_def()


def answers(graph_def, x=X):
    return onnx_model.run_frozen(graph_def, SIGNATURE, x)[0]


def ops_of(graph_def):
    return {node.op for node in definitions.all_nodes(graph_def)}


@function.Defun(tf.float32)
def halved(x):
    low, high = tf.split(x, 2, axis=1)
    return tf.concat([high, low], 1) * 0.5


@function.Defun(tf.float32)
def twice(x):
    return halved(halved(x) + 1.0), tf.reduce_sum(x, 1, keepdims=True)


def called_twice(x):
    y, total = twice(x)
    other, _ = twice(y)
    return y - other * total


@tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
def partitioned(x):
    return called_twice(x) + 1.0


def with_v1_loop(x):
    tf.disable_control_flow_v2()
    any_shape = [tf.TensorShape([]), tf.TensorShape(None)]  # what a Defun gives has no shape
    y = tf.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, halved(y) + x), [0, x], any_shape)[1]
    tf.enable_control_flow_v2()
    return y


CALLS = {'functions that call functions': called_twice, 'tf.function': partitioned,
         'in a loop of control flow v1': with_v1_loop}


@pytest.mark.parametrize('kind', CALLS)
def test_a_call_becomes_the_nodes_of_its_function(kind):
    graph_def = graph_of(CALLS[kind])
    assert graph_def.library.function
    flat, _, _ = graphs.cut(graph_def, outputs=['y'])
    assert not flat.library.function and not ops_of(flat) & set(functions.CALLS)
    np.testing.assert_allclose(answers(flat), answers(graph_def), rtol=1e-6)


def trained(x, rate):
    is_training = tf.placeholder(tf.bool, (), name='is_training')
    with tf.variable_scope('net', use_resource=True):
        y = tf.layers.batch_normalization(tf.layers.dense(x, 4)[:, None, None, :],
                                          training=is_training)[:, 0, 0, :]
    y = tf.cond(is_training, lambda: tf.nn.dropout(y, rate=rate), lambda: y)
    return tf.cond(tf.reduce_sum(y) > 0.0, lambda: y * 2.0, lambda: y)


@pytest.fixture
def saved(tmp_path):
    """Function: a MetaGraph of what a function makes of x, its path."""
    def save(make, *arguments):
        graph_of(make, *arguments)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            tf.train.Saver().save(session, str(tmp_path / 'model.ckpt'))
        return str(tmp_path / 'model.ckpt')
    return save


def test_a_condition_that_is_set_is_the_branch_that_is_taken(tmp_path, saved):
    path = saved(trained, 0.5)
    names = ('x:0', 'is_training:0', 'y:0')
    x, is_training, y = map(tf.get_default_graph().get_tensor_by_name, names)
    with tf.Session() as session:
        tf.train.Saver().restore(session, path)
        expected = [session.run(y, {x: value, is_training: False}) for value in (X, -X)]
    foreign.convert(path, str(tmp_path / 'a'), Options(
        outputs=['y'], values=[('is_training', 'false')], keep_graph=True))
    kept = tf.GraphDef.FromString((tmp_path / 'a' / 'frozen_graph.pb').read_bytes())
    assert [node.op for node in kept.node if 'If' in node.op] == ['StatelessIf']
    assert 'RandomUniform' not in ops_of(kept)
    for value, answer in zip((X, -X), expected):
        np.testing.assert_allclose(answers(kept, value), answer, rtol=1e-5, atol=1e-6)


def training(make):
    def with_condition(x):
        is_training = tf.placeholder(tf.bool, (), name='is_training')
        return tf.cond(is_training, lambda: make(x), lambda: x)
    return with_condition


def normalised(x):
    x = x[:, None, None, :]
    return tf.nn.fused_batch_norm(x, tf.ones([4]), tf.zeros([4]), is_training=True)[0][:, 0, 0, :]


@pytest.mark.parametrize('make, message', [
    (lambda x: tf.nn.dropout(x, rate=0.5), "op '.*/random_uniform/RandomUniform' draws random"),
    (normalised, "'.*FusedBatchNorm.*' normalises by the statistics of the batch")])
def test_what_trains_inside_a_function_is_refused(tmp_path, make, message):
    source = tmp_path / 'graph.pb'
    source.write_bytes(graph_of(training(make)).SerializeToString())
    with pytest.raises(ValueError, match=message + '.*--set is_training=false'):
        foreign.convert(str(source), str(tmp_path / 'a'), Options(
            inputs=[('x', None), ('is_training', None)], outputs=['y']))


def writing(x):
    done = tf.io.write_file('harm.txt', 'harm')
    with tf.control_dependencies([done]):
        return tf.identity(x)


HARM = {
    'WriteFile': writing,
    'PyFunc': lambda x: tf.py_func(lambda x: open('harm.txt', 'w') and x, [x], tf.float32),
}


@pytest.mark.parametrize('where', ['branch', 'body', 'call'])
@pytest.mark.parametrize('kind', HARM)
def test_harm_inside_a_function_is_refused_and_not_run(tmp_path, monkeypatch, kind, where):
    monkeypatch.chdir(tmp_path)

    def make(x):
        def harm(x):
            y = HARM[kind](x)
            y.set_shape(x.shape)
            return y
        if where == 'branch':
            return tf.cond(tf.reduce_sum(x) > 0.0, lambda: harm(x), lambda: x)
        if where == 'body':
            return tf.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, harm(y)), [0, x])[1]
        return tf.function(harm, input_signature=[tf.TensorSpec([None, 4], tf.float32)])(x)
    source = tmp_path / 'graph.pb'
    source.write_bytes(graph_of(make).SerializeToString())
    with pytest.raises(ValueError, match=r"op '\S+' is of the type (Eager)?{}".format(kind)):
        foreign.convert(str(source), 'artifact', Options(outputs=['y']))
    assert os.listdir(str(tmp_path)) == ['graph.pb']


def published(x, z_k, alpha):
    mean, variance = tf.nn.moments(x, [1], keep_dims=True)
    return x / (1.0 + tf.exp(-2.0 * alpha * (x - mean - z_k * tf.sqrt(variance))))


def with_ash(x, form):
    """ASH in a branch, in a loop, and in a branch in a loop; its parameters come from outside."""
    kernel = tf.constant(np.random.RandomState(1).randn(4, 4), tf.float32)
    z_k, alpha = (tf.get_variable(name, initializer=[value], use_resource=True)
                  for name, value in (('z_k', 0.3), ('alpha', 1.2)))

    def layer(x):
        if form == 'published':
            return published(x, z_k, alpha)
        return ops.apply_ash(x, z_k, alpha, implementation=form)
    y = tf.cond(tf.reduce_sum(x) > 0.0, lambda: layer(x), lambda: tf.identity(x))
    y = tf.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, layer(tf.matmul(y, kernel))),
                      [0, y])[1]
    return tf.while_loop(lambda i, _: i < 2, lambda i, y: (i + 1, tf.cond(
        tf.reduce_max(y) > 0.0, lambda: layer(y + 1.0), lambda: layer(2.0 * y))), [0, y])[1]


@pytest.mark.parametrize('form', ['native', 'recompute', 'plain', 'published'])
def test_ash_in_conditions_and_loops_becomes_portable(tmp_path, form):
    """Of a SavedModel, whose variables the functions read themselves."""
    y = graph_of(with_ash, form) and tf.get_default_graph().get_tensor_by_name('y:0')
    x = tf.get_default_graph().get_tensor_by_name('x:0')
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        expected = [session.run(y, {x: value}) for value in (X, -X)]
        tf.saved_model.simple_save(session, str(tmp_path / 'saved'), {'x': x}, {'y': y})
    foreign.convert(str(tmp_path / 'saved'), str(tmp_path / 'a'), Options(keep_graph=True))
    kept = tf.GraphDef.FromString((tmp_path / 'a' / 'frozen_graph.pb').read_bytes())
    inside = [node.op for one in kept.library.function for node in one.node_def]
    assert inside.count('Sigmoid') == 4
    assert not {'AshForward', 'IdentityN', 'Exp', 'ReadVariableOp'} & set(inside)
    for value, answer in zip((X, -X), expected):
        np.testing.assert_allclose(answers(kept, value), answer, rtol=1e-4, atol=1e-5)


def test_an_ash_of_unknown_rank_in_a_loop_is_named():
    def make(x):
        return tf.while_loop(
            lambda i, _: i < 3, lambda i, y: (i + 1, ops.apply_ash(
                tf.placeholder_with_default(y, [None, 4]), [0.5], [1.0])), [0, x],
            shape_invariants=[tf.TensorShape([]), tf.TensorShape(None)])[1]
    graph_def = graph_of(make)
    for node in definitions.all_nodes(graph_def):
        if node.op == 'PlaceholderWithDefault':  # which knew the rank
            node.op = 'Identity'
            node.attr['T'].type = tf.float32.as_datatype_enum
            del node.attr['dtype'], node.attr['shape']
    with pytest.raises(ValueError, match="ASH '.*' cannot be converted: the rank of its input"):
        lowering.lower(graphs.cut(graph_def, outputs=['y'])[0])


def test_names_inside_functions_are_none_of_those_outside():
    """A graph in ONNX sees what is around it: two tensors of one name would be one."""
    def make(x):
        y = tf.identity(x, 'Identity')
        return tf.cond(tf.reduce_sum(x) > 0.0, lambda: tf.identity(y * 2.0, 'Identity'), lambda: y)
    part, _, _ = graphs.cut(graph_of(make), outputs=['y'])
    names = [node.name for node in definitions.all_nodes(part)]
    assert len(set(names)) == len(names)
    arguments = {argument.name for one in part.library.function
                 for argument in one.signature.input_arg}
    assert arguments and not arguments & set(names)
    for x in (X, -X):
        np.testing.assert_allclose(answers(part, x), x * (2.0 if x.sum() > 0 else 1.0))


def calling(*bodies):
    """A graph whose y calls the first of functions f0, f1, ...: a function of calls for each."""
    graph_def = tf.GraphDef()
    graph_def.node.add(name='x', op='Placeholder').attr['dtype'].type = 1
    graph_def.node.add(name='y', op='f0', input=['x'])
    for number, called in enumerate(bodies):
        one = graph_def.library.function.add()
        one.signature.name = 'f%d' % number
        one.signature.input_arg.add(name='a', type=1)
        one.signature.output_arg.add(name='b', type=1)
        for place, name in enumerate(called):
            one.node_def.add(name='n%d' % place, op=name,
                             input=['n%d:b:0' % (place - 1) if place else 'a'])
        one.ret['b'] = 'n{}:{}:0'.format(len(called) - 1, 'activations' if called[-1] == 'Relu'
                                         else 'b')
    return graph_def


def test_calls_that_multiply_are_refused(monkeypatch):
    monkeypatch.setattr(functions, 'MAX_NODES', 1000)
    graph_def = calling(*[['f%d' % (number + 1)] * 4 for number in range(20)], ['Relu'])
    with pytest.raises(ValueError, match='so often that it has more than 1000 nodes'):
        functions.flatten(graph_def)


def change_inputs(graph_def):
    graph_def.node[1].input.append('x')


def change_name(graph_def):
    graph_def.library.function[0].node_def[0].input[0] = 'c'


def change_output(graph_def):
    graph_def.library.function[0].ret['b'] = 'n0:activations:7z'


def change_function(graph_def):
    graph_def.node[1].op = 'PartitionedCall'
    graph_def.node[1].attr['f'].func.name = 'g'


def change_op(graph_def):
    graph_def.library.function[0].node_def[0].op = 'NoSuchOp'


def call_itself(graph_def):
    graph_def.library.function[0].ret['b'] = 'a'
    graph_def.node[1].input[0] = 'y'


@pytest.mark.parametrize('damage, message', [
    (change_inputs, "'y' has 2 inputs, the function 'f0' takes 1"),
    (change_name, "the function 'f0' has no tensor 'c'"),
    (change_output, "the function 'f0' has no tensor 'n0:activations:7z'"),
    (change_function, "it has no function 'g'"),
    (change_op, "op 'n0' is of the type NoSuchOp"),
    (call_itself, "'y' depends on itself")])
def test_damaged_functions_are_named(damage, message):
    graph_def = calling(['Relu'])
    functions.flatten(graph_def)
    damage(graph_def)
    with pytest.raises(ValueError, match=message):
        functions.flatten(graph_def)


def test_a_loop_that_counts_otherwise_is_refused():
    """tf2onnx takes its first values for a counter and its end."""
    @function.Defun(tf.float32, tf.int32)
    def goes_on(x, i):
        return i < 3

    @function.Defun(tf.float32, tf.int32)
    def body(x, i):
        return x * 2.0, i + 1
    graph_def = graph_of(lambda x: functional_ops.While([x, 0], goes_on, body)[0])
    with pytest.raises(ValueError, match="the loop 'While' has no counter of its own"):
        graphs.cut(graph_def, outputs=['y'])
