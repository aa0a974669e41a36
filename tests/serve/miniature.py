"""A miniature image classifier as an artifact, its oracle, and PNG files made by hand."""

import json
import struct
import zlib

import numpy as np
from onnx import TensorProto, helper, numpy_helper

HEIGHT, WIDTH = 6, 8
LABELS = ['red', 'green', 'blue']
METADATA = {
    'labels': json.dumps(LABELS),
    'net': 'mean_colour',
    'activation': 'none',
    'dataset': 'colours',
    'input_shape': json.dumps([HEIGHT, WIDTH, 3]),
    'checkpoint_sha256': '0' * 64,
    'versions': json.dumps({'onnx': '1.14.1'}),
}


def oracle(images, classes=3):
    """The miniature model in float64 NumPy: mean of each channel / 32, cyclic over the classes."""
    mean = images.astype(np.float64).mean(axis=(1, 2)) / 32
    logits = np.stack([mean[:, i % 3] - i // 3 for i in range(classes)], axis=1)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return logits, powers / powers.sum(axis=1, keepdims=True)


def build_model(metadata=None, classes=3, dtype=TensorProto.UINT8, batch='N', names=None,
                sizes=(HEIGHT, WIDTH)):
    """ModelProto of the miniature model; the arguments are what tests get wrong on purpose."""
    names = names or ('images', 'logits', 'probabilities')
    mix = np.zeros([3, classes], np.float32)
    mix[np.arange(classes) % 3, np.arange(classes)] = 1 / 32
    shift = -(np.arange(classes) // 3).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node('Cast', [names[0]], ['pixels'], to=TensorProto.FLOAT),
         helper.make_node('ReduceMean', ['pixels'], ['mean'], axes=[1, 2], keepdims=0),
         helper.make_node('Gemm', ['mean', 'mix', 'shift'], [names[1]]),
         helper.make_node('Softmax', [names[1]], [names[2]], axis=1)],
        'mean_colour',
        [helper.make_tensor_value_info(names[0], dtype, [batch, *sizes, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, classes])
         for name in names[1:]],
        [numpy_helper.from_array(mix, 'mix'), numpy_helper.from_array(shift, 'shift')])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    helper.set_model_props(model, METADATA if metadata is None else metadata)
    return model


def write_test_data(folder, images, logits, probabilities):
    folder.mkdir()
    for file, name, array in (('input_0.pb', 'images', images),
                              ('output_0.pb', 'logits', logits),
                              ('output_1.pb', 'probabilities', probabilities)):
        tensor = numpy_helper.from_array(np.asarray(array), name)
        (folder / file).write_bytes(tensor.SerializeToString())


def png_bytes(width, height, colour_type, rows, bit_depth=8):
    """A PNG file made by hand: for kinds that OpenCV cannot write, and sizes that lie."""
    def chunk(kind, data):
        return (struct.pack('>I', len(data)) + kind + data
                + struct.pack('>I', zlib.crc32(kind + data)))
    header = struct.pack('>IIBBBBB', width, height, bit_depth, colour_type, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header)
            + chunk(b'IDAT', zlib.compress(b''.join(b'\0' + row for row in rows)))
            + chunk(b'IEND', b''))
