"""Files that TensorFlow 1 left: read and checked, and not run."""
import os

import tensorflow.compat.v1 as tf
from google.protobuf import text_format
from google.protobuf.message import DecodeError

MAX_BYTES = 2 ** 31 - 1  # protobuf's own limit for one message


def read_frozen_graph(path):
    """Reads a frozen graph.

    Args:
      path: a GraphDef, binary (`.pb`) or, where the name ends in `.pbtxt`, as text.

    Returns:
      A GraphDef.

    Raises:
      ValueError: there is no such file, or it is no GraphDef.
    """
    if not os.path.isfile(path):
        raise ValueError('{} is no file: give a frozen graph, .pb or .pbtxt'.format(path))
    with open(path, 'rb') as handle:
        data = handle.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError('{} has more than {} bytes, the most a graph can have'.format(
            path, MAX_BYTES))
    graph_def = tf.GraphDef()
    try:
        if path.endswith('.pbtxt'):
            text_format.Parse(data.decode(), graph_def)
        else:
            graph_def.ParseFromString(data)
    except (DecodeError, text_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError('{} is no GraphDef: {}'.format(
            path, ' '.join(str(error).split()) or 'it cannot be parsed')) from None
    if not graph_def.node:
        raise ValueError('{} holds no graph: a SavedModel or a MetaGraph is another thing'.format(
            path))
    return graph_def
