"""What share of its units each ASH layer lets pass.

A layer that is built in a graph puts the share beside it, as an op whose name says which layer it
is: a name can be read by whoever imports the graph. It costs nothing unless it is fetched.
"""
import collections
import re

import tensorflow.compat.v1 as tf

from ash_tf1 import gradients, kernels

_SCOPE = 'ash_pass_share'
_NAME = re.compile(r'(.*)/' + _SCOPE + r'(?:_\d+)?/([^/]+)\Z')
_SEPARATOR = '..'  # for '/', in the name of an op that names a layer


def record_pass_share(x, z_k, layer):
    """Adds the share of the units of x [N, ...] that reach the threshold to the graph.

    It adds nothing inside a function, a condition or a loop, where no session could fetch it.

    Args:
      x: as for `kernels`.
      z_k: scalar of the dtype in which x's elements are computed, from an op that was made where
        the layer is.
      layer: name of the layer, its variable scope.
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
      An OrderedDict: the layer's variable scope -> float32 scalar tensor in [0, 1]. Where a scope
      was built more than once, as by the towers of several GPUs, the first has the name of the
      scope and each later one that of its ops, such as 'tower_1/block1/ash'.

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
