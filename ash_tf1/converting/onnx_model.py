"""Converts a frozen graph to an ONNX model by tf2onnx; errors that this only logs are raised."""
import contextlib
import logging
import os
from typing import NamedTuple

import tensorflow.compat.v1 as tf
import tf2onnx

from ash_tf1.converting import axes, opsets, ordered_sets
from ash_tf1.sessions import session_config


class Signature(NamedTuple):
    """The inputs and outputs of a frozen graph: (name in the ONNX model, name of the tensor)."""

    inputs: tuple
    outputs: tuple
    one_batch: bool = False  # whether the first axes of all inputs are known to have one size

    @property
    def input_names(self):
        return [name for name, _ in self.inputs]

    @property
    def output_names(self):
        return [name for name, _ in self.outputs]


def freeze_session(session, signature):
    """What a `Signature`'s outputs need of a session's graph, as a GraphDef without variables."""
    return tf.graph_util.convert_variables_to_constants(
        session, session.graph.as_graph_def(),
        [tensor.split(':')[0] for _, tensor in signature.outputs])


def run_frozen(graph_def, signature, *inputs):
    """What TensorFlow answers.

    Args:
      graph_def: a GraphDef without variables.
      signature: its `Signature`.
      *inputs: an array for each input of the signature, in order.

    Returns:
      The arrays of the signature's outputs, in order. Their last bits depend on the threads of the
      process: see `sessions.compute_in_one_thread`.
    """
    with tf.Graph().as_default():
        tensors = tf.import_graph_def(
            graph_def, name='',
            return_elements=[tensor for _, tensor in signature.inputs + signature.outputs])
        count = len(signature.inputs)
        with tf.Session(config=session_config()) as session:
            return session.run(tensors[count:], dict(zip(tensors[:count], inputs)))


def convert(graph_def, signature, opset=opsets.DEFAULT):
    """Converts a frozen graph to ONNX; tf2onnx's own swallowed errors are raised.

    Args:
      graph_def: a GraphDef without variables, every ASH in it in ordinary ops.
      signature: its `Signature`.
      opset: the version of ONNX's operators, from `opsets.FIRST` to `opsets.LAST`.

    Returns:
      A ModelProto with the inputs and outputs of the signature, whose open axes have names: see
      `axes.name_axes`. The same graph gives the same bytes.

    Raises:
      ValueError: the opset is another.
      RuntimeError: the conversion failed, or one of tf2onnx's optimisers did.
    """
    opsets.check(opset)
    with _strict_tf2onnx(), ordered_sets.inside('tf2onnx'):
        tf2onnx.utils.INTERNAL_NAME = 1  # counts up in the names that it makes, by which it sorts
        try:
            model, external = tf2onnx.convert.from_graph_def(
                graph_def, name='ash', input_names=[tensor for _, tensor in signature.inputs],
                output_names=[tensor for _, tensor in signature.outputs], opset=opset,
                tensors_to_rename={tensor: name
                                   for name, tensor in signature.inputs + signature.outputs})
        except Exception as error:
            raise RuntimeError('tf2onnx could not convert the graph: {}'.format(error)) from error
    if external:
        raise RuntimeError('the model is too large for one ONNX file')
    axes.name_axes(model, signature.one_batch)
    return model


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
