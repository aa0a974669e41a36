"""Which axes of inputs and outputs have one name: those that must have one size, and no others."""
import pytest
from onnx import TensorProto, helper

from ash_tf1.converting import axes


def named(nodes, inputs, outputs, one_batch=False, constants=()):
    """The axes' names and sizes after `name_axes`, of shapes in which -1 is open."""
    def values(shapes):
        return [helper.make_tensor_value_info(
            name, TensorProto.FLOAT,
            shape and ['unk__{}{}'.format(name, i) if size < 0 else size
                       for i, size in enumerate(shape)]) for name, shape in shapes.items()]
    model = helper.make_model(
        helper.make_graph(nodes, 'graph', values(inputs), values(outputs), constants),
        opset_imports=[helper.make_opsetid('', 15)])
    axes.name_axes(model, one_batch)
    return {value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
            for value in list(model.graph.input) + list(model.graph.output)}


@pytest.mark.parametrize('op, attributes, b, y', [
    # What is added, or joined along another axis, has as many examples.
    ('Add', {}, ['N', 2], ['N', 2]),
    ('Concat', {'axis': 1}, ['N', 2], ['N', 4]),
    # What is joined along the first axis need not.
    ('Concat', {'axis': 0}, ['b_dim_0', 2], ['y_dim_0', 2])])
def test_several_inputs(op, attributes, b, y):
    node = helper.make_node(op, ['a', 'b'], ['y'], **attributes)
    assert named([node], {'a': [-1, 2], 'b': [-1, 2]}, {'y': [-1, -1]}) == {
        'a': ['N', 2], 'b': b, 'y': y}


@pytest.mark.parametrize('one_batch, batch', [(False, 'b_dim_0'), (True, 'N')])
def test_inputs_that_never_meet(one_batch, batch):
    nodes = [helper.make_node('Relu', [name], ['y_' + name]) for name in 'ab']
    assert named(nodes, {'a': [-1, 2], 'b': [-1, 3]}, {'y_a': [-1, 2], 'y_b': [-1, 3]},
                 one_batch) == {'a': ['N', 2], 'b': [batch, 3], 'y_a': ['N', 2], 'y_b': [batch, 3]}


def test_other_open_axes():
    nodes = [helper.make_node('Relu', ['image'], ['same']),
             helper.make_node('MaxPool', ['image'], ['half'], kernel_shape=[2, 2], strides=[2, 2]),
             helper.make_node('GlobalMaxPool', ['image'], ['global'])]
    height, width = 'image_dim_2', 'image_dim_3'
    assert named(nodes, {'image': [-1, 3, -1, -1]},
                 {'same': [-1] * 4, 'half': [-1] * 4, 'global': [-1] * 4}) == {
        'image': ['N', 3, height, width], 'same': ['N', 3, height, width],
        'half': ['N', 3, 'half_dim_2', 'half_dim_3'], 'global': ['N', 3, 1, 1]}


def test_twice_the_batch_is_not_the_batch():
    shape = helper.make_tensor('shape', TensorProto.INT64, [2], [-1, 3])
    nodes = [helper.make_node('Reshape', ['a', 'shape'], ['y']),
             helper.make_node('Relu', ['y'], ['z'])]
    assert named(nodes, {'a': [-1, 6]}, {'y': [-1, 3], 'z': [-1, 3]}, constants=[shape]) == {
        'a': ['N', 6], 'y': ['y_dim_0', 3], 'z': ['z_dim_0', 3]}


def test_what_has_no_open_axis_stays():
    node = helper.make_node('Relu', ['a'], ['y'])
    assert named([node], {'a': [2, 3]}, {'y': [2, 3]}) == {'a': [2, 3], 'y': [2, 3]}
    assert named([node], {'a': []}, {'y': None}) == {'a': [], 'y': []}
