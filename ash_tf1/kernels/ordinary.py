"""ASH as ordinary differentiable ops: the reference, and the form of exported graphs."""
import tensorflow.compat.v1 as tf

from ash_tf1.kernels.gate import leaky
from ash_tf1.kernels.precision import PRECISION, tiny
from ash_tf1.kernels.statistics import mean_over, sample_axes


def plain(x, z_k, alpha, leak):
    """ASH as ordinary differentiable ops: the reference."""
    return _by_ordinary_ops(x, z_k, alpha, leak, with_floor=True)


def portable(x, z_k, alpha, leak):
    """`plain` in fewer ops, for exported graphs; its gradient is NaN where a sample is constant."""
    return _by_ordinary_ops(x, z_k, alpha, leak, with_floor=False)


def _by_ordinary_ops(x, z_k, alpha, leak, with_floor):
    compute = PRECISION[x.dtype][0]
    wide = tf.cast(x, compute)
    axes = sample_axes(x)
    mean = mean_over(wide, axes)
    centred = wide - mean
    variance = mean_over(tf.square(centred), axes)
    if with_floor:
        # The gradient of sqrt is infinite at 0. For a constant sample tf.maximum passes none on.
        variance = tf.maximum(variance, tiny(compute))
    sigma = tf.sqrt(variance)
    gate = tf.sigmoid(2.0 * alpha * (centred - z_k * sigma))
    return tf.cast(wide * leaky(gate, float(leak) or None), x.dtype)
