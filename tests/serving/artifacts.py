"""Miniature artifacts of each kind, which tests of the endpoint write themselves."""

import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEIGHT, WIDTH = 6, 8
LABELS = ['red', 'green', 'blue']


def _save(folder, nodes, inputs, outputs, metadata, constants=None):
    graph = helper.make_graph(nodes, folder.name, inputs, outputs,
                              [numpy_helper.from_array(value, name)
                               for name, value in (constants or {}).items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    helper.set_model_props(model, {'net': folder.name, 'versions': '{}', **{
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in metadata.items()}})
    folder.mkdir(parents=True)
    onnx.save(model, folder / 'model.onnx')
    return folder


def value(name, dtype, shape):
    """An `onnx.ValueInfoProto`."""
    return helper.make_tensor_value_info(name, dtype, shape)


def classifier(folder, slow=0, **metadata):
    """Mean colour / 32 as logits; `slow` multiplies matrices of 1024 x 1024 as often."""
    nodes = [helper.make_node('Cast', ['images'], ['pixels'], to=TensorProto.FLOAT),
             helper.make_node('ReduceMean', ['pixels'], ['mean'], axes=[1, 2], keepdims=0),
             helper.make_node('Mul', ['mean', 'scale'], ['scaled'])]
    constants = {'scale': np.float32(1 / 32)}
    last = 'scaled'
    if slow:
        constants.update(ones=np.full([1024, 1024], 1 / 1024, np.float32),
                         zero=np.zeros([1], np.float32), axes=np.array([0, 1], np.int64))
        nodes += [helper.make_node('ReduceMean', ['scaled'], ['whole'], keepdims=1),
                  helper.make_node('Add', ['ones', 'whole'], ['power0'])]
        nodes += [helper.make_node('MatMul', [f'power{i}', 'ones'], [f'power{i + 1}'])
                  for i in range(slow)]
        nodes += [helper.make_node('ReduceMean', [f'power{slow}'], ['end'], keepdims=1),
                  helper.make_node('Mul', ['end', 'zero'], ['nothing']),
                  helper.make_node('Add', ['scaled', 'nothing'], ['late'])]
        last = 'late'
    nodes += [helper.make_node('Identity', [last], ['logits']),
              helper.make_node('Softmax', ['logits'], ['probabilities'], axis=1)]
    return _save(folder, nodes, [value('images', TensorProto.UINT8, ['N', HEIGHT, WIDTH, 3])],
                 [value(name, TensorProto.FLOAT, ['N', 3]) for name in ('logits', 'probabilities')],
                 {'labels': LABELS, 'input_shape': [HEIGHT, WIDTH, 3], **metadata}, constants)


def graph(folder):
    """A TensorFlow graph of every dtype that differs on the wire: identities, and one sum."""
    kinds = {'text': TensorProto.STRING, 'flag': TensorProto.BOOL, 'half': TensorProto.FLOAT16,
             'real': TensorProto.FLOAT, 'small': TensorProto.INT8, 'long': TensorProto.INT64,
             'unsigned': TensorProto.UINT64, 'double': TensorProto.DOUBLE}
    names = {TensorProto.STRING: 'str', TensorProto.BOOL: 'bool', TensorProto.FLOAT16: 'float16',
             TensorProto.FLOAT: 'float32', TensorProto.INT8: 'int8', TensorProto.INT64: 'int64',
             TensorProto.UINT64: 'uint64', TensorProto.DOUBLE: 'float64'}
    shape = [None, 2]
    return _save(folder, [helper.make_node('Identity', [name], [f'{name}_out']) for name in kinds],
                 [value(name, kind, shape) for name, kind in kinds.items()],
                 [value(f'{name}_out', kind, shape) for name, kind in kinds.items()],
                 {'kind': 'tensors', 'inputs': [
                     {'name': name, 'dtype': names[kind], 'shape': shape, 'example': [1, 2]}
                     for name, kind in kinds.items()]})


def keras_model(folder):
    """Two inputs [N, 2] and [N, 2], and their sum."""
    return _save(folder, [helper.make_node('Add', ['a', 'b'], ['sum'])],
                 [value(name, TensorProto.FLOAT, ['N', 2]) for name in 'ab'],
                 [value('sum', TensorProto.FLOAT, ['N', 2])],
                 {'kind': 'keras_model', 'input_shapes': {'a': [2], 'b': [2]}})


def generator(folder):
    """Images [N, 4, 5, 3] whose every pixel is 100 times the first element of z [N, 2]."""
    nodes = [helper.make_node('Slice', ['z', 'begin', 'end', 'axis'], ['first']),
             helper.make_node('Mul', ['first', 'hundred'], ['scaled']),
             helper.make_node('Reshape', ['scaled', 'shape'], ['pixel']),
             helper.make_node('Tile', ['pixel', 'repeats'], ['tiled']),
             helper.make_node('Cast', ['tiled'], ['images'], to=TensorProto.UINT8)]
    constants = {'begin': np.array([0]), 'end': np.array([1]), 'axis': np.array([1]),
                 'hundred': np.float32(100), 'shape': np.array([-1, 1, 1, 1]),
                 'repeats': np.array([1, 4, 5, 3])}
    return _save(folder, nodes, [value('z', TensorProto.FLOAT, ['N', 2])],
                 [value('images', TensorProto.UINT8, ['N', 4, 5, 3])],
                 {'kind': 'generator',
                  'latent': {'distribution': 'normal', 'mean': 0, 'stddev': 1}}, constants)


def endless(folder):
    """A graph that loops for ever where its input is true."""
    body = helper.make_graph(
        [helper.make_node('Identity', ['go'], ['go_on']),
         helper.make_node('Identity', ['x'], ['x_on'])], 'body',
        [value('i', TensorProto.INT64, []), value('go', TensorProto.BOOL, []),
         value('x', TensorProto.FLOAT, [])],
        [value('go_on', TensorProto.BOOL, []), value('x_on', TensorProto.FLOAT, [])])
    loop = helper.make_node('Loop', ['', 'forever', 'start'], ['end'], body=body)
    return _save(folder, [loop], [value('forever', TensorProto.BOOL, []),
                                  value('start', TensorProto.FLOAT, [])],
                 [value('end', TensorProto.FLOAT, [])],
                 {'kind': 'tensors', 'inputs': [
                     {'name': 'forever', 'dtype': 'bool', 'shape': [], 'example': []},
                     {'name': 'start', 'dtype': 'float32', 'shape': [], 'example': []}]})
