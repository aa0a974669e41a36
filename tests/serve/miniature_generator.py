"""A generator of small images, and its artifact, for tests."""

import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEIGHT, WIDTH, SIZE = 4, 6, 5
UNIFORM = {'distribution': 'uniform', 'low': -1.0, 'high': 1.0}
NORMAL = {'distribution': 'normal', 'mean': 0.0, 'stddev': 1.0}
WEIGHTS = np.random.RandomState(0).normal(size=[SIZE, HEIGHT * WIDTH * 3]).astype(np.float32)


def oracle(z):
    """The images in float64 before they are rounded to a grey level: 127.5 (tanh(z W) + 1)."""
    levels = 127.5 * (np.tanh(z.astype(np.float64) @ WEIGHTS) + 1)
    return levels.reshape(-1, HEIGHT, WIDTH, 3)


def build_model(latent=UNIFORM, z_shape=('N', SIZE), z_type=TensorProto.FLOAT,
                images_shape=('N', HEIGHT, WIDTH, 3), images_type=TensorProto.UINT8,
                names=('z', 'images'), more=()):
    """The ModelProto; the arguments are what tests get wrong on purpose."""
    constants = {'weights': WEIGHTS, 'half': np.float32(127.5), 'one': np.float32(1),
                 'shape': np.array([-1, HEIGHT, WIDTH, 3])}
    graph = helper.make_graph(
        [helper.make_node('Cast', [names[0]], ['float_z'], to=TensorProto.FLOAT),
         helper.make_node('MatMul', ['float_z', 'weights'], ['sums']),
         helper.make_node('Tanh', ['sums'], ['tanh']),
         helper.make_node('Add', ['tanh', 'one'], ['positive']),
         helper.make_node('Mul', ['positive', 'half'], ['levels']),
         helper.make_node('Round', ['levels'], ['rounded']),
         helper.make_node('Reshape', ['rounded', 'shape'], ['pixels']),
         helper.make_node('Cast', ['pixels'], [names[1]], to=images_type)],
        'generator', [helper.make_tensor_value_info(names[0], z_type, z_shape)],
        [helper.make_tensor_value_info(names[1], images_type, images_shape)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    helper.set_model_props(model, {
        'kind': 'generator', 'net': 'tanh', 'versions': '{}',
        'latent': latent if isinstance(latent, str) else json.dumps(latent),
        'tolerance': json.dumps({'relative': 0, 'integer_levels': 1}), **dict(more)})
    return model


def write_artifact(folder, model=None, shift=0, **arguments):
    """Writes the artifact of a model, or of `build_model(**arguments)`; returns its folder.

    shift: grey levels that the recorded images are away from what the model answers.
    """
    z = np.random.RandomState(1).uniform(-1, 1, [3, SIZE]).astype(np.float32)
    images = (np.rint(oracle(z)) + shift).clip(0, 255).astype(np.uint8)
    (folder / 'test_data_set_0').mkdir(parents=True)
    onnx.save(model or build_model(**arguments), folder / 'model.onnx')
    for file, name, array in (('input_0.pb', 'z', z), ('output_0.pb', 'images', images)):
        tensor = numpy_helper.from_array(array, name)
        (folder / 'test_data_set_0' / file).write_bytes(tensor.SerializeToString())
    return folder
