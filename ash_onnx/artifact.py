"""Loads an artifact folder: `model.onnx` with its metadata, checked before any of it is run."""

import json
import math
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

MAX_SAMPLE = 2**28  # elements of one example of one input

# Metadata by the kind of artifact: what is JSON, and what is text.
CLASSIFIER, KERAS_MODEL = 'image_classifier', 'keras_model'
_JSON_KEYS = {CLASSIFIER: ('labels', 'input_shape', 'versions'),
              KERAS_MODEL: ('input_shapes', 'versions')}
_TEXT_KEYS = {CLASSIFIER: ('net', 'activation', 'dataset', 'checkpoint_sha256'),
              KERAS_MODEL: ('net',)}


class Artifact:
    """An artifact of any kind, open on one execution provider; made by `load_artifact`.

    Attributes:
      path: the `model.onnx` file, a `pathlib.Path`.
      metadata: dict of everything the file says about itself; what is JSON is parsed, the rest are
        strings.
      provider: `cpu`, `cuda` or `tensorrt`, the one that it really runs on.
      input_names, output_names: tuples of strings, in the order of the test data sets.
    """

    def __init__(self, path, session, metadata, provider, input_names, output_names):
        self.path = path
        self.metadata = metadata
        self.provider = provider
        self.input_names = tuple(input_names)
        self.output_names = tuple(output_names)
        self._session = session

    @property
    def folder(self):
        """The artifact's folder, in which the `test_data_set_K` lie."""
        return self.path.parent

    def answer(self, *inputs):
        """Runs the model; safe to call from several threads.

        Args:
          *inputs: an array [N, ...] for each of `input_names`, in order, N >= 1.

        Returns:
          A tuple of arrays, one for each of `output_names`.

        Raises:
          ValueError: inputs of another number, type, dtype or shape.
        """
        feeds = {name: np.ascontiguousarray(value)
                 for name, value in zip(self.input_names, inputs, strict=True)}
        try:
            return tuple(self._session.run(self.output_names, feeds))
        except Exception as error:  # onnxruntime raises a dozen types with no public base
            raise ValueError(f'{self.path}: {error}') from error


class Model(Artifact):
    """The artifact of an image classifier; made by `load_model`.

    Attributes, beside those of an `Artifact`:
      labels: tuple of C strings; class i of the outputs is `labels[i]`.
      input_shape: (height, width, 3) of one image, in pixels.
    """

    def __init__(self, path, session, metadata, provider):
        super().__init__(path, session, metadata, provider, (INPUT,), OUTPUTS)
        self.labels = tuple(metadata['labels'])
        self.input_shape = tuple(metadata['input_shape'])

    def answer(self, *inputs):
        """Classifies, by `run`, which checks the images and the answer."""
        return self.run(*inputs)

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
    """Opens the artifact of an image classifier on an execution provider, never on another one.

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
    artifact = load_artifact(path, provider, threads, tf32)
    if not isinstance(artifact, Model):
        raise ValueError(f'{artifact.path}: is the artifact of a Keras model, no image classifier '
                         'with labels')
    return artifact


def load_artifact(path, provider='cpu', threads=None, tf32=False):
    """Opens an artifact of any kind on an execution provider, never on another one.

    Args, Raises: as for `load_model`, but that it need not be a classifier.

    Returns:
      A `Model` for an image classifier, else an `Artifact`.
    """
    path = _model_file(Path(path))
    data = _read(path)
    proto = _parse(path, data)
    _check_single_file(path, proto)
    kind, metadata = _read_metadata(path, proto)
    if kind == CLASSIFIER:
        _check_interface(path, proto.graph, metadata)
        outputs = OUTPUTS
        probe = {INPUT: np.zeros([1, *metadata['input_shape']], np.uint8)}
    else:
        outputs = [value.name for value in proto.graph.output]
        probe = _probe(path, proto.graph, metadata['input_shapes'])
    del proto  # a second copy of the weights
    try:
        session = open_session(data, provider, probe, threads=threads, tf32=tf32)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    if kind == CLASSIFIER:
        return Model(path, session, metadata, provider)
    return Artifact(path, session, metadata, provider, probe, outputs)


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
    """The kind of the artifact and its metadata, checked."""
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    kind = metadata.get('kind', CLASSIFIER)  # which is older than the key
    if kind not in _JSON_KEYS:
        raise ValueError(f'{path}: metadata \'kind\' must be one of {", ".join(_JSON_KEYS)}, '
                         f'got {_shorten(kind)}')
    # Text that is not UTF-8 comes out of protobuf as bytes, and counts as missing.
    missing = [key for key in _JSON_KEYS[kind] + _TEXT_KEYS[kind]
               if not (metadata.get(key) and isinstance(metadata[key], str))]
    if missing:
        raise ValueError(f'{path}: its metadata lacks {", ".join(missing)}; '
                         'it was not made by this project\'s converter')
    for key in _JSON_KEYS[kind]:
        try:
            metadata[key] = json.loads(metadata[key])
        except (ValueError, RecursionError) as error:
            raise ValueError(f'{path}: metadata {key!r} is not JSON: '
                             f'{_shorten(metadata[key])}') from error
    if not isinstance(metadata['versions'], dict):
        raise ValueError(f'{path}: metadata \'versions\' must be a JSON object, '
                         f'got {_shorten(metadata["versions"])}')
    if kind == CLASSIFIER:
        _check_classifier(path, metadata['labels'], metadata['input_shape'])
    return kind, metadata


def _check_classifier(path, labels, shape):
    # isprintable: labels go to terminals and pictures, where control characters do harm.
    if not (isinstance(labels, list) and labels
            and all(isinstance(label, str) and label and label.isprintable() for label in labels)):
        raise ValueError(f'{path}: metadata \'labels\' must be a JSON list of printable strings, '
                         f'got {_shorten(labels)}')
    if not (isinstance(shape, list) and len(shape) == 3 and shape[2] == 3
            and all(type(size) is int and 1 <= size <= MAX_SIDE for size in shape)):
        raise ValueError(f'{path}: metadata \'input_shape\' must be [height, width, 3] with sides '
                         f'from 1 to {MAX_SIDE}, got {_shorten(shape)}')


def _check_interface(path, graph, metadata):
    inputs = _inputs(graph)
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
            found = _shape(tensor)
            if not _fits(found, shape):
                raise ValueError(f'{path}: {value.name} has shape {_shape_name(found)}, expected '
                                 f'{_shape_name(shape)} by its metadata (N dynamic)')


def _probe(path, graph, shapes):
    """The smallest valid inputs of a Keras model: one example of zeros, by name in order."""
    probe = {}
    names = [value.name for value in _inputs(graph)]
    if not isinstance(shapes, dict) or set(shapes) != set(names):
        raise ValueError(f'{path}: metadata \'input_shapes\' must be a shape for each of {names}, '
                         f'got {_shorten(shapes)}')
    for value in _inputs(graph):
        shape, tensor = shapes[value.name], value.type.tensor_type
        if not (isinstance(shape, list) and all(type(size) is int and size >= 1 for size in shape)
                and math.prod(shape) <= MAX_SAMPLE):
            raise ValueError(f'{path}: metadata \'input_shapes\' must be lists of sizes >= 1 and '
                             f'at most {MAX_SAMPLE} elements, got {_shorten(shape)} for '
                             f'{value.name}')
        found = _shape(tensor)
        if not _fits(found, [None, *shape]):
            raise ValueError(f'{path}: {value.name} has shape {_shape_name(found)}, expected '
                             f'{_shape_name([None, *shape])} by its metadata (N dynamic)')
        try:
            dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        except KeyError as error:
            raise ValueError(f'{path}: {value.name} is no tensor') from error
        probe[value.name] = np.zeros([1, *shape], dtype)
    return probe


def _inputs(graph):
    initializers = {tensor.name for tensor in graph.initializer}  # inputs too before IR version 4
    return [value for value in graph.input if value.name not in initializers]


def _shape(tensor):
    """The sizes of a TensorProto type's shape, None for what is symbolic."""
    return [dim.dim_value if dim.HasField('dim_value') else None for dim in tensor.shape.dim]


def _fits(found, shape):
    # A symbolic size fits any size; a fixed one has to be equal, and no batch size is.
    return len(found) == len(shape) and all(
        a is None or a == b for a, b in zip(found, shape, strict=True))


def _dtype_name(elem_type):
    names = {number: name.lower() for name, number in onnx.TensorProto.DataType.items()}
    return names.get(elem_type, f'of unknown type {elem_type}')


def _shape_name(shape):
    return '[' + ', '.join('N' if size is None else str(size) for size in shape) + ']'


def _shorten(value):
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + '...'
