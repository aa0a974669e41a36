"""Exports a tf.keras model as an artifact: an ONNX model, and a test data set that proves it."""
import contextlib
import json

import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1 import marking
from ash_tf1.converting import artifact, onnx_model, opsets, proof
from ash_tf1.keras import copying
from ash_tf1.sessions import session_config


def export_onnx(model, out_dir, inputs, keep_graph=False, overwrite=False,
                opset=opsets.DEFAULT):
    """Exports a tf.keras model as an artifact folder, which `tools/verify_onnx.py` verifies.

    The model is copied for inference, frozen and converted; its ASH layers become portable ops.
    The folder has the layout of the ONNX model zoo. `model.onnx` says in its metadata_props what
    made it. `test_data_set_0/` has the given inputs and the model's answers to them. The ONNX model
    has the inputs and outputs of model.input_names and output_names, in the model's own dtypes, for
    any number of examples.

    Args:
      model: a tf.keras model, functional or Sequential and built; it is not changed.
      out_dir: folder to make; must not exist, unless it is an artifact to be overwritten.
      inputs: examples for the test data set, as model.predict takes them: an array [N, ...], a
        list of arrays for several inputs, or a dict of arrays by input name. They have the model's
        dtypes, or dtypes of the same kind, which are cast (float64 to float32, not to integers).
      keep_graph: whether the frozen TensorFlow graph is kept too, as `frozen_graph.pb`.
      overwrite: whether an artifact at out_dir is replaced.
      opset: as for `ash_tf1.converting.onnx_model.convert`.

    Returns:
      An `ash_tf1.converting.artifact.Exported`.

    Raises:
      ValueError: the model cannot be copied, the inputs do not fit it, out_dir is in use, or the
        opset is not supported.
      RuntimeError: the conversion failed or was not complete, or the portable ops give other
        answers than the model.
    """
    if not isinstance(model, tf.keras.Model):
        raise ValueError('model must be a tf.keras model, got {!r}'.format(model))
    copying.check_model(model)
    marking.check_replaceable(out_dir, overwrite)
    opsets.check(opset)
    names = model.input_names + model.output_names
    if len(set(names)) < len(names):
        raise ValueError('the inputs and outputs of model {!r} must have different names, got '
                         '{}'.format(model.name, ', '.join(names)))
    inputs = _check_inputs(model, inputs)
    graph_def, signature = freeze(model)
    return artifact.write(out_dir, overwrite, proof.prove(graph_def, signature, inputs),
                          _metadata(model, inputs), keep_graph, opset)


def freeze(model):
    """The frozen graph of a model for inference. Its ASH layers keep their implementation.

    Args:
      model: as for `export_onnx`.

    Returns:
      (GraphDef without variables, its `ash_tf1.converting.onnx_model.Signature`).

    Raises:
      ValueError: the model cannot be copied.
    """
    original = copying.Original(model)
    with tf.Graph().as_default(), _loops_that_freeze(), \
            tf.Session(config=session_config()) as session:
        copy = copying.copy_model(original)
        # New placeholders, because those of the copy may have a fixed batch size.
        inputs = [tf.placeholder(tensor.dtype, [None] + tensor.shape.as_list()[1:])
                  for tensor in model.inputs]
        outputs = tf.nest.flatten(copy(inputs if len(inputs) > 1 else inputs[0], training=False))
        outputs = [tf.identity(tensor, name='output') for tensor in outputs]
        signature = onnx_model.Signature(
            tuple(zip(model.input_names, [tensor.name for tensor in inputs])),
            tuple(zip(model.output_names, [tensor.name for tensor in outputs])), one_batch=True)
        return onnx_model.freeze_session(session, signature), signature


@contextlib.contextmanager
def _loops_that_freeze():
    """Turns off control flow v2, in which a recurrent layer's loop keeps its variables unfrozen."""
    if not tf.control_flow_v2_enabled():
        yield
        return
    tf.disable_control_flow_v2()
    try:
        yield
    finally:
        tf.enable_control_flow_v2()


def _check_inputs(model, inputs):
    """The inputs as a list of arrays, in the order and the dtypes of the model's inputs."""
    names = model.input_names
    if isinstance(inputs, dict):
        if set(inputs) != set(names):
            raise ValueError('inputs must be named {}, got {}'.format(
                ', '.join(names), ', '.join(sorted(map(str, inputs)))))
        inputs = [inputs[name] for name in names]
    elif len(names) == 1 and not (isinstance(inputs, (list, tuple)) and len(inputs) == 1):
        inputs = [inputs]
    if not isinstance(inputs, (list, tuple)) or len(inputs) != len(names):
        raise ValueError('the model has {} inputs ({}), got {}'.format(
            len(names), ', '.join(names),
            len(inputs) if isinstance(inputs, (list, tuple)) else type(inputs).__name__))
    arrays = []
    for name, tensor, value in zip(names, model.inputs, inputs):
        value, dtype = np.asarray(value), tensor.dtype.as_numpy_dtype
        wanted = tf.TensorShape([None]).concatenate(tensor.shape[1:])
        if not wanted.is_compatible_with(value.shape) or 0 in value.shape:
            raise ValueError('input {!r} must be {} with one example or more, got {}'.format(
                name, wanted, value.shape))
        if not np.can_cast(value.dtype, dtype, 'same_kind'):
            raise ValueError('input {!r} must be {}, got {}'.format(
                name, np.dtype(dtype).name, value.dtype))
        arrays.append(value.astype(dtype))
    if len({len(value) for value in arrays}) > 1:
        raise ValueError('the inputs must have as many examples each, got {}'.format(
            ', '.join(str(len(value)) for value in arrays)))
    return arrays


def _metadata(model, inputs):
    shapes = {name: value.shape[1:] for name, value in zip(model.input_names, inputs)}
    return {
        'kind': 'keras_model',
        'net': model.name,
        'input_shapes': json.dumps(shapes),
    }
