"""The share of its units that each ASH layer lets pass.

A layer that is built in a graph adds an op for the share. The op's name holds the layer's name, so
that the op can be found in an imported graph too. It costs nothing unless it is fetched.
"""
import collections
import re

import tensorflow.compat.v1 as tf

from ash_tf1 import gradients, kernels

_SCOPE = 'ash_pass_share'
_NAME = re.compile(r'(.*)/' + _SCOPE + r'(?:_\d+)?/([^/]+)\Z')
_SEPARATOR = '..'  # replaces '/' where an op's name holds a layer's name


def record_pass_share(x, z_k, layer):
    """Adds an op to the graph: the share of the units of x [N, ...] that reach the threshold.

    It adds nothing inside a function, a condition or a loop, where no session could fetch it.

    Args:
      x: as for `kernels`.
      z_k: scalar of the dtype in which x's elements are computed. Its op must be in the layer's own
        condition or loop, if there is one.
      layer: name of the layer: its variable scope.
    """
    graph = tf.get_default_graph()
    if graph.building_function or not graph.is_fetchable(z_k):
        return
    with tf.name_scope(_SCOPE):
        mean, sigma = kernels.moments(x)
        threshold = kernels.narrow(mean + tf.cast(z_k, mean.dtype) * sigma, x.dtype)
        share = tf.reduce_mean(tf.cast(x >= threshold, tf.float32))
        tf.identity(share, name=layer.replace('/', _SEPARATOR) or 'root')


def pass_shares(name_scope=None):
    """The share of units at or above the threshold in each ASH layer of the current graph.

    Layers inside a condition, a loop or a function are left out: their tensors cannot be fetched.

    Args:
      name_scope: counts only what was built in this `tf.name_scope`; everything by default.

    Returns:
      An OrderedDict: the layer's variable scope -> float32 scalar tensor in [0, 1]. If a scope was
      built more than once, as by the towers of several GPUs, the key of the first is the variable
      scope. The key of each later one is the name scope of its ops, such as 'tower_1/block1/ash'.

    Raises:
      ValueError: as for `gradients.check_graph`.
    """
    graph = tf.get_default_graph()
    gradients.check_graph(graph)
    shares = collections.OrderedDict()
    for op in graph.get_operations():
        found = _NAME.match(op.name) if op.type == 'Identity' else None
        if not found or not (name_scope is None or op.name.startswith(name_scope + '/')):
            continue
        call, layer = found.group(1), found.group(2).replace(_SEPARATOR, '/')
        key = layer if layer not in shares else call
        shares[key if key not in shares else op.name] = op.outputs[0]
    return shares
