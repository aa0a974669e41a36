"""Sums over the samples of a tensor [N, ...]: their means, and the mean and deviation of ASH."""
import tensorflow.compat.v1 as tf

from ash_tf1 import gradients
from ash_tf1.kernels.precision import PRECISION, saturate, tiny

_MEAN = 'AshMean'  # name of the gradient of `mean_over`


def moments(x):
    """Mean and standard deviation of each sample of x [N, ...], both [N, 1, ...].

    The variance has a floor, so that the gradient of its square root is finite. The floor is so
    small that it changes no threshold.
    """
    statistics = PRECISION[x.dtype][1]
    axes = sample_axes(x)
    wide = tf.cast(x, statistics)
    mean = saturate(mean_over(wide, axes))
    if x.dtype == statistics:
        # float64 has no wider dtype to sum in. Adding the mean of the differences corrects the
        # rounding of the first mean. Without this a constant sample would seem to vary.
        mean += saturate(mean_over(wide - mean, axes))
    variance = mean_over(tf.squared_difference(wide, mean), axes)
    return mean, tf.sqrt(tf.clip_by_value(variance, tiny(statistics), statistics.max))


def sample_mean(x, dtype):
    """The mean of each sample of x [N, ...] as [N, 1, ...] of a dtype at least as wide.

    The last axis is averaged in x's own dtype, so that x is read only once. The other axes are
    averaged in the wider dtype.
    """
    if x.shape.ndims is not None and x.shape.ndims > 2:
        x = mean_over(x, [x.shape.ndims - 1])
    return mean_over(tf.cast(x, dtype), sample_axes(x))


def sample_axes(x):
    """All axes but the batch's. In a function of an imported graph the rank can be unknown."""
    return tf.range(1, tf.rank(x)) if x.shape.ndims is None else list(range(1, x.shape.ndims))


def mean_over(x, axes):
    """The mean over some axes; the result keeps them, with size 1."""
    if tf.executing_eagerly():
        return tf.reduce_mean(x, axes, keepdims=True)
    with tf.get_default_graph().gradient_override_map({'Mean': _MEAN}):
        return tf.reduce_mean(x, axes, keepdims=True)


@gradients.register(_MEAN)
def _mean_gradient(op, dy):
    """As TensorFlow's own gradient, whose int32 counts overflow at 2^31 elements."""
    x, y = op.inputs[0], op.outputs[0]
    return [tf.zeros_like(x) + dy * (count(y, dy.dtype) / count(x, dy.dtype)), None]


def count(x, dtype):
    """The number of elements of x, as a scalar of a floating dtype."""
    if x.shape.is_fully_defined():
        return tf.constant(float(x.shape.num_elements()), dtype)
    return tf.cast(tf.size(x, out_type=tf.int64), dtype)
