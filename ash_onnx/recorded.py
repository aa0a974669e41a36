"""The test data of an artifact: inputs, and the outputs that TensorFlow gave for them."""

import re

import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from ash_onnx.files import read_bounded

MAX_TENSOR_BYTES = 2**30


def find_test_data(folder):
    """Returns the `test_data_set_K` folders of an artifact, by K.

    Raises:
      FileNotFoundError: there is none.
    """
    found = [path for path in folder.glob('test_data_set_*')
             if path.is_dir() and re.fullmatch(r'test_data_set_\d+', path.name)]
    if not found:
        raise FileNotFoundError(f'{folder}: no test_data_set_0 folder to verify with')
    return sorted(found, key=lambda path: (int(path.name.rpartition('_')[2]), path.name))


def read_test_data(folder, inputs, outputs):
    """Reads the tensors of a test data set.

    Args:
      folder: a `test_data_set_K` folder, a `pathlib.Path`.
      inputs, outputs: the names of the tensors in input_0.pb, input_1.pb, ... and output_0.pb, ...

    Returns:
      Dict of all names to arrays.

    Raises:
      FileNotFoundError: a file is missing.
      ValueError: a damaged file, or a tensor of another name.
    """
    return {name: _read_tensor(folder / f'{kind}_{number}.pb', name)
            for kind, names in (('input', inputs), ('output', outputs))
            for number, name in enumerate(names)}


def _read_tensor(path, name):
    if not path.is_file():
        raise FileNotFoundError(f'{path}: this file of the test data is missing')
    data = read_bounded(path, MAX_TENSOR_BYTES)
    try:
        tensor = onnx.TensorProto.FromString(data)
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise ValueError('external data')  # its location is a path that the file chose
        array = numpy_helper.to_array(tensor)
    except (DecodeError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f'{path}: not a serialized ONNX tensor') from error
    if tensor.name != name:
        raise ValueError(f'{path}: holds the tensor {tensor.name!r}, expected {name!r}')
    return array
