"""Graphs that are damaged or hostile: what is wrong is named, and answers are not mixed up."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1 import ops
from ash_tf1.converting import foreign, freezing, functions, graphs, lowering, onnx_model, samples
from ash_tf1.converting.foreign import Options


@pytest.fixture(autouse=True)
def new_graph():
    with tf.Graph().as_default():
        yield


def graph_of(build):
    tf.identity(build(tf.placeholder(tf.float32, [2, 3], name='x')), name='y')
    return tf.get_default_graph().as_graph_def()


def node(graph_def, op):
    return next(node for node in graph_def.node if node.op == op)


def mislabelled(last):
    """Something else than ASH, marked as a recomputed ASH, and zero everywhere."""
    def build(x):
        y = ops.apply_ash(x, [0.5], [1.0], implementation='recompute')
        return last(tf.reshape(y, [2, 3]))
    graph_def = graph_of(build)
    layer = node(graph_def, 'IdentityN')
    with tf.Graph().as_default() as zeros:
        tf.zeros([2, 3], name='nothing')
        graph_def.node.extend(zeros.as_graph_def().node)
    layer.input[0] = 'nothing'
    return graph_def


@pytest.mark.parametrize('last, message', [
    (tf.identity, 'give y with a relative difference of inf'),
    (lambda y: tf.cast(100.0 * y, tf.int32), 'give other values of y')])
def test_zeros_and_integers_are_compared_too(tmp_path, last, message):
    path = tmp_path / 'graph.pb'
    path.write_bytes(mislabelled(last).SerializeToString())
    with pytest.raises(RuntimeError, match='the portable ops ' + message):
        foreign.convert(str(path), str(tmp_path / 'a'), Options(outputs=['y']))


@pytest.mark.parametrize('leak', [b'nan', b'-1', b'1', b'\xff\xfe', b'', b'x'])
def test_a_leak_that_is_none_is_named(leak):
    graph_def = graph_of(lambda x: ops.apply_ash(x, [0.5], [1.0], implementation='native'))
    node(graph_def, 'AshForward').attr['leak'].s = leak
    with pytest.raises(ValueError, match='has the leak .*, which is no number in'):
        lowering.lower(graph_def)


def test_to_look_for_ash_changes_nothing():
    graph_def = graph_of(lambda x: tf.identity_n([x])[0])
    node(graph_def, 'Identity').op = 'AshForward'
    before = graph_def.SerializeToString(deterministic=True)
    assert lowering.find_ash(graph_def.node[:1]) == []
    assert lowering.find_ash([one for one in graph_def.node if one.op == 'IdentityN']) == []
    assert graph_def.SerializeToString(deterministic=True) == before


def change_dtype(graph_def):
    node(graph_def, 'Const').attr['value'].tensor.dtype = 0



@pytest.mark.parametrize('damage, message', [
    (change_dtype, "the value of 'add/y' cannot be read"),
    (lambda graph_def: node(graph_def, 'AddV2').input.pop(),
     "'add' has 1 inputs, .* AddV2 takes 2"),
    (lambda graph_def: graph_def.node.remove(node(graph_def, 'Const')), "no node 'add/y'"),
    (lambda graph_def: node(graph_def, 'Placeholder').attr['shape'].shape.dim.add(size=-9),
     "placeholder 'x' has a wrong dtype or shape"),
    (lambda graph_def: node(graph_def, 'Placeholder').attr.pop('dtype'),
     "placeholder 'x' has a wrong dtype or shape")])
def test_what_is_damaged_is_named(damage, message):
    graph_def = graph_of(lambda x: x + 1.0)
    damage(graph_def)
    with pytest.raises(ValueError, match='the graph is damaged: .*' + message):
        graphs.cut(graph_def, outputs=['y'])


@pytest.mark.parametrize('arguments, message', [
    (dict(inputs=[('x', [-2, 3])]), "input 'x:0' cannot have a size below 0: -2,3"),
    (dict(outputs=['x']), 'x:0 is an input itself')])
def test_arguments_that_make_no_sense_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        graphs.cut(graph_of(tf.nn.relu), **arguments)


def test_a_setting_of_a_huge_shape_takes_no_memory():
    graph_def = graph_of(tf.nn.relu)
    node(graph_def, 'Placeholder').attr['shape'].shape.dim[0].size = 2 ** 40
    with pytest.raises(ValueError, match='x has 3298534883328 elements, too many to be set'):
        graphs.cut(graph_def, values={'x': '1'})


@pytest.mark.parametrize('shape', [(0, 3), (2 ** 20, 2 ** 20)])
def test_inputs_that_test_nothing_or_fill_the_memory_are_refused(tmp_path, shape):
    tensor = graphs.Tensor('x:0', tf.float32, shape)
    with pytest.raises(ValueError, match='input x .* cannot be made up, with'):
        samples.make(['x'], [tensor], 0)
    np.save(str(tmp_path / 'x.npy'), np.zeros([0, 3], 'f'))
    with pytest.raises(ValueError, match='tests nothing'):
        samples.read(str(tmp_path / 'x.npy'), ['x'], [graphs.Tensor('x:0', tf.float32, (None, 3))])


@pytest.mark.parametrize('calls', [{'f': 'f'}, {'f': 'g', 'g': 'f'},
                                   {'f': 'f0', **{'f%d' % i: 'f%d' % (i + 1) for i in range(40)}}])
def test_calls_without_an_end_are_refused(calls):
    graph_def = tf.GraphDef()
    graph_def.node.add(name='y', op='f')
    for name, called in calls.items():
        function = graph_def.library.function.add()
        function.signature.name = name
        function.node_def.add(name='body', op='StatelessIf').attr['then_branch'].func.name = called
    with pytest.raises(ValueError, match="the function '.*' calls itself, or"):
        functions.with_called(graph_def)
    del graph_def.library.function[0].node_def[:]
    kept = functions.with_called(graph_def).library.function
    assert [function.signature.name for function in kept] == ['f']


def test_a_merge_keeps_those_of_its_inputs_that_may_run():
    """Two branches of an unknown condition, and one of a condition that is never true."""
    def build(x):
        flag = tf.reduce_sum(x) > 0.0
        no, yes = tf.raw_ops.Switch(data=x, pred=flag)
        _, never = tf.raw_ops.Switch(data=100.0 * x, pred=tf.constant(False))
        return tf.raw_ops.Merge(inputs=[never, 2.0 * no, 3.0 * yes])[0]
    part, _, _ = graphs.cut(graph_of(build), outputs=['y'])
    assert list(node(part, 'Merge').input) == ['mul_1', 'mul_2']
    signature = onnx_model.Signature((('x', 'x:0'),), (('y', 'y:0'),))
    for sign, factor in ((1.0, 3.0), (-1.0, 2.0)):
        x = np.full([2, 3], sign)
        np.testing.assert_array_equal(onnx_model.run_frozen(part, signature, x)[0], factor * x)


@pytest.mark.parametrize('name', ['save/RestoreV2:x', 'save/loop'])
def test_a_restored_value_that_is_none(name):
    graph_def = tf.GraphDef()
    graph_def.node.add(name='v', op='VariableV2')
    graph_def.node.add(name='save/RestoreV2', op='RestoreV2', input=['a', 'b', 'c'])
    graph_def.node.add(name='save/loop', op='Identity', input=['save/loop'])
    graph_def.node.add(name='save/Assign', op='Assign', input=['v', name])
    if 'loop' not in name:
        assert freezing.restored_variables(graph_def) == {}
        return
    with pytest.raises(ValueError, match="'save/loop' depends on itself"):
        freezing.restored_variables(graph_def)
