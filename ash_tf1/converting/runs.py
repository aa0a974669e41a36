"""Converts a checkpoint of a net of this package to an artifact."""
import json
import os
from typing import List, NamedTuple

import tensorflow.compat.v1 as tf

from ash_tf1 import checkpoint, marking
from ash_tf1.converting import artifact, graphs, onnx_model, opsets, proof
from ash_tf1.converting.samples import base_names, choose_inputs
from ash_tf1.input_pipelines.images import sample_images
from ash_tf1.input_pipelines.loading import ordered_batches
from ash_tf1.ops import AUTO, get_activation
from ash_tf1.reading import sha256
from ash_tf1.sessions import session_config
from ash_tf1.training import evaluation
from ash_tf1.training import run_dir as run_dirs
from ash_tf1.training.initial_weights import find_initial_weights
from ash_tf1.training.log_reading import METRICS_FILE


def export(run_dir, out_dir, checkpoint_path=None, data_dir=None, samples=8, keep_graph=False,
           overwrite=False, opset=opsets.DEFAULT, images=None, any_size=False):
    """Exports a checkpoint of a training run, or an imported one, as an artifact folder.

    The net is rebuilt for inference with ASH in the form that it was trained in, restored, frozen
    and converted. The artifact has the layout of the ONNX model zoo: `model.onnx`, with its origin
    in metadata_props, and `test_data_set_0/`, real inputs and what the net itself answers to them.

    Args:
      run_dir: folder of the run or import, as for `evaluation.evaluate`.
      out_dir: folder to make; must not exist, unless it is an artifact to be overwritten.
      checkpoint_path: as for `evaluation.evaluate`; the run's latest by default.
      data_dir: where the data set is; where it was in training by default.
      samples: number of examples in the test data set.
      keep_graph: whether the frozen TensorFlow graph is kept too, as `frozen_graph.pb`.
      overwrite: whether an artifact at out_dir is replaced.
      opset: as for `onnx_model.convert`.
      images: where the test data come from in place of the data set's validation split (test where
        it has none): paths of PNG and JPEG files, and of folders of them. They are fitted as the
        `ModelSpec` says.
      any_size: whether the model takes images of any height and width. Photos are fitted to those
        of the `ModelSpec` all the same.

    Returns:
      What was `artifact.Exported`.

    Raises:
      ValueError: a file is missing or does not fit, out_dir is in use, or models are not made for
        the opset; the message names it.
      OSError: an image cannot be opened.
      RuntimeError: the conversion failed or was not complete, or the portable form of the net
        gives other answers.
    """
    task, spec = run_dirs.load_model(run_dir)
    prefix = checkpoint.find_checkpoint(evaluation.resolve(run_dir, checkpoint_path))
    marking.check_replaceable(out_dir, overwrite)
    opsets.check(opset)
    if samples < 1:
        raise ValueError('an artifact needs at least one sample, got {}'.format(samples))
    batch, source = _samples(task, spec, run_dir, data_dir, images, samples)
    settings = _settings(run_dir)
    frozen = freeze(task, spec, prefix, _form(settings), any_size)
    return _write(out_dir, overwrite, frozen, [batch[key] for key in frozen.keys],
                  metadata(task, spec, prefix, source, _training(task, run_dir, settings, prefix)),
                  keep_graph, opset, task.texts(spec))


def convert_checkpoint(path, task, spec, out_dir, samples_path=None, seed=0, keep_graph=False,
                       overwrite=False, opset=opsets.DEFAULT, any_size=False):
    """Converts a checkpoint that another loop wrote around one of our nets.

    Args:
      path: the checkpoint, as for `checkpoint.find_checkpoint`.
      task, spec: the `Task` and `ModelSpec` that say which net it is. Its variables may be below
        any scope.
      out_dir: folder to make; must not exist, unless it is an artifact to be overwritten.
      samples_path: the test data set, as for `samples.read`: images, or arrays of the inputs. By
        default inputs are made up.
      seed: of inputs that are made up.
      keep_graph, overwrite, opset, any_size: as for `export`.

    Returns:
      What was `artifact.Exported`.

    Raises:
      ValueError, OSError, RuntimeError: as for `export`.
    """
    marking.check_replaceable(out_dir, overwrite)
    opsets.check(opset)
    prefix = checkpoint.find_checkpoint(path)
    frozen = freeze(task, spec, prefix, any_size=any_size)
    inputs, origin = choose_inputs(samples_path, frozen.signature.input_names, frozen.inputs, seed,
                                   getattr(spec, 'preprocessing', None))
    return _write(out_dir, overwrite, frozen, inputs, metadata(task, spec, prefix, origin, {}),
                  keep_graph, opset, task.texts(spec))


def _write(out_dir, overwrite, frozen, inputs, properties, keep_graph, opset, texts):
    if properties['kind'] == 'tensors':
        properties['inputs'] = json.dumps([
            artifact.describe_input(name, tensor.shape, value) for name, tensor, value
            in zip(frozen.signature.input_names, frozen.inputs, inputs)])
    return artifact.write(out_dir, overwrite,
                          proof.prove(frozen.graph_def, frozen.signature, inputs, frozen.levels),
                          properties, keep_graph, opset, texts)


def _samples(task, spec, run_dir, data_dir, paths, count):
    """(batch of at most count examples, where they are from): made, of files or of a split."""
    made = task.samples(spec, count)
    if made is not None:
        if paths or data_dir:
            raise ValueError('the inputs of the task {} are made: give no data'.format(task.name))
        return made
    if paths:
        paths = sample_images(paths, count)
        return task.photo_samples(spec, paths), base_names(paths)
    if not spec.dataset:
        raise ValueError('{} has no data set, for its weights were imported: give --images, files '
                         'or a folder of what the net is for'.format(run_dir))
    try:
        dataset = evaluation.load_model_dataset(task, spec, run_dir, data_dir=data_dir)
    except (ValueError, OSError) as error:
        raise ValueError('{}; --images FILE... may stand for the data set'.format(error)) from None
    name = next(name for name in ('validation', 'test', 'train') if name in dataset.splits)
    batch = next(ordered_batches(dataset.splits[name], count))
    return batch, '{} split of {}'.format(name, spec.dataset)


class Frozen(NamedTuple):
    """The graph of a trained net for inference, its variables as constants."""

    graph_def: tf.GraphDef
    signature: onnx_model.Signature
    inputs: List[graphs.Tensor]
    keys: List[str]  # of the inputs in an example
    levels: int      # as in the `Interface`


def freeze(task, spec, prefix, implementation=AUTO, any_size=False):
    """The graph of a trained net for inference, its variables as constants.

    Args:
      task: the `Task`.
      spec: the `ModelSpec`.
      prefix: a checkpoint, as from `checkpoint.find_checkpoint`; the net's variables may be below
        another scope there, as for `initial_weights.find_initial_weights`.
      implementation: form of ASH, as for `ops.ASH`.
      any_size: whether it takes images of any height and width.

    Returns:
      The `Frozen` graph.

    Raises:
      ValueError: the checkpoint does not fit, or the net needs images of one size.
    """
    with tf.Graph().as_default():
        build = task.any_size_interface if any_size else task.interface
        interface = build(spec, get_activation(spec.activation, implementation))
        signature = onnx_model.Signature(
            tuple((tensor.op.name, tensor.name) for tensor in interface.inputs.values()),
            tuple((name, tensor.name) for name, tensor in interface.outputs.items()))
        inputs = [graphs.Tensor(tensor.name, tensor.dtype, _example_shape(tensor, spec, any_size))
                  for tensor in interface.inputs.values()]
        weights = find_initial_weights(prefix, tf.global_variables(), task, spec, exact=True,
                                       part=interface.scope)
        with tf.Session(config=session_config()) as session:
            checkpoint.restore(session, prefix, variables=weights.sources)
            return Frozen(onnx_model.freeze_session(session, signature), signature, inputs,
                          list(interface.inputs), interface.levels)


def _example_shape(tensor, spec, any_size):
    """The shape of an input in the test data set: where any size is taken, that of photos."""
    shape = tuple(tensor.shape.as_list())
    return shape[:1] + tuple(spec.image_size) + shape[3:] if any_size else shape


def _settings(run_dir):
    """The `Settings` of a run, or None of an import."""
    if not os.path.exists(os.path.join(run_dir, run_dirs.SETTINGS_FILE)):
        return None
    return run_dirs.load_settings(run_dir)


def _form(settings):
    """The form of ASH in which a net was trained, as far as it can be had here."""
    # Auto is native where that is built; so it is for an import too.
    return AUTO if settings is None or settings.implementation == 'native' else (
        settings.implementation)


def _training(task, run_dir, settings, prefix):
    """How the weights of a run's checkpoint were trained; nothing of those of an import."""
    if settings is None:
        return {}
    step = prefix.rpartition('-')[2]
    told = {'step': step, 'batch_size': settings.batch_size, 'optimizer': settings.optimizer,
            'schedule': settings.schedule, 'learning_rate': settings.learning_rate,
            'weight_decay': settings.weight_decay, 'seed': settings.seed}
    if settings.ema_decay:
        told['ema_decay'] = settings.ema_decay
    if task.best is None:
        return told
    deciding = task.best[0]
    for row in run_dirs.read_rows(os.path.join(run_dir, METRICS_FILE)):
        if row['split'] != 'train' and row['step'] == step:
            told['{}_{}'.format(row['split'], deciding)] = row[deciding]
    return told


def metadata(task, spec, prefix, samples, training):
    """The metadata_props of an artifact, each a string; what is not one is JSON.

    Args:
      task: the `Task`.
      spec: the `ModelSpec`.
      prefix: a checkpoint, as from `checkpoint.find_checkpoint`.
      samples: where the test data set comes from.
      training: dict of how it was trained; empty where that is not known.
    """
    properties = task.properties(spec)
    properties.update({
        'net': spec.net or task.name,
        'activation': spec.activation,
        'dataset': spec.dataset,
        'samples': samples,
        'checkpoint': os.path.basename(prefix),
        'checkpoint_sha256': sha256(checkpoint.checkpoint_files(prefix)),
    })
    if training:
        properties['training'] = json.dumps(training)
    if not spec.dataset:  # imported
        del properties['dataset']
    return properties
