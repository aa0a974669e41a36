"""From a checkpoint to an artifact: one ONNX model and the proof of what it answers.

What follows on freezing is the same for any graph: `freeze_session` to `write_artifact` serve the
export of tf.keras models too.
"""
import contextlib
import glob
import json
import logging
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
from ash_tf1 import checkpoint, config, evaluation, files
from ash_tf1.classifier import build_classifier, pixels_placeholder
from ash_tf1.sessions import session_config

MODEL_FILE = 'model.onnx'
GRAPH_FILE = 'frozen_graph.pb'
TEST_DATA_FOLDER = 'test_data_set_0'
# From 14 on BatchNormalization says that it is not training, which ONNX's own reference
# implementation goes by; up to 17 ReduceMean has its axes as an attribute, which TensorRT likes.
OPSET = 15
INPUT = 'images'
OUTPUTS = ('logits', 'probabilities')


class Signature(NamedTuple):
    """The inputs and outputs of a frozen graph: (name in the ONNX model, name of the op) each."""

    inputs: tuple
    outputs: tuple

    @property
    def input_names(self):
        return [name for name, _ in self.inputs]

    @property
    def output_names(self):
        return [name for name, _ in self.outputs]


CLASSIFIER = Signature(((INPUT, INPUT),), tuple((name, name) for name in OUTPUTS))


class Exported(NamedTuple):
    """What an export wrote."""

    folder: str
    nodes: Counter   # ONNX op type -> how many
    size: int        # of the model file, in bytes
    samples: int     # examples in the test data set


def export(run_dir, out_dir, checkpoint_path=None, data_dir=None, samples=8, keep_graph=False,
           overwrite=False):
    """Exports a checkpoint of a training run as an artifact folder.

    The net is rebuilt for inference with ASH in its plain form, restored, frozen and converted.
    The artifact has the layout of the ONNX model zoo: `model.onnx`, with its labels and origin in
    metadata_props, and `test_data_set_0/`, real images of the test split and what TensorFlow
    answers to them.

    Args:
      run_dir: folder of the run, as `training.train` wrote it.
      out_dir: folder to make; must not exist, unless it is an artifact to be overwritten.
      checkpoint_path: as for `evaluation.evaluate`; the run's latest by default.
      data_dir: where the data set is; where it was in training by default.
      samples: number of images in the test data set.
      keep_graph: whether the frozen TensorFlow graph is kept too, as `frozen_graph.pb`.
      overwrite: whether an artifact at out_dir is replaced.

    Returns:
      What was `Exported`.

    Raises:
      ValueError: a file is missing or does not fit, or out_dir is in use; the message names it.
      RuntimeError: the conversion failed or was not complete.
    """
    spec = config.load(run_dir, config.MODEL_FILE, config.ModelSpec)
    settings = config.load(run_dir, config.SETTINGS_FILE, config.Settings)
    prefix = checkpoint.find_checkpoint(evaluation.resolve(run_dir, checkpoint_path))
    check_out_dir(out_dir, overwrite)
    if samples < 1:
        raise ValueError('an artifact needs at least one sample, got {}'.format(samples))
    dataset = evaluation.load_model_dataset(spec, data_dir or settings.data_dir)
    images = dataset.test.images[:samples]

    return write_artifact(out_dir, freeze(spec, prefix), CLASSIFIER, [images],
                          metadata(spec, prefix), keep_graph)


def freeze(spec, prefix):
    """The graph of a trained net for inference, its variables as constants.

    Args:
      spec: the `ModelSpec`.
      prefix: a checkpoint, as from `checkpoint.find_checkpoint`.

    Returns:
      A GraphDef with the placeholder `images`, uint8 [N, H, W, 3], and the float32 outputs
      `logits` and `probabilities`, [N, num_classes].

    Raises:
      ValueError: the checkpoint does not fit.
    """
    with tf.Graph().as_default():
        classifier = build_classifier(pixels_placeholder(spec), spec, is_training=False,
                                      implementation='plain')
        tf.identity(classifier.logits, name=OUTPUTS[0])
        tf.identity(classifier.probabilities, name=OUTPUTS[1])
        with tf.Session(config=session_config()) as session:
            checkpoint.restore(session, prefix)
            return freeze_session(session, CLASSIFIER)


def freeze_session(session, signature):
    """What a `Signature`'s outputs need of a session's graph, as a GraphDef without variables."""
    return tf.graph_util.convert_variables_to_constants(
        session, session.graph.as_graph_def(), [op for _, op in signature.outputs])


def run_frozen(graph_def, *inputs, signature=CLASSIFIER):
    """What TensorFlow answers.

    Args:
      graph_def: as from `freeze`.
      *inputs: an array [N, ...] for each input of the signature, in order; images uint8
        [N, H, W, 3] for a classifier.
      signature: the graph's `Signature`.

    Returns:
      The arrays of the signature's outputs, in order.
    """
    with tf.Graph().as_default():
        tensors = tf.import_graph_def(
            graph_def, name='',
            return_elements=[op + ':0' for _, op in signature.inputs + signature.outputs])
        count = len(signature.inputs)
        with tf.Session(config=session_config()) as session:
            return session.run(tensors[count:], dict(zip(tensors[:count], inputs)))


def convert(graph_def, signature=CLASSIFIER):
    """Converts a frozen graph to ONNX; tf2onnx's own swallowed errors are raised.

    Args:
      graph_def: as from `freeze`.
      signature: its `Signature`.

    Returns:
      A ModelProto with the inputs and outputs of the signature.

    Raises:
      RuntimeError: the conversion failed, or one of tf2onnx's optimisers did.
    """
    with _strict_tf2onnx():
        try:
            model, external = tf2onnx.convert.from_graph_def(
                graph_def, name='ash', input_names=[op + ':0' for _, op in signature.inputs],
                output_names=[op + ':0' for _, op in signature.outputs], opset=OPSET,
                tensors_to_rename={op + ':0': name
                                   for name, op in signature.inputs + signature.outputs})
        except Exception as error:
            raise RuntimeError('tf2onnx could not convert the graph: {}'.format(error)) from error
    if external:
        raise RuntimeError('the model is too large for one ONNX file')
    return model


def write_artifact(out_dir, graph_def, signature, inputs, properties, keep_graph=False):
    """Converts a frozen graph and writes the artifact folder, or nothing.

    Args:
      out_dir: the folder; `check_out_dir` has been asked.
      graph_def: the frozen graph.
      signature: its `Signature`.
      inputs: an array [N, ...] for each input, in order: the test data set.
      properties: dict of strings, the metadata_props.
      keep_graph: whether the frozen TensorFlow graph is kept too.

    Returns:
      What was `Exported`.

    Raises:
      RuntimeError: the conversion failed or was not complete.
    """
    outputs = run_frozen(graph_def, *inputs, signature=signature)
    model = convert(graph_def, signature)
    for key, value in properties.items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model, full_check=True)
    with files.replacing_folder(out_dir) as folder:
        onnx.save(model, os.path.join(folder, MODEL_FILE))
        write_test_data(os.path.join(folder, TEST_DATA_FOLDER),
                        list(zip(signature.input_names, inputs)),
                        list(zip(signature.output_names, outputs)))
        if keep_graph:
            with open(os.path.join(folder, GRAPH_FILE), 'wb') as handle:
                handle.write(graph_def.SerializeToString())
    return Exported(out_dir, Counter(node.op_type for node in model.graph.node),
                    os.path.getsize(os.path.join(out_dir, MODEL_FILE)), len(inputs[0]))


def metadata(spec, prefix):
    """The metadata_props of an artifact, each a string; what is not one is JSON."""
    parts = sorted(glob.glob(glob.escape(prefix) + '.data-*')) + [prefix + '.index']
    return {
        'labels': json.dumps(spec.labels),
        'net': spec.net,
        'net_options': json.dumps(spec.net_options),
        'activation': spec.activation,
        'dataset': spec.dataset,
        'input_shape': json.dumps(spec.input_shape),
        'checkpoint': os.path.basename(prefix),
        'checkpoint_sha256': files.sha256(parts),
        'versions': versions(),
    }


def versions():
    """The versions that make an artifact, as JSON for its metadata."""
    return json.dumps({'python': platform.python_version(), 'ash_tf1': ash_tf1.__version__,
                       'tensorflow': tf.__version__, 'tf2onnx': tf2onnx.__version__,
                       'onnx': onnx.__version__, 'numpy': np.__version__})


def write_test_data(folder, inputs, outputs):
    """Writes (name, array) pairs of inputs and outputs as an ONNX test data set."""
    os.makedirs(folder)
    for kind, pairs in (('input', inputs), ('output', outputs)):
        for number, (name, value) in enumerate(pairs):
            path = os.path.join(folder, '{}_{}.pb'.format(kind, number))
            with open(path, 'wb') as handle:
                handle.write(numpy_helper.from_array(value, name).SerializeToString())


def check_out_dir(out_dir, overwrite):
    """Raises a ValueError where an artifact may not be written to: what is there stays."""
    if not os.path.exists(out_dir):
        return
    own = {MODEL_FILE, GRAPH_FILE, TEST_DATA_FOLDER}
    if not os.path.exists(os.path.join(out_dir, MODEL_FILE)) or set(os.listdir(out_dir)) - own:
        raise ValueError('{} exists and is no artifact, or holds more than one: it will not be '
                         'replaced'.format(out_dir))
    if not overwrite:
        raise ValueError('{} exists: give another folder, or overwrite it '
                         '(--overwrite, overwrite=True)'.format(out_dir))


class _Failures(logging.Handler):
    """Collects what tf2onnx logs as failed and then goes on without."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.messages = []

    def emit(self, record):
        message = record.getMessage()
        if record.levelno >= logging.ERROR or message.startswith('Failed'):
            self.messages.append(message)


@contextlib.contextmanager
def _strict_tf2onnx():
    """Makes tf2onnx raise what it would log, as far as it lets itself, and raises the rest."""
    name, failures = tf2onnx.constants.ENV_TF2ONNX_CATCH_ERRORS, _Failures()
    before = os.environ.get(name)
    logger = logging.getLogger('tf2onnx')
    level = logger.level
    os.environ[name] = 'FALSE'
    logger.addHandler(failures)
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(failures)
        del os.environ[name]
        if before is not None:
            os.environ[name] = before
    if failures.messages:
        raise RuntimeError('tf2onnx went on after: {}'.format('; '.join(failures.messages)))
