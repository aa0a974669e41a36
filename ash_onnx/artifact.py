"""Loads an artifact folder: `model.onnx` with its metadata, checked before any of it is run."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from ash_onnx import blocked, fusing, native
from ash_onnx.files import read_bounded
from ash_onnx.limits import check_declared_sizes
from ash_onnx.metadata import CLASSIFIER, INPUT, KINDS, OUTPUTS, read_metadata
from ash_onnx.preprocessing import Preprocessing
from ash_onnx.session import open_session, run_session

MODEL_FILE = 'model.onnx'
ROUNDING = 1e-3  # of probabilities
MAX_MODEL_BYTES = 2**31 - 1  # protobuf's own limit for one message


@dataclass(frozen=True)
class AshForm:
    """How the ASH layers of a model are computed.

    Attributes:
      layers: how many ASH there are, as far as they are recognised.
      fused: whether each is the fused op; portable nodes make them up otherwise.
    """

    layers: int
    fused: bool

    def __str__(self):
        if not self.layers:
            return 'no ASH'
        return f'{self.layers} ASH {"fused" if self.fused else "as portable nodes"}'


class Artifact:
    """An artifact of any kind, open on one execution provider; made by `load_artifact`.

    Attributes:
      path: the `model.onnx` file, a `pathlib.Path`.
      kind: `image_classifier`, `keras_model` or `tensors`, a key of `metadata.KINDS`.
      metadata: dict of everything the file says about itself; what is JSON is parsed, the rest are
        strings.
      provider: `cpu`, `cuda` or `tensorrt`, the one that it really runs on.
      form: an `AshForm`: how ASH is computed.
      input_names, output_names: tuples of strings, in the order of the test data sets.
      time_limit: seconds for one run; None, the default, for none.
      overdue: called, from another thread, where a run goes on for as long again; or None.

    The last two may be set. It is pickled by its path, provider and options, and opened anew from
    them.
    """

    def __init__(self, path, session, kind, metadata, provider, form, input_names, output_names):
        self.path = path
        self.form = form
        self.kind = kind
        self.metadata = metadata
        self.provider = provider
        self.input_names = tuple(input_names)
        self.output_names = tuple(output_names)
        self._session = session
        self.time_limit = self.overdue = None
        self._options = {}

    def __reduce__(self):
        # A session cannot be pickled. The file is read and checked again where this arrives.
        return _reopen, (type(self), self.path.absolute(), self._options, self.time_limit)

    @property
    def folder(self):
        """The artifact's folder, in which the `test_data_set_K` lie."""
        return self.path.parent

    def answer(self, *inputs):
        """Runs the model; safe to call from several threads.

        Args:
          *inputs: an array for each of `input_names`, in order, of the dtype and the shape that
            the model takes: [N, ...] with N >= 1 for a Keras model; of any rank, 0 included, and
            with or without a batch axis for a TensorFlow graph, as `metadata['inputs']` says.
            Strings are an array of `str`.

        Returns:
          A tuple of arrays, one for each of `output_names`.

        Raises:
          ValueError: inputs of another number, type, dtype or shape; or onnxruntime cannot run
            the model, or not in `time_limit`.
        """
        # Not ascontiguousarray, which makes rank 1 of rank 0.
        feeds = {name: np.asarray(value, order='C')
                 for name, value in zip(self.input_names, inputs, strict=True)}
        for name, value in feeds.items():
            _check_text(name, value)
        return tuple(self._run(self.output_names, feeds))

    def _run(self, outputs, feeds):
        try:
            return run_session(self._session, outputs, feeds, self.time_limit, self.overdue)
        except ValueError as error:
            raise ValueError(f'{self.path}: {error}') from error


class Model(Artifact):
    """The artifact of an image classifier; made by `load_model`.

    Attributes, beside those of an `Artifact`:
      labels: tuple of C strings; class i of the outputs is `labels[i]`.
      input_shape: (height, width, 3) of one image, in pixels: what photos are fitted to. A model
        may leave its height or width open, and takes images of any other, too.
      preprocessing: a `Preprocessing`: how a photo becomes such an image.
    """

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.labels = tuple(self.metadata['labels'])
        self.input_shape = tuple(self.metadata['input_shape'])
        self.preprocessing = Preprocessing(**self.metadata.get('preprocessing', {}))

    def answer(self, *inputs):
        """Classifies, by `run`, which checks the images and the answer."""
        return self.run(*inputs)

    def run(self, images):
        """Classifies a batch of images; safe to call from several threads.

        Args:
          images: uint8 array [N, height, width, 3], RGB, 0 to 255, N >= 1. The model
            normalises them itself. Height and width are those of `input_shape`, or any that the
            model takes.

        Returns:
          (logits, probabilities), each float32 [N, C].

        Raises:
          ValueError: images of another type, dtype or shape; what onnxruntime cannot run, or not
            in `time_limit`; or a model whose answer is not float32 [N, C], or whose probabilities
            are not 0 to 1, adding up to 1. NaN passes.
        """
        self._check_images(images)
        answers = self._run(OUTPUTS, {INPUT: np.ascontiguousarray(images)})
        expected = (len(images), len(self.labels))
        for name, answer in zip(OUTPUTS, answers, strict=True):
            if answer.shape != expected:
                raise ValueError(f'{self.path}: {name} came back as {list(answer.shape)}, '
                                 f'expected {list(expected)}')
        _check_probabilities(self.path, answers[1])
        return tuple(answers)

    @cached_property
    def _sizes(self):
        """The sizes of an image that the graph takes; None for any."""
        return tuple(size if isinstance(size, int) else None
                     for size in self._session.get_inputs()[0].shape[1:])

    def _check_images(self, images):
        wanted = 'N, ' + ', '.join('any' if size is None else str(size) for size in self._sizes)
        if not isinstance(images, np.ndarray):
            raise ValueError(f'images must be a uint8 array [{wanted}], '
                             f'got a {type(images).__name__}')
        if images.dtype != np.uint8:
            raise ValueError(f'images must be uint8 (0 to 255, not normalised), got {images.dtype}')
        if images.ndim != 4 or not images.size or any(
                size not in (None, given)
                for size, given in zip(self._sizes, images.shape[1:], strict=True)):
            raise ValueError(f'images must be [{wanted}] with N >= 1, got {list(images.shape)}')


def _check_probabilities(path, probabilities):
    low, high, sums = probabilities.min(), probabilities.max(), probabilities.sum(axis=1)
    if low < -ROUNDING or high > 1 + ROUNDING or (np.abs(sums - 1) > ROUNDING).any():
        raise ValueError(f'{path}: its probabilities are {low:g} to {high:g} and add up to '
                         f'{sums.min():g} to {sums.max():g}, expected 0 to 1 and a sum of 1')


def _check_text(name, value):
    # onnxruntime calls str() on what is no str: b'a' would become the text "b'a'".
    if value.dtype.kind == 'S' or value.dtype == object and not all(
            isinstance(item, str) for item in value.flat):
        raise ValueError(f'{name} must hold str, got an array of {value.dtype} with bytes or other '
                         'objects')


_CLASSES = {CLASSIFIER: Model}  # the others are an Artifact


def load_model(path, provider='cpu', threads=None, tf32=False, fused='auto'):
    """Opens the artifact of an image classifier on an execution provider, never on another one.

    Args:
      path: the artifact folder, or the ONNX file in it.
      provider: `cpu`, `cuda` or `tensorrt`.
      threads: CPU threads within one operator, 1 to 1024; None leaves it to onnxruntime (all
        cores).
      tf32: lets `cuda` use TensorFloat-32: faster from Ampere on, but it keeps 10 bits of
        mantissa, and `verify` needs a tolerance near 1e-2 then. See `session.open_session`.
      fused: whether every ASH in the model runs as one fused op: True, or False for the portable
        nodes that the file has. 'auto' is True where the op's library can be had, and False with a
        line on the log where not; for `tensorrt`, which takes no op of others, it is False.

    Returns:
      A `Model`.

    Raises:
      FileNotFoundError: no such folder or file, or a folder without `model.onnx`.
      ValueError: no ONNX model; external data; metadata, inputs or outputs that break the
        contract of an artifact; values larger than `limits` allows; a provider that is unknown or
        not what the model runs on; `fused` is True, or the model has fused ops itself, and the
        library cannot be had.
    """
    artifact = load_artifact(path, provider, threads, tf32, fused)
    if not isinstance(artifact, Model):
        raise ValueError(f'{artifact.path}: is the artifact of {KINDS[artifact.kind].title}, no '
                         'image classifier with labels')
    return artifact


def load_artifact(path, provider='cpu', threads=None, tf32=False, fused='auto'):
    """Opens an artifact of any kind on an execution provider, never on another one.

    Args, Raises: as for `load_model`, but that it need not be a classifier.

    Returns:
      A `Model` for an image classifier, else an `Artifact`.
    """
    if fused not in (True, False, 'auto'):
        raise ValueError(f"fused must be True, False or 'auto', got {fused!r}")
    path = _model_file(Path(path))
    # What is checked is what is run: the session gets these bytes, not the path.
    data = read_bounded(path, MAX_MODEL_BYTES)
    proto = _parse(path, data)
    _check_single_file(path, proto)
    try:
        kind, metadata = read_metadata(proto)
        probe, outputs = KINDS[kind].interface(proto.graph, metadata)
        check_declared_sizes(proto)
        form, library = _choose_form(proto, provider, fused)
        optimized = None
        if form.fused:
            data = proto.SerializeToString()
            optimized = blocked.optimize(proto, library) if provider == 'cpu' else None
        del proto  # a second copy of the weights
        session = open_session(optimized or data, provider, probe, threads=threads, tf32=tf32,
                               library=library, optimize=not optimized)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    artifact = _CLASSES.get(kind, Artifact)(path, session, kind, metadata, provider, form, probe,
                                            outputs)
    artifact._options = {'provider': provider, 'threads': threads, 'tf32': tf32, 'fused': fused}
    return artifact


def _reopen(expected, path, options, time_limit):
    """What an `Artifact` is unpickled by."""
    artifact = load_artifact(path, **options)
    if type(artifact) is not expected:
        raise ValueError(f'{path}: is another artifact than the one that was pickled')
    artifact.time_limit = time_limit
    return artifact


def _choose_form(proto, provider, fused):
    """(the `AshForm` of a model, the library that it needs or None); fuses the model."""
    made = fusing.count_fused(proto)  # which the file has
    layers = len(fusing.fuse(proto))
    if not made and (not layers or fused is False):
        return AshForm(layers, False), None
    try:
        if made and fused is False:
            raise native.Unavailable(f'{made} ASH of this model are fused ops, which have no '
                                     'other form')
        if provider == 'tensorrt':
            raise native.Unavailable('TensorRT takes no fused ASH; provider cuda does')
        return AshForm(made + layers, True), native.library(provider)
    except native.Unavailable as reason:
        if made or fused is True:
            raise
        if provider != 'tensorrt':
            native.say_once(reason)
        return AshForm(layers, False), None


def _model_file(path):
    if path.is_dir():
        if not (path / MODEL_FILE).is_file():
            raise FileNotFoundError(f'{path}: this folder has no {MODEL_FILE}')
        return path / MODEL_FILE
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such artifact folder or ONNX file')
    return path


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
