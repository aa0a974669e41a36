"""From a checkpoint of one of our nets to the artifact of an image classifier."""
import json
import os

import tensorflow.compat.v1 as tf

from ash_tf1 import checkpoint, config, evaluation, files
from ash_tf1.classifier import build_classifier, pixels_placeholder
from ash_tf1.converting import artifact, classifying, graphs, onnx_model, opsets, proof
from ash_tf1.converting.classifying import CLASSIFIER, INPUT, OUTPUTS
from ash_tf1.converting.samples import base_names, choose_inputs, fit_images
from ash_tf1.initial_weights import find_initial_weights
from ash_tf1.input_pipelines.images import sample_images
from ash_tf1.ops import AUTO
from ash_tf1.run_log import METRICS_FILE, read_rows
from ash_tf1.sessions import session_config


def export(run_dir, out_dir, checkpoint_path=None, data_dir=None, samples=8, keep_graph=False,
           overwrite=False, opset=opsets.DEFAULT, images=None):
    """Exports a checkpoint of a training run, or an imported one, as an artifact folder.

    The net is rebuilt for inference with ASH in the form that it was trained in, restored, frozen
    and converted. The artifact has the layout of the ONNX model zoo: `model.onnx`, with its labels
    and origin in metadata_props, and `test_data_set_0/`, real images and what the net itself
    answers to them.

    Args:
      run_dir: folder of the run or import, as for `evaluation.evaluate`.
      out_dir: folder to make; must not exist, unless it is an artifact to be overwritten.
      checkpoint_path: as for `evaluation.evaluate`; the run's latest by default.
      data_dir: where the data set is; where it was in training by default.
      samples: number of images in the test data set.
      keep_graph: whether the frozen TensorFlow graph is kept too, as `frozen_graph.pb`.
      overwrite: whether an artifact at out_dir is replaced.
      opset: as for `onnx_model.convert`.
      images: where the test data come from in place of the data set's test split: paths of PNG and
        JPEG files, and of folders of them. They are fitted as the `ModelSpec` says.

    Returns:
      What was `artifact.Exported`.

    Raises:
      ValueError: a file is missing or does not fit, out_dir is in use, or models are not made for
        the opset; the message names it.
      OSError: an image cannot be opened.
      RuntimeError: the conversion failed or was not complete, or the portable form of the net
        gives other answers.
    """
    spec = config.load(run_dir, config.MODEL_FILE, config.ModelSpec)
    prefix = checkpoint.find_checkpoint(evaluation.resolve(run_dir, checkpoint_path))
    artifact.check_out_dir(out_dir, overwrite)
    opsets.check(opset)
    if samples < 1:
        raise ValueError('an artifact needs at least one sample, got {}'.format(samples))
    pixels, source = _samples(spec, run_dir, data_dir, images, samples)
    settings = _settings(run_dir)
    graph_def = freeze(spec, prefix, _form(settings))
    return artifact.write(out_dir, proof.prove(graph_def, CLASSIFIER, [pixels]),
                          metadata(spec, prefix, source, _training(run_dir, settings, prefix)),
                          keep_graph, opset)


def convert_checkpoint(path, spec, out_dir, samples_path=None, seed=0, keep_graph=False,
                       overwrite=False, opset=opsets.DEFAULT):
    """Converts a checkpoint that another loop wrote around one of our nets.

    Args:
      path: the checkpoint, as for `checkpoint.find_checkpoint`.
      spec: the `ModelSpec` that says which net it is. Its variables may be below any scope.
      out_dir: folder to make; must not exist, unless it is an artifact to be overwritten.
      samples_path: the test data set, as for `samples.read`: images, or pixels, uint8
        [N, H, W, 3], as `.npy`. By default pixels are made up.
      seed: of pixels that are made up.
      keep_graph, overwrite, opset: as for `export`.

    Returns:
      What was `artifact.Exported`.

    Raises:
      ValueError, OSError, RuntimeError: as for `export`.
    """
    artifact.check_out_dir(out_dir, overwrite)
    opsets.check(opset)
    prefix = checkpoint.find_checkpoint(path)
    pixels = graphs.Tensor(INPUT + ':0', tf.uint8, (None,) + spec.input_shape)
    inputs, origin = choose_inputs(samples_path, [INPUT], [pixels], seed, spec.preprocessing)
    return artifact.write(out_dir, proof.prove(freeze(spec, prefix), CLASSIFIER, inputs),
                          metadata(spec, prefix, origin, {}), keep_graph, opset)


def _samples(spec, run_dir, data_dir, paths, count):
    """(uint8 [at most count, H, W, 3], where they are from), of files or of the test split."""
    if paths:
        paths = sample_images(paths, count)
        return fit_images(paths, *spec.input_shape[:2], spec.preprocessing), base_names(paths)
    if not spec.dataset:
        raise ValueError('{} has no data set, for its weights were imported: give --images, files '
                         'or a folder of what the net is for'.format(run_dir))
    try:
        dataset = evaluation.load_model_dataset(spec, run_dir, data_dir=data_dir)
    except (ValueError, OSError) as error:
        raise ValueError('{}; --images FILE... may stand for the data set'.format(error)) from None
    return dataset.test.images[:count], 'test split of ' + spec.dataset


def freeze(spec, prefix, implementation=AUTO):
    """The graph of a trained net for inference, its variables as constants.

    Args:
      spec: the `ModelSpec`.
      prefix: a checkpoint, as from `checkpoint.find_checkpoint`; the net's variables may be below
        another scope there, as for `initial_weights.find_initial_weights`.
      implementation: form of ASH, as for `ops.ASH`.

    Returns:
      A GraphDef with the placeholder `images`, uint8 [N, H, W, 3], and the float32 outputs
      `logits` and `probabilities`, [N, num_classes].

    Raises:
      ValueError: the checkpoint does not fit.
    """
    with tf.Graph().as_default():
        classifier = build_classifier(pixels_placeholder(spec), spec, is_training=False,
                                      implementation=implementation)
        tf.identity(classifier.logits, name=OUTPUTS[0])
        tf.identity(classifier.probabilities, name=OUTPUTS[1])
        weights = find_initial_weights(prefix, tf.global_variables(), spec, exact=True)
        with tf.Session(config=session_config()) as session:
            checkpoint.restore(session, prefix, variables=weights.sources)
            return onnx_model.freeze_session(session, CLASSIFIER)


def _settings(run_dir):
    """The `Settings` of a run, or None of an import."""
    if not os.path.exists(os.path.join(run_dir, config.SETTINGS_FILE)):
        return None
    return config.load(run_dir, config.SETTINGS_FILE, config.Settings)


def _form(settings):
    """The form of ASH in which a net was trained, as far as it can be had here."""
    # Auto is native where that is built, as an import's is, too.
    return AUTO if settings is None or settings.implementation == 'native' else (
        settings.implementation)


def _training(run_dir, settings, prefix):
    """How the weights of a run's checkpoint were trained; nothing of those of an import."""
    if settings is None:
        return {}
    step = prefix.rpartition('-')[2]
    told = {'step': step, 'batch_size': settings.batch_size, 'schedule': settings.schedule,
            'learning_rate': settings.learning_rate, 'weight_decay': settings.weight_decay,
            'seed': settings.seed}
    for row in read_rows(os.path.join(run_dir, METRICS_FILE)):
        if row['split'] == 'test' and row['step'] == step:
            told['test_top1'] = row['top1']
    return told


def metadata(spec, prefix, samples, training):
    """The metadata_props of an artifact, each a string; what is not one is JSON.

    Args:
      spec: the `ModelSpec`.
      prefix: a checkpoint, as from `checkpoint.find_checkpoint`.
      samples: where the images of the test data set come from.
      training: dict of how it was trained; empty where that is not known.
    """
    properties = classifying.metadata(spec.labels, spec.input_shape, spec.preprocessing)
    properties.update({
        'net': spec.net,
        'net_options': json.dumps(spec.net_options),
        'activation': spec.activation,
        'dataset': spec.dataset,
        'samples': samples,
        'checkpoint': os.path.basename(prefix),
        'checkpoint_sha256': files.sha256(checkpoint.checkpoint_files(prefix)),
    })
    if training:
        properties['training'] = json.dumps(training)
    if not spec.dataset:  # imported
        del properties['dataset']
    return properties
