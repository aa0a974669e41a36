"""From a checkpoint to an artifact: one ONNX model and the proof of what it answers."""
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

MODEL_FILE = 'model.onnx'
GRAPH_FILE = 'frozen_graph.pb'
TEST_DATA_FOLDER = 'test_data_set_0'
# From 14 on BatchNormalization says that it is not training, which ONNX's own reference
# implementation goes by; up to 17 ReduceMean has its axes as an attribute, which TensorRT likes.
OPSET = 15
INPUT = 'images'
OUTPUTS = ('logits', 'probabilities')


class Exported(NamedTuple):
    """What an export wrote."""

    folder: str
    nodes: Counter   # ONNX op type -> how many
    size: int        # of the model file, in bytes
    samples: int     # images in the test data set


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
    _check_out_dir(out_dir, overwrite)
    if samples < 1:
        raise ValueError('an artifact needs at least one sample, got {}'.format(samples))
    dataset = evaluation.load_model_dataset(spec, data_dir or settings.data_dir)
    images = dataset.test.images[:samples]

    graph_def = freeze(spec, prefix)
    answers = run_frozen(graph_def, images)
    model = convert(graph_def)
    for key, value in metadata(spec, prefix).items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model, full_check=True)
    with files.replacing_folder(out_dir) as folder:
        onnx.save(model, os.path.join(folder, MODEL_FILE))
        write_test_data(os.path.join(folder, TEST_DATA_FOLDER), images, answers)
        if keep_graph:
            with open(os.path.join(folder, GRAPH_FILE), 'wb') as handle:
                handle.write(graph_def.SerializeToString())
    return Exported(out_dir, Counter(node.op_type for node in model.graph.node),
                    os.path.getsize(os.path.join(out_dir, MODEL_FILE)), len(images))


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
    with tf.Graph().as_default() as graph:
        classifier = build_classifier(pixels_placeholder(spec), spec, is_training=False,
                                      implementation='plain')
        tf.identity(classifier.logits, name=OUTPUTS[0])
        tf.identity(classifier.probabilities, name=OUTPUTS[1])
        with tf.Session() as session:
            checkpoint.restore(session, prefix)
            return tf.graph_util.convert_variables_to_constants(
                session, graph.as_graph_def(), list(OUTPUTS))


def run_frozen(graph_def, images):
    """What TensorFlow answers to images uint8 [N, H, W, 3]: the arrays of `OUTPUTS`, in order."""
    with tf.Graph().as_default():
        tensors = tf.import_graph_def(
            graph_def, name='', return_elements=[name + ':0' for name in (INPUT,) + OUTPUTS])
        with tf.Session() as session:
            return session.run(tensors[1:], {tensors[0]: images})


def convert(graph_def):
    """Converts a frozen graph to ONNX; tf2onnx's own swallowed errors are raised.

    Args:
      graph_def: as from `freeze`.

    Returns:
      A ModelProto with the input `images` and the outputs `logits` and `probabilities`.

    Raises:
      RuntimeError: the conversion failed, or one of tf2onnx's optimisers did.
    """
    names = {name + ':0': name for name in (INPUT,) + OUTPUTS}
    with _strict_tf2onnx():
        try:
            model, external = tf2onnx.convert.from_graph_def(
                graph_def, name='ash', input_names=[INPUT + ':0'],
                output_names=[name + ':0' for name in OUTPUTS], opset=OPSET,
                tensors_to_rename=names)
        except Exception as error:
            raise RuntimeError('tf2onnx could not convert the graph: {}'.format(error)) from error
    if external:
        raise RuntimeError('the model is too large for one ONNX file')
    return model


def metadata(spec, prefix):
    """The metadata_props of an artifact, each a string; what is not one is JSON."""
    parts = sorted(glob.glob(glob.escape(prefix) + '.data-*')) + [prefix + '.index']
    versions = {'python': platform.python_version(), 'ash_tf1': ash_tf1.__version__,
                'tensorflow': tf.__version__, 'tf2onnx': tf2onnx.__version__,
                'onnx': onnx.__version__, 'numpy': np.__version__}
    return {
        'labels': json.dumps(spec.labels),
        'net': spec.net,
        'activation': spec.activation,
        'dataset': spec.dataset,
        'input_shape': json.dumps(spec.input_shape),
        'checkpoint': os.path.basename(prefix),
        'checkpoint_sha256': files.sha256(parts),
        'versions': json.dumps(versions),
    }


def write_test_data(folder, images, answers):
    """Writes inputs and outputs as the TensorProtos of an ONNX test data set."""
    os.makedirs(folder)
    tensors = [('input_0.pb', INPUT, images)] + [
        ('output_{}.pb'.format(i), name, answer)
        for i, (name, answer) in enumerate(zip(OUTPUTS, answers))]
    for file_name, name, value in tensors:
        with open(os.path.join(folder, file_name), 'wb') as handle:
            handle.write(numpy_helper.from_array(value, name).SerializeToString())


def _check_out_dir(out_dir, overwrite):
    if not os.path.exists(out_dir):
        return
    own = {MODEL_FILE, GRAPH_FILE, TEST_DATA_FOLDER}
    if not os.path.exists(os.path.join(out_dir, MODEL_FILE)) or set(os.listdir(out_dir)) - own:
        raise ValueError('{} exists and is no artifact, or holds more than one: it will not be '
                         'replaced'.format(out_dir))
    if not overwrite:
        raise ValueError('{} exists: give another folder, or --overwrite'.format(out_dir))


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
