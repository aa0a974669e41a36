"""Loads an artifact folder: `model.onnx` with its metadata, checked before any of it is run."""

import json
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from ash_onnx.session import open_session

MODEL_FILE = 'model.onnx'
INPUT = 'images'
OUTPUTS = ('logits', 'probabilities')
MAX_MODEL_BYTES = 2**31 - 1  # protobuf's own limit for one message
MAX_SIDE = 4096  # pixels; a larger input_shape is a mistake, not an image net

_JSON_KEYS = ('labels', 'input_shape', 'versions')
_TEXT_KEYS = ('net', 'activation', 'dataset', 'checkpoint_sha256')


class Model:
    """An artifact that is open on one execution provider; made by `load_model`.

    Attributes:
      path: the `model.onnx` file, a `pathlib.Path`.
      labels: tuple of C strings; class i of the outputs is `labels[i]`.
      input_shape: (height, width, 3) of one image, in pixels.
      metadata: dict of everything the file says about itself; `labels`, `input_shape` and
        `versions` are parsed, the rest are strings.
      provider: `cpu`, `cuda` or `tensorrt`, the one that it really runs on.
    """

    def __init__(self, path, session, metadata, provider):
        self.path = path
        self.metadata = metadata
        self.labels = tuple(metadata['labels'])
        self.input_shape = tuple(metadata['input_shape'])
        self.provider = provider
        self._session = session

    @property
    def folder(self):
        """The artifact's folder, in which the `test_data_set_K` lie."""
        return self.path.parent

    def run(self, images):
        """Classifies a batch of images; safe to call from several threads.

        Args:
          images: uint8 array [N, height, width, 3], RGB, 0 to 255, N >= 1. The model
            normalises them itself.

        Returns:
          (logits, probabilities), each float32 [N, C].

        Raises:
          ValueError: images of another type, dtype or shape; or a model whose answer is not
            float32 [N, C].
        """
        self._check_images(images)
        answers = self._session.run(OUTPUTS, {INPUT: np.ascontiguousarray(images)})
        expected = (len(images), len(self.labels))
        for name, answer in zip(OUTPUTS, answers, strict=True):
            if answer.shape != expected:
                raise ValueError(f'{self.path}: {name} came back as {list(answer.shape)}, '
                                 f'expected {list(expected)}')
        return tuple(answers)

    def _check_images(self, images):
        wanted = 'N, ' + ', '.join(map(str, self.input_shape))
        if not isinstance(images, np.ndarray):
            raise ValueError(f'images must be a uint8 array [{wanted}], '
                             f'got a {type(images).__name__}')
        if images.dtype != np.uint8:
            raise ValueError(f'images must be uint8 (0 to 255, not normalised), got {images.dtype}')
        if images.ndim != 4 or images.shape[1:] != self.input_shape or not len(images):
            raise ValueError(f'images must be [{wanted}] with N >= 1, got {list(images.shape)}')


def load_model(path, provider='cpu', threads=None, tf32=False):
    """Opens an artifact on an execution provider; never on another one than asked for.

    Args:
      path: the artifact folder, or the ONNX file in it.
      provider: `cpu`, `cuda` or `tensorrt`.
      threads: CPU threads within one operator, >= 1; None leaves it to onnxruntime (all cores).
      tf32: lets `cuda` use TensorFloat-32: faster from Ampere on, but it keeps 10 bits of
        mantissa, and `verify` needs a tolerance near 1e-2 then. See `session.open_session`.

    Returns:
      A `Model`.

    Raises:
      FileNotFoundError: no such folder or file, or a folder without `model.onnx`.
      ValueError: no ONNX model; external data; metadata, inputs or outputs that break the
        contract of an artifact; a provider that is unknown or not what the model runs on.
    """
    path = _model_file(Path(path))
    data = _read(path)
    proto = _parse(path, data)
    _check_single_file(path, proto)
    metadata = _read_metadata(path, proto)
    _check_interface(path, proto.graph, metadata)
    del proto  # a second copy of the weights
    probe = {INPUT: np.zeros([1, *metadata['input_shape']], np.uint8)}
    try:
        session = open_session(data, provider, probe, threads=threads, tf32=tf32)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    return Model(path, session, metadata, provider)


def _model_file(path):
    if path.is_dir():
        if not (path / MODEL_FILE).is_file():
            raise FileNotFoundError(f'{path}: this folder has no {MODEL_FILE}')
        return path / MODEL_FILE
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such artifact folder or ONNX file')
    return path


def _read(path):
    # What is checked is what is run: the session gets these bytes, not the path.
    with path.open('rb') as stream:
        data = stream.read(MAX_MODEL_BYTES + 1)
    if len(data) > MAX_MODEL_BYTES:
        raise ValueError(f'{path}: more than {MAX_MODEL_BYTES} bytes, the most an ONNX file can be')
    return data


def _parse(path, data):
    try:
        proto = onnx.ModelProto.FromString(data)
    except DecodeError as error:
        raise ValueError(f'{path}: not an ONNX model') from error
    # Protobuf skips what it does not know, so that some text parses, as an empty model.
    if not proto.ir_version or not proto.graph.node:
        raise ValueError(f'{path}: not an ONNX model (it has no graph)')
    return proto


def _check_single_file(path, proto):
    graphs = [proto.graph]
    for training in proto.training_info:
        graphs += [training.initialization, training.algorithm]
    tensors = [tensor for graph in graphs for tensor in _graph_tensors(graph)]
    for function in proto.functions:
        tensors += _node_tensors(function.node)
    for tensor in tensors:
        # The location is a path that the file chose, '../../secret' for one.
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            where = {entry.key: entry.value for entry in tensor.external_data}.get('location')
            raise ValueError(f'{path}: tensor {tensor.name!r} has external data ({where!r}); '
                             'an artifact is one file')


def _graph_tensors(graph):
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _node_tensors(graph.node)


def _node_tensors(nodes):
    for attribute in (attribute for node in nodes for attribute in node.attribute):
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in (attribute.g, *attribute.graphs):
            yield from _graph_tensors(graph)


def _read_metadata(path, proto):
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    # Text that is not UTF-8 comes out of protobuf as bytes, and counts as missing.
    missing = [key for key in _JSON_KEYS + _TEXT_KEYS
               if not (metadata.get(key) and isinstance(metadata[key], str))]
    if missing:
        raise ValueError(f'{path}: its metadata lacks {", ".join(missing)}; '
                         'it was not made by this project\'s converter')
    for key in _JSON_KEYS:
        try:
            metadata[key] = json.loads(metadata[key])
        except (ValueError, RecursionError) as error:
            raise ValueError(f'{path}: metadata {key!r} is not JSON: '
                             f'{_shorten(metadata[key])}') from error
    labels, shape, versions = (metadata[key] for key in _JSON_KEYS)
    # isprintable: labels go to terminals and pictures, where control characters do harm.
    if not (isinstance(labels, list) and labels
            and all(isinstance(label, str) and label and label.isprintable() for label in labels)):
        raise ValueError(f'{path}: metadata \'labels\' must be a JSON list of printable strings, '
                         f'got {_shorten(labels)}')
    if not (isinstance(shape, list) and len(shape) == 3 and shape[2] == 3
            and all(type(size) is int and 1 <= size <= MAX_SIDE for size in shape)):
        raise ValueError(f'{path}: metadata \'input_shape\' must be [height, width, 3] with sides '
                         f'from 1 to {MAX_SIDE}, got {_shorten(shape)}')
    if not isinstance(versions, dict):
        raise ValueError(f'{path}: metadata \'versions\' must be a JSON object, '
                         f'got {_shorten(versions)}')
    return metadata


def _check_interface(path, graph, metadata):
    initializers = {tensor.name for tensor in graph.initializer}  # inputs too before IR version 4
    inputs = [value for value in graph.input if value.name not in initializers]
    classes = len(metadata['labels'])
    wanted = {INPUT: (onnx.TensorProto.UINT8, [None, *metadata['input_shape']])}
    wanted.update({name: (onnx.TensorProto.FLOAT, [None, classes]) for name in OUTPUTS})
    for kind, values, names in (('inputs', inputs, (INPUT,)), ('outputs', graph.output, OUTPUTS)):
        found = [value.name for value in values]
        if len(found) != len(names) or set(found) != set(names):
            raise ValueError(f'{path}: its {kind} are {found}, expected {list(names)}')
        for value in values:
            dtype, shape = wanted[value.name]
            tensor = value.type.tensor_type
            if tensor.elem_type != dtype:
                raise ValueError(f'{path}: {value.name} is {_dtype_name(tensor.elem_type)}, '
                                 f'expected {_dtype_name(dtype)}')
            if not tensor.HasField('shape'):
                continue  # converters may leave an output's shape out; Model.run checks the answer
            found = [dim.dim_value if dim.HasField('dim_value') else None
                     for dim in tensor.shape.dim]
            # A symbolic size fits any size; a fixed one has to be equal, and no batch size is.
            if len(found) != len(shape) or any(
                    a is not None and a != b for a, b in zip(found, shape, strict=True)):
                raise ValueError(f'{path}: {value.name} has shape {_shape_name(found)}, expected '
                                 f'{_shape_name(shape)} by its metadata (N dynamic)')


def _dtype_name(elem_type):
    names = {number: name.lower() for name, number in onnx.TensorProto.DataType.items()}
    return names.get(elem_type, f'of unknown type {elem_type}')


def _shape_name(shape):
    return '[' + ', '.join('N' if size is None else str(size) for size in shape) + ']'


def _shorten(value):
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + '...'
