"""The artifact's folder: the model, its metadata, and the proof of what it answers."""
import json
import os
import platform
from collections import Counter
from typing import NamedTuple

import numpy as np
import onnx
import tensorflow.compat.v1 as tf
import tf2onnx
from onnx import numpy_helper

import ash_tf1
from ash_tf1 import marking
from ash_tf1.converting import card, onnx_model, opsets

MODEL_FILE = 'model.onnx'
GRAPH_FILE = 'frozen_graph.pb'
TEST_DATA_FOLDER = 'test_data_set_0'
CARD_FILE, LABELS_FILE = 'README.md', 'labels.txt'


class Exported(NamedTuple):
    """What an export wrote."""

    folder: str
    nodes: Counter   # ONNX op type -> how many
    size: int        # of the model file, in bytes
    samples: int     # examples in the test data set


def write(out_dir, overwrite, proof, properties, keep_graph=False, opset=opsets.DEFAULT,
          texts=()):
    """Converts a graph and writes the artifact folder, or nothing.

    Args:
      out_dir, overwrite: the folder, and whether it may be replaced, as for
        `marking.replacing_folder`.
      proof: the `proof.Proof` of the graph, whose inputs and answers become the test data set.
      properties: dict of strings, what the metadata_props say beyond tolerance and versions.
      keep_graph: whether the frozen TensorFlow graph is kept too.
      opset: as for `onnx_model.convert`.
      texts: dict of names of further files, `LABELS_FILE` alone, to what they hold.

    Returns:
      What was `Exported`.

    Raises:
      ValueError: models are not made for the opset, or something is in the way.
      RuntimeError: the conversion failed or was not complete.
    """
    signature = proof.signature
    model = onnx_model.convert(proof.graph_def, signature, opset)
    properties = dict(properties, versions=_versions(),
                      tolerance=json.dumps(dict(
                          relative=proof.tolerance,
                          **({'integer_levels': proof.levels} if proof.levels else {}))))
    origin = properties.get('checkpoint_sha256') or properties.get('source_sha256')
    if origin:
        properties['model_version'] = origin[:12]
    for key, value in properties.items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model, full_check=True)
    with marking.replacing_folder(out_dir, overwrite) as folder:
        onnx.save(model, os.path.join(folder, MODEL_FILE))
        _write_text(os.path.join(folder, CARD_FILE), card.text(properties, model))
        for name, text in dict(texts).items():
            _write_text(os.path.join(folder, name), text)
        write_test_data(os.path.join(folder, TEST_DATA_FOLDER),
                        list(zip(signature.input_names, proof.inputs)),
                        list(zip(signature.output_names, proof.answers)))
        if keep_graph:
            with open(os.path.join(folder, GRAPH_FILE), 'wb') as handle:
                handle.write(proof.graph_def.SerializeToString(deterministic=True))
        marking.mark(folder)
    return Exported(out_dir, Counter(node.op_type for node in model.graph.node),
                    os.path.getsize(os.path.join(out_dir, MODEL_FILE)), len(proof.inputs[0]))


def _write_text(path, text):
    with open(path, 'w', encoding='utf-8', newline='\n') as handle:
        handle.write(text)


def _versions():
    """The versions that make an artifact, as JSON for its metadata."""
    return json.dumps({'python': platform.python_version(), 'ash_tf1': ash_tf1.__version__,
                       'tensorflow': tf.__version__, 'tf2onnx': tf2onnx.__version__,
                       'onnx': onnx.__version__, 'numpy': np.__version__})


def describe_input(name, shape, example):
    """What the metadata `inputs` of an artifact of kind `tensors` say of an input.

    Args:
      name: in the model.
      shape: sizes, None for each that is open.
      example: the array of the test data set.
    """
    return {'name': name, 'dtype': example.dtype.name, 'example': list(example.shape),
            'shape': list(shape)}


def write_test_data(folder, inputs, outputs):
    """Writes (name, array) pairs of inputs and outputs as an ONNX test data set."""
    os.makedirs(folder)
    for kind, pairs in (('input', inputs), ('output', outputs)):
        for number, (name, value) in enumerate(pairs):
            path = os.path.join(folder, '{}_{}.pb'.format(kind, number))
            with open(path, 'wb') as handle:
                handle.write(numpy_helper.from_array(value, name).SerializeToString())
