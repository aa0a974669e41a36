"""Converts a graph that other code wrote to an artifact, of its tensors or of another kind."""
import json
from dataclasses import dataclass
from typing import Any, Optional, Tuple

import tensorflow.compat.v1 as tf

from ash_tf1 import marking
from ash_tf1.converting import (
    artifact,
    freezing,
    graphs,
    onnx_model,
    opsets,
    proof,
    samples,
    sources,
)
from ash_tf1.reading import sha256


@dataclass(frozen=True)
class Options:
    """What is to be converted of a source, and how.

    Attributes:
      inputs, outputs: as for `graphs.cut`; by default those of the source's signature, if any.
      values: (name of a placeholder, text) of each that becomes a constant.
      tags, signature: as for `sources.read`.
      allow_training_mode: whether BatchNorm may use the statistics of its batch.
      adapter: what makes another kind of artifact of the graph, such as a
        `tasks.classification.adapting.GraphClassifier`; none for its own tensors.
      samples: the test data set: path of a `.npy` file (one input), of a `.npz` file (arrays by the
        names of the inputs), or of an image file or a folder of them. By default inputs are made
        up: normal numbers, and integers 0 and 1.
      seed: of inputs that are made up.
      opset: as for `onnx_model.convert`.
      keep_graph: whether the graph that was converted is kept too, as `frozen_graph.pb`.
      overwrite: whether an artifact at out_dir is replaced.
    """

    inputs: Tuple = ()
    outputs: Tuple[str, ...] = ()
    values: Tuple[Tuple[str, str], ...] = ()
    tags: Optional[Tuple[str, ...]] = None
    signature: Optional[str] = None
    allow_training_mode: bool = False
    adapter: Optional[Any] = None
    samples: Optional[str] = None
    seed: int = 0
    opset: int = opsets.DEFAULT
    keep_graph: bool = False
    overwrite: bool = False


def convert(source, out_dir, options=Options()):
    """Converts a graph that TensorFlow 1 left, every ASH in it included.

    Args:
      source: a path, as for `sources.read`, or a `sources.Source`.
      out_dir: folder to make; must not exist, unless it is an artifact to be overwritten.
      options: the `Options`.

    Returns:
      What was `artifact.Exported`.

    Raises:
      ValueError: a file, a name, a shape or a sample is wrong, or the graph is refused; the
        message names what.
      RuntimeError: the graph cannot be run or converted, or its portable ops answer otherwise.
    """
    marking.check_replaceable(out_dir, options.overwrite)
    opsets.check(options.opset)
    if not isinstance(source, sources.Source):
        source = sources.read(source, options.tags, options.signature)
    graph_def, signature, found, given = _select(source, options)
    if not options.allow_training_mode:
        graphs.check_inference(graph_def)
    properties, texts = {'kind': 'tensors'}, {}
    if options.adapter:
        graph_def, signature, found, properties = _adapt(options.adapter, graph_def, found, given)
        texts = options.adapter.texts()
    names = signature.input_names
    inputs, origin = samples.choose_inputs(options.samples, names, found, options.seed,
                                           options.adapter and options.adapter.preprocessing)
    properties.update({
        'net': source.name,
        'source_sha256': sha256(source.files),
        'samples': origin,
    })
    if not options.adapter:
        properties['inputs'] = json.dumps([
            artifact.describe_input(
                name, [None] * value.ndim if tensor.shape is None else tensor.shape, value)
            for name, tensor, value in zip(names, found, inputs)])
    return artifact.write(out_dir, options.overwrite,
                          proof.prove(graph_def, signature, inputs), properties,
                          options.keep_graph, options.opset, texts)


def _adapt(adapter, graph_def, found, given):
    """(GraphDef, its `Signature`, its inputs, its properties) of a graph as another kind."""
    with tf.Graph().as_default() as graph:
        def apply(value, output):
            return tf.import_graph_def(graph_def, {found[0].name: value}, [output],
                                       name='source')[0]
        interface = adapter.interface(found, given, apply)
        # What photos become, of which a graph of any size leaves the size open.
        inputs = [graphs.Tensor(tensor.name, tensor.dtype, (None, *adapter.fitted(interface)))
                  for tensor in interface.inputs.values()]
        signature = onnx_model.Signature(
            tuple((tensor.op.name, tensor.name) for tensor in interface.inputs.values()),
            tuple((name, tensor.name) for name, tensor in interface.outputs.items()))
        whole = graphs.extract(graph.as_graph_def(), [name for _, name in signature.outputs])
    return whole, signature, inputs, adapter.properties(interface)


def _select(source, options):
    """(frozen GraphDef, its `Signature`, its inputs and outputs) of what is to be converted."""
    set_names = {name.rpartition(':0')[0] or name for name, _ in options.values}
    names = {tensor: name for name, tensor in source.inputs + source.outputs}
    inputs = options.inputs or [(tensor, None) for _, tensor in source.inputs
                                if tensor.rpartition(':')[0] not in set_names]
    outputs = options.outputs or [tensor for _, tensor in source.outputs]
    graph_def, found, given = graphs.cut(source.graph_def, inputs, outputs, dict(options.values),
                                         variables=source.prefix is not None)
    if source.prefix is not None:
        graph_def = freezing.freeze(graph_def, source.slots, source.prefix)
        graphs.check_ops(graph_def)
    return graph_def, onnx_model.Signature(*(
        tuple((names.get(tensor.name) or _onnx_name(tensor.name), tensor.name)
              for tensor in tensors) for tensors in (found, given))), found, given


def _onnx_name(tensor):
    """The name in the ONNX model: the node's, with the index of an output that is not the first."""
    node, _, index = tensor.rpartition(':')
    return node if index == '0' else '{}_{}'.format(node, index)
