"""Reads the graphs that can be converted: TensorFlow 1's frozen graphs, SavedModels, MetaGraphs.

The files are parsed and checked. No part of a graph is run.
"""
import os
from typing import NamedTuple, Optional, Tuple

import tensorflow.compat.v1 as tf
from google.protobuf import text_format
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from ash_tf1 import checkpoint
from ash_tf1.converting import freezing
from ash_tf1.reading import read_bounded

MAX_BYTES = 2 ** 31 - 1  # protobuf's own limit for one message
SAVED_MODEL = ('saved_model.pb', 'saved_model.pbtxt')
WHAT = 'a frozen graph (.pb, .pbtxt), a SavedModel, or a MetaGraph (.meta) with its checkpoint'


class Source(NamedTuple):
    """A graph that can be converted, and where the values of its variables are.

    Attributes:
      name: base name of its file or folder, for messages and metadata.
      files: paths of all files that it was read from. Their SHA-256 identifies it.
      graph_def: the whole GraphDef.
      prefix: the checkpoint with the values of its variables; None if the graph is frozen.
      slots: which entry of the checkpoint belongs to which variable, as for `freezing.freeze`.
      inputs, outputs: a pair (name, name of the tensor) for each input and output of its
        signature; empty if it has no signature.
    """

    name: str
    files: Tuple[str, ...]
    graph_def: tf.GraphDef
    prefix: Optional[str] = None
    slots: Optional[dict] = None
    inputs: Tuple[Tuple[str, str], ...] = ()
    outputs: Tuple[Tuple[str, str], ...] = ()


def read(path, tags=None, signature=None):
    """Reads a source of any kind.

    Args:
      path: a frozen graph (`.pb`; `.pbtxt` as text), the folder of a SavedModel, or a MetaGraph
        with its checkpoint: the prefix of both, one of their files, or their folder.
      tags: set of strings: the tags of the graph to read in a SavedModel. By default its only
        graph, or the one that is tagged serve.
      signature: key of the signature to read. By default the only one, or serving_default.

    Returns:
      A `Source`.

    Raises:
      ValueError: there is none, it cannot be read or is damaged, or a tag or signature is missing.
    """
    path = os.path.normpath(path)
    if os.path.basename(path) in SAVED_MODEL:
        path = os.path.dirname(path) or '.'
    if any(os.path.isfile(os.path.join(path, name)) for name in SAVED_MODEL):
        return _read_saved_model(path, tags, signature)
    if os.path.isfile(path) and path.endswith(('.pb', '.pbtxt')):
        if tags or signature:
            raise ValueError('{} is a frozen graph, which has no tags or signatures'.format(path))
        return Source(os.path.basename(path), (path,), read_frozen_graph(path))
    if tags:
        raise ValueError('{} is no SavedModel, and has no tags'.format(path))
    return _read_meta_graph(path, signature)


def read_frozen_graph(path):
    """Reads a GraphDef, binary or, where the name ends in `.pbtxt`, as text.

    Raises:
      ValueError: there is no such file, or it is no GraphDef.
    """
    graph_def = _parse(path, tf.GraphDef())
    if not graph_def.node:
        raise ValueError('{} holds no graph: a SavedModel or a MetaGraph is another thing'.format(
            path))
    return graph_def


def _read_saved_model(folder, tags, signature):
    path = next(os.path.join(folder, name) for name in SAVED_MODEL
                if os.path.isfile(os.path.join(folder, name)))
    meta_graphs = _parse(path, saved_model_pb2.SavedModel()).meta_graphs
    meta_graph = _tagged(path, meta_graphs, tags)
    _check_assets(folder, meta_graph)
    prefix = os.path.join(folder, 'variables', 'variables')
    files, slots = (path,), None
    if os.path.exists(prefix + '.index'):
        prefix = checkpoint.find_checkpoint(prefix)
        files += tuple(checkpoint.checkpoint_files(prefix))
        slots = _slots(meta_graph)
    return Source(os.path.basename(os.path.abspath(folder)), files, meta_graph.graph_def,
                  prefix if slots is not None else None, slots,
                  *_signature(path, meta_graph, signature))


def _tagged(path, meta_graphs, tags):
    """The MetaGraph of a SavedModel that has the tags."""
    have = [set(meta_graph.meta_info_def.tags) for meta_graph in meta_graphs]
    wanted = set(tags) if tags else {'serve'}
    if len(have) == 1 and not tags:
        return meta_graphs[0]
    if wanted not in have:
        raise ValueError('{} has no graph tagged {}; its graphs are tagged {}: choose by --tag'
                         .format(path, ','.join(sorted(wanted)),
                                 ' and '.join(','.join(sorted(one)) or '(none)' for one in have)
                                 or '(none)'))
    return meta_graphs[have.index(wanted)]


def _check_assets(folder, meta_graph):
    """Raises ValueError where the graph names an asset outside its own folder; none is read."""
    home = os.path.join(os.path.realpath(folder), 'assets') + os.sep
    for asset in meta_graph.asset_file_def:
        if '\0' in asset.filename or not os.path.realpath(
                os.path.join(home, asset.filename)).startswith(home):
            raise ValueError('{} names the asset {!r}, which is outside its folder'.format(
                folder, asset.filename))


def _read_meta_graph(path, signature):
    try:
        prefix = checkpoint.find_checkpoint(path, v1=True)
    except ValueError as error:
        raise ValueError('{}: {}; a source is {}'.format(path, error, WHAT)) from None
    graph_path = prefix + '.meta'
    if not os.path.isfile(graph_path):
        raise ValueError('the checkpoint {} has no graph beside it, {}; where it is of one of the '
                         'nets here, say by --net of which'.format(prefix, graph_path))
    meta_graph = _parse(graph_path, tf.MetaGraphDef())
    if not meta_graph.graph_def.node:
        raise ValueError('{} holds no graph'.format(graph_path))
    return Source(os.path.basename(prefix),
                  (graph_path,) + tuple(checkpoint.checkpoint_files(prefix)), meta_graph.graph_def,
                  prefix, _slots(meta_graph), *_signature(graph_path, meta_graph, signature))


def _slots(meta_graph):
    return freezing.restored_variables(meta_graph.graph_def, meta_graph.saver_def.restore_op_name)


def _signature(path, meta_graph, key):
    """(inputs, outputs) of a MetaGraph's signature."""
    signatures = {name: signature for name, signature in meta_graph.signature_def.items()
                  if signature.outputs and (signature.inputs or name == key)}
    if not signatures and not key:
        return (), ()
    if key is None:
        key = next(iter(signatures)) if len(signatures) == 1 else 'serving_default'
    if key not in signatures:
        raise ValueError('{} has no signature {!r}: choose by --signature among {}'.format(
            path, key, ', '.join(sorted(signatures)) or '(none)'))
    inputs, outputs = (sorted(infos.items()) for infos in (signatures[key].inputs,
                                                           signatures[key].outputs))
    for name, info in inputs + outputs:
        if info.WhichOneof('encoding') != 'name':
            raise ValueError('{} has {!r} in its signature {!r}, which is no dense tensor: name '
                             'tensors by --input and --output'.format(path, name, key))
    taken = {name for name, _ in inputs}
    return (tuple((name, info.name) for name, info in inputs),
            tuple((name + '_output' if name in taken else name, info.name)
                  for name, info in outputs))


def _parse(path, message):
    """Reads a message from a file, binary or, where the name ends in `.pbtxt`, as text."""
    if not os.path.isfile(path):
        raise ValueError('{} is no file: give {}'.format(path, WHAT))
    data = read_bounded(path, MAX_BYTES)
    try:
        if path.endswith('.pbtxt'):
            text_format.Parse(data.decode(), message)
        else:
            message.ParseFromString(data)
    except (DecodeError, text_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError('{} is no {}: {}'.format(
            path, message.DESCRIPTOR.name,
            ' '.join(str(error).split()) or 'it cannot be parsed')) from None
    return message
