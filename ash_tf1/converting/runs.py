"""From a checkpoint of one of our runs to the artifact of an image classifier."""
import glob
import json
import os

import tensorflow.compat.v1 as tf

from ash_tf1 import checkpoint, config, evaluation, files
from ash_tf1.classifier import build_classifier, pixels_placeholder
from ash_tf1.converting import artifact, onnx_model, opsets
from ash_tf1.ops import PORTABLE
from ash_tf1.sessions import session_config

INPUT = 'images'
OUTPUTS = ('logits', 'probabilities')


CLASSIFIER = onnx_model.Signature(((INPUT, INPUT + ':0'),),
                                  tuple((name, name + ':0') for name in OUTPUTS))


def export(run_dir, out_dir, checkpoint_path=None, data_dir=None, samples=8, keep_graph=False,
           overwrite=False, opset=opsets.DEFAULT):
    """Exports a checkpoint of a training run as an artifact folder.

    The net is rebuilt for inference with ASH in portable ops, restored, frozen and converted.
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
      opset: as for `onnx_model.convert`.

    Returns:
      What was `artifact.Exported`.

    Raises:
      ValueError: a file is missing or does not fit, out_dir is in use, or models are
        not made for the opset; the message names it.
      RuntimeError: the conversion failed or was not complete.
    """
    spec = config.load(run_dir, config.MODEL_FILE, config.ModelSpec)
    settings = config.load(run_dir, config.SETTINGS_FILE, config.Settings)
    prefix = checkpoint.find_checkpoint(evaluation.resolve(run_dir, checkpoint_path))
    artifact.check_out_dir(out_dir, overwrite)
    opsets.check(opset)
    if samples < 1:
        raise ValueError('an artifact needs at least one sample, got {}'.format(samples))
    dataset = evaluation.load_model_dataset(spec, data_dir or settings.data_dir)
    images = dataset.test.images[:samples]

    graph_def = freeze(spec, prefix)
    answers = onnx_model.run_frozen(graph_def, CLASSIFIER, images)
    return artifact.write(out_dir, graph_def, CLASSIFIER, [images], answers,
                          metadata(spec, prefix), keep_graph, opset)


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
                                      implementation=PORTABLE)
        tf.identity(classifier.logits, name=OUTPUTS[0])
        tf.identity(classifier.probabilities, name=OUTPUTS[1])
        with tf.Session(config=session_config()) as session:
            checkpoint.restore(session, prefix)
            return onnx_model.freeze_session(session, CLASSIFIER)


def metadata(spec, prefix):
    """The metadata_props of an artifact, each a string; what is not one is JSON."""
    parts = sorted(glob.glob(glob.escape(prefix) + '.data-*')) + [prefix + '.index']
    return {
        'kind': 'image_classifier',
        'labels': json.dumps(spec.labels),
        'net': spec.net,
        'net_options': json.dumps(spec.net_options),
        'activation': spec.activation,
        'dataset': spec.dataset,
        'input_shape': json.dumps(spec.input_shape),
        'preprocessing': json.dumps(spec.preprocessing.to_json()),
        'checkpoint': os.path.basename(prefix),
        'checkpoint_sha256': files.sha256(parts),
        'versions': artifact.versions(),
    }
