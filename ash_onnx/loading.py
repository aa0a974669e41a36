"""Opens an artifact folder: `model.onnx` with its metadata, checked before any of it is run."""

import functools
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from ash_onnx import blocked, fusing, native
from ash_onnx.artifact import MODEL_FILE, AshForm
from ash_onnx.files import read_bounded
from ash_onnx.kinds import DEFAULT, KINDS, generator
from ash_onnx.limits import check_declared_sizes
from ash_onnx.metadata import read_metadata
from ash_onnx.session import open_session

MAX_MODEL_BYTES = 2**31 - 1  # protobuf's own limit for one message


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
    return load_artifact(path, provider, threads, tf32, fused, kind=DEFAULT)


def load_generator(path, provider='cpu', threads=None, tf32=False, fused='auto'):
    """Opens the artifact of an image generator on an execution provider, never on another one.

    Args, Raises: as for `load_model`.

    Returns:
      A `kinds.generator.model.ImageGenerator`.
    """
    return load_artifact(path, provider, threads, tf32, fused, kind=generator.KIND.name)


def load_artifact(path, provider='cpu', threads=None, tf32=False, fused='auto', kind=None):
    """Opens an artifact of any kind on an execution provider, never on another one.

    Args, Raises: as for `load_model`, and
      kind: a key of `kinds.KINDS` that the artifact has to be of, such as 'tensors'; None for any.

    Returns:
      An `Artifact`: of the class of its kind, such as `Model` for an image classifier.
    """
    if fused not in (True, False, 'auto'):
        raise ValueError(f"fused must be True, False or 'auto', got {fused!r}")
    if kind not in (None, *KINDS):
        raise ValueError(f'kind must be one of {", ".join(KINDS)}, got {kind!r}')
    path = _model_file(Path(path))
    # What is checked is what is run: the session gets these bytes, not the path.
    data = read_bounded(path, MAX_MODEL_BYTES)
    proto = _parse(path, data)
    _check_single_file(path, proto)
    try:
        name, metadata = read_metadata(proto, KINDS, DEFAULT)
        probe, outputs = KINDS[name].interface(proto.graph, metadata)
        check_declared_sizes(proto)
        if kind not in (None, name):
            raise ValueError(f'is the artifact of {KINDS[name].title}, {KINDS[kind].negation}')
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
    reopen = functools.partial(load_artifact, path.absolute(), provider, threads, tf32, fused)
    return KINDS[name].artifact(path, session, name, metadata, provider, form, probe, outputs,
                                reopen)


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
