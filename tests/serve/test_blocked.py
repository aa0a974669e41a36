"""The blocked layout of the CPU provider goes through the fused op, and no padding gets in."""
from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import ash_cases
from ash_onnx import blocked, fusing
from ash_onnx.session import open_session


def build(channels, activation='Ash', size=8):
    """Two residual units: Conv, ASH, Conv, and a sum of both, of which ASH is taken too."""
    rng = np.random.RandomState(0)
    constants = {'z_k': np.float32([0.5]), 'alpha': np.float32([1.25]),
                 'first': rng.randn(channels, 3, 3, 3).astype('float32') / 5,
                 'second': rng.randn(channels, channels, 3, 3).astype('float32') / 12}

    def conv(x, weights, y):
        return helper.make_node('Conv', [x, weights], [y], kernel_shape=[3, 3], pads=[1] * 4)

    def ash(x, y):
        if activation == 'Relu':
            return helper.make_node('Relu', [x], [y])
        return helper.make_node(fusing.OP, [x, 'z_k', 'alpha'], [y], name=y, leak='0',
                                domain=fusing.DOMAIN)
    nodes = [conv('x', 'first', 'a'), ash('a', 'b'), conv('b', 'second', 'c'),
             helper.make_node('Add', ['b', 'c'], ['d']), ash('d', 'e'), conv('e', 'second', 'f'),
             helper.make_node('Sigmoid', ['f'], ['g']), helper.make_node('Mul', ['f', 'g'], ['y'])]
    graph = helper.make_graph(
        nodes, 'units', [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['N', 3, size, 5])],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, ['N', channels, size, 5])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()])
    return helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid('', 15), helper.make_opsetid(fusing.DOMAIN, 1)])


def run(data, library, x, optimize):
    session = open_session(data, 'cpu', {}, library=library, optimize=optimize)
    return session.run(None, {'x': x})[0]


def knows_the_stand_in():
    """Whether this onnxruntime keeps blocks through it, as 1.32 does and 1.23 does not."""
    return tuple(map(int, onnxruntime.__version__.split('.')[:2])) >= (1, 32)


@pytest.mark.parametrize('channels', [16, 32, 48])
def test_whole_blocks_stay_and_give_the_same(library, channels):
    x = np.random.RandomState(1).randn(3, 3, 8, 5).astype('float32')
    expected = run(build(channels).SerializeToString(), library, x, True)
    optimized = blocked.optimize(build(channels), library)
    answer = run(optimized, library, x, False)
    assert np.abs(answer - expected).max() <= 2e-6 * np.abs(expected).max()
    ops = Counter(node.op_type for node in onnx.ModelProto.FromString(optimized).graph.node)
    assert ops['Ash'] == 2
    if knows_the_stand_in():
        assert ops['ReorderOutput'] == 1 and not ops['ReorderInput']


@pytest.mark.parametrize('channels', [8, 20, 24, 36])
def test_what_a_block_pads_would_be_in_the_statistics(library, channels):
    assert blocked.optimize(build(channels), library) is None


def test_the_padding_does_harm_where_it_is_let_in(library, monkeypatch):
    """So that the test above means something."""
    if not knows_the_stand_in():
        pytest.skip('this onnxruntime has no blocks there')
    x = np.random.RandomState(1).randn(3, 3, 8, 5).astype('float32')
    expected = run(build(20).SerializeToString(), library, x, True)
    monkeypatch.setattr(blocked, 'BLOCK', 1)
    answer = run(blocked.optimize(build(20), library), library, x, False)
    assert np.abs(answer - expected).max() > 1e-3 * np.abs(expected).max()


def test_nothing_is_gained_without_feature_maps(library):
    assert blocked.optimize(build(16, 'Relu'), library) is None
    flat = build(16)
    for value in (flat.graph.input[0], flat.graph.output[0]):
        value.type.tensor_type.shape.dim[1].dim_param = 'C'
    del flat.graph.node[:]
    flat.graph.node.append(helper.make_node(fusing.OP, ['x', 'z_k', 'alpha'], ['y'], leak='0',
                                            domain=fusing.DOMAIN))
    assert blocked.optimize(flat, library) is None


def test_a_model_that_onnxruntime_refuses_is_left_to_its_session(library):
    model = build(16)
    model.graph.node[0].attribute[0].ints[:] = [3, 3, 3]
    assert blocked.optimize(model, library) is None


def test_a_stand_in_that_is_the_models_own_stays(library):
    """onnxruntime makes one of the Swish in the end, whose alpha is 1."""
    optimized = onnx.ModelProto.FromString(blocked.optimize(build(16), library))
    alphas = [helper.get_node_attr_value(node, 'alpha') for node in optimized.graph.node
              if node.op_type == blocked.STAND_IN]
    assert alphas == [1.0]


def test_the_op_answers_as_the_formula_says_in_blocks(library):
    """Against the oracle, through convolutions that only copy."""
    eye = np.zeros((16, 16, 1, 1), 'float32')
    eye[range(16), range(16)] = 1
    model = build(16)
    del model.graph.node[:]
    model.graph.initializer.append(numpy_helper.from_array(eye, 'eye'))
    model.graph.node.extend([
        helper.make_node('Conv', ['x', 'eye'], ['a'], kernel_shape=[1, 1]),
        helper.make_node(fusing.OP, ['a', 'z_k', 'alpha'], ['b'], leak='0', domain=fusing.DOMAIN),
        helper.make_node('Conv', ['b', 'eye'], ['y'], kernel_shape=[1, 1])])
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 16
    x = np.random.RandomState(2).randn(4, 16, 8, 5).astype('float32')
    answer = run(blocked.optimize(model, library), library, x, False)
    assert np.all(np.abs(answer - ash_cases.ash(x, 0.5, 1.25)) <= 2e-6 * np.abs(x))
