"""The forms of ASH as functions of tensors. `ops` checks the arguments and makes the variables.

Each form takes x [N, ...] of a dtype in `PRECISION`, scalars z_k and alpha of the dtype in which
x's elements are computed, and the leak as a Python float. It returns
x * (leak + (1 - leak) * gate) in x's shape and dtype. docs/ash.md has the derivation.
"""
import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1 import gradients, recomputation
from ash_tf1.native import check_allowed, library

# dtype of x: (dtype of what is computed per element, dtype of the per-sample statistics).
# Statistics in a wider dtype cannot overflow. They also keep their digits if the mean is far larger
# than the deviation.
PRECISION = {
    tf.float16: (tf.float32, tf.float32),
    tf.float32: (tf.float32, tf.float64),
    tf.float64: (tf.float64, tf.float64),
}


def plain(x, z_k, alpha, leak):
    """ASH as ordinary differentiable ops: the reference."""
    return _by_ordinary_ops(x, z_k, alpha, leak, with_floor=True)


def portable(x, z_k, alpha, leak):
    """`plain` in fewer ops, for exported graphs; its gradient is NaN where a sample is constant."""
    return _by_ordinary_ops(x, z_k, alpha, leak, with_floor=False)


def _by_ordinary_ops(x, z_k, alpha, leak, with_floor):
    compute = PRECISION[x.dtype][0]
    wide = tf.cast(x, compute)
    axes = _sample_axes(x)
    mean = _mean(wide, axes)
    centred = wide - mean
    variance = _mean(tf.square(centred), axes)
    if with_floor:
        # The gradient of sqrt is infinite at 0. For a constant sample tf.maximum passes none on.
        variance = tf.maximum(variance, _tiny(compute))
    sigma = tf.sqrt(variance)
    gate = tf.sigmoid(2.0 * alpha * (centred - z_k * sigma))
    return tf.cast(wide * _leaky(gate, float(leak) or None), x.dtype)


def native(x, z_k, alpha, leak):
    """ASH as one fused op for each pass; x and the per-sample statistics are kept between them."""
    check_allowed()
    recomputation.prepare(x)
    # The attribute is a string: one of type float would round the leak to single precision.
    return library().ash_forward(x=x, z_k=z_k, alpha=alpha, leak=repr(float(leak))).y


@gradients.register('AshForward')
def _native_gradient(op, dy, *unused):
    del unused  # the gradients of the statistics, which are outputs that no caller uses
    x, z_k, alpha = op.inputs
    _, mean, sigma = op.outputs
    return list(library().ash_backward(dy=dy, x=recomputation.input_again(op, 0, dy), z_k=z_k,
                                       alpha=alpha, mean=mean, sigma=sigma,
                                       leak=op.get_attr('leak')))


@gradients.register('AshBackward')
def _native_second_gradient(op, *grads):
    """Differentiates the gradients of the plain form.

    They are the same functions of dy, x, z_k and alpha as those of the native form.
    """
    leak = float(op.get_attr('leak'))
    sources = [tf.identity(tensor) for tensor in list(op.inputs)[:4]]

    def first(dy, *variables):
        return _vjp(lambda *inputs: [plain(*inputs, leak=leak)], variables, [dy])

    # None for the statistics: the plain form computes them from x, so x's gradient has their part.
    return _vjp(first, sources, list(grads)) + [None, None]


def _vjp(function, sources, upstream):
    """Gradients for the sources of a function, given the gradients for its outputs."""
    if not tf.executing_eagerly():
        return tf.gradients(function(*sources), sources, upstream)
    with tf.GradientTape() as tape:
        tape.watch(sources)
        outputs = function(*sources)
    return tape.gradient(outputs, sources, output_gradients=upstream)


def recompute(x, z_k, alpha, leak):
    """ASH as graph ops with a backward pass of its own; the derivation is in docs/ash.md."""
    compute, statistics = PRECISION[x.dtype]
    recomputation.prepare(x)
    mean, sigma = moments(x)
    threshold = mean + tf.cast(z_k, statistics) * sigma
    wide = tf.cast(x, compute)
    # Not tf.sigmoid: in float32 it never falls below 1.5e-8, and times a large x that is not small.
    # tf.minimum keeps exp finite for code that differentiates these ops and not by the gradient
    # below, such as a tf.GradientTape in a graph.
    u = tf.minimum(-2.0 * alpha * _minus(wide, threshold), _largest_exponent(compute))
    y = tf.cast(wide * _leaky(1.0 / (1.0 + tf.exp(u)), float(leak) or None), x.dtype)
    inputs = [x, z_k, alpha, threshold, sigma]
    return _RECOMPUTE.attach(y, inputs + ([tf.constant(leak, statistics)] if leak else []))


def _recompute_gradient(op, dy, *unused):
    """As `_gradient`. The gradients of x and z_k include the effect through the statistics."""
    del unused
    _, x, z_k, alpha, threshold, sigma, *leak = op.inputs
    compute = PRECISION[x.dtype][0]
    wide = tf.cast(recomputation.input_again(op, 1, dy), compute)
    dx, dz_k, dalpha = _gradient(tf.cast(dy, compute), wide, threshold, sigma, z_k, alpha,
                                 leak[0] if leak else None)
    return [None, narrow(dx, x.dtype), dz_k, dalpha, None, None] + [None for _ in leak]


_RECOMPUTE = gradients.Gradient('AshRecompute', _recompute_gradient)


def _gradient(dy, x, threshold, sigma, z_k, alpha, leak):
    """Gradients of sum(dy * y) for x, z_k and alpha; dy and x [N, ...], statistics [N, 1, ...]."""
    size = _size(x, sigma.dtype) / tf.maximum(_size(sigma, sigma.dtype), 1)  # of a sample
    centred = _minus(x, threshold)
    u = 2.0 * alpha * centred
    # The gate and its complement come from exp(-|u|), which cannot overflow. Neither is computed as
    # 1 minus the other, which would lose the digits of a small one. `larger` is the gate if u > 0.
    decay = tf.exp(-tf.abs(u))
    larger = 1.0 / (1.0 + decay)
    smaller = decay * larger
    gate = tf.where(u > 0.0, larger, smaller)
    slope = dy * (x * (larger * smaller))  # scale * slope is d loss / d (alpha * centred)
    wide_scale = tf.constant(2.0, sigma.dtype)
    if leak is not None:
        wide_scale *= 1.0 - leak
    scale = tf.cast(wide_scale, x.dtype)
    # d loss / d threshold is -size * pull. The threshold is mean + z_k * sigma.
    # d sigma / d x is (x - mean) / (size * sigma), and taken as 0 where the sample is constant.
    pull = _saturate(tf.cast(scale * alpha, sigma.dtype) * _sample_mean(slope, sigma.dtype))
    z_k = tf.cast(z_k, sigma.dtype)
    varies = sigma > 2.0 * np.sqrt(_tiny(sigma.dtype))
    tilt = tf.where(varies, z_k * pull / sigma, tf.zeros_like(sigma))
    offset = pull + tilt * z_k * sigma  # with x - mean = centred + z_k * sigma
    dx = (dy * _leaky(gate, leak) + (scale * alpha) * slope
          - (narrow(tilt, x.dtype) * centred + narrow(offset, x.dtype)))
    dz_k = -size * tf.reduce_sum(pull * tf.where(varies, sigma, tf.zeros_like(sigma)))
    lever = _sample_mean(slope * centred, sigma.dtype)
    dalpha = size * tf.reduce_sum(_saturate(wide_scale * lever))
    return dx, narrow(dz_k, x.dtype), narrow(dalpha, x.dtype)


def _sample_mean(x, dtype):
    """The mean of each sample of x [N, ...] as [N, 1, ...] of a dtype at least as wide.

    The last axis is averaged in x's own dtype, so that x is read only once. The other axes are
    averaged in the wider dtype.
    """
    if x.shape.ndims is not None and x.shape.ndims > 2:
        x = _mean(x, [x.shape.ndims - 1])
    return _mean(tf.cast(x, dtype), _sample_axes(x))


def _sample_axes(x):
    """All axes but the batch's. In a function of an imported graph the rank can be unknown."""
    return tf.range(1, tf.rank(x)) if x.shape.ndims is None else list(range(1, x.shape.ndims))


def _leaky(gate, leak):
    """leak + (1 - leak) * gate for a leak as a float or a tensor; the gate itself for None."""
    if leak is None:
        return gate
    if isinstance(leak, float):
        return leak + (1.0 - leak) * gate
    return tf.cast(leak, gate.dtype) + tf.cast(1.0 - leak, gate.dtype) * gate


def _mean(x, axes):
    """The mean over some axes; the result keeps them, with size 1."""
    if tf.executing_eagerly():
        return tf.reduce_mean(x, axes, keepdims=True)
    with tf.get_default_graph().gradient_override_map({'Mean': _MEAN}):
        return tf.reduce_mean(x, axes, keepdims=True)


_MEAN = 'AshMean'


@gradients.register(_MEAN)
def _mean_gradient(op, dy):
    """As TensorFlow's own gradient, whose int32 counts overflow at 2^31 elements."""
    x, y = op.inputs[0], op.outputs[0]
    return [tf.zeros_like(x) + dy * (_size(y, dy.dtype) / _size(x, dy.dtype)), None]


def _size(x, dtype):
    """The number of elements of x, as a scalar of a floating dtype."""
    if x.shape.is_fully_defined():
        return tf.constant(float(x.shape.num_elements()), dtype)
    return tf.cast(tf.size(x, out_type=tf.int64), dtype)


def moments(x):
    """Mean and standard deviation of each sample of x [N, ...], both [N, 1, ...].

    The variance has a floor, so that the gradient of its square root is finite. The floor is so
    small that it changes no threshold.
    """
    statistics = PRECISION[x.dtype][1]
    axes = _sample_axes(x)
    wide = tf.cast(x, statistics)
    mean = _saturate(_mean(wide, axes))
    if x.dtype == statistics:
        # float64 has no wider dtype to sum in. Adding the mean of the differences corrects the
        # rounding of the first mean. Without this a constant sample would seem to vary.
        mean += _saturate(_mean(wide - mean, axes))
    variance = _mean(tf.squared_difference(wide, mean), axes)
    return mean, tf.sqrt(tf.clip_by_value(variance, _tiny(statistics), statistics.max))


def _tiny(dtype):
    """The smallest positive normal number of a dtype; it is the floor of a variance."""
    return np.finfo(dtype.as_numpy_dtype).tiny


def _largest_exponent(dtype):
    """The largest whole number whose exponential is finite in a dtype."""
    return np.floor(np.log(np.finfo(dtype.as_numpy_dtype).max))


def _minus(x, offset):
    """x - offset for x [N, ...] and a per-sample offset [N, 1, ...] of x's dtype or a wider one.

    A wider offset is subtracted as two numbers of x's dtype. The first difference is exact where x
    is near the offset, which is where its digits matter. A difference beyond the dtype's range
    becomes the largest finite number.
    """
    high = narrow(offset, x.dtype)
    difference = x - high
    if offset.dtype != x.dtype:
        difference -= narrow(offset - tf.cast(high, offset.dtype), x.dtype)
    return _clip(difference, x.dtype)


def _clip(x, dtype):
    """Clips to the finite range of a dtype."""
    return tf.clip_by_value(x, tf.constant(dtype.min, x.dtype), tf.constant(dtype.max, x.dtype))


def narrow(x, dtype):
    """Casts to the same or a narrower dtype; values beyond its range become its extreme ones."""
    return tf.cast(_clip(x, dtype), dtype)


def _saturate(x):
    """Clips an overflowed sum to the finite range; NaN, a sum of both infinities, becomes 0."""
    x = tf.where(tf.is_nan(x), tf.zeros_like(x), x)
    return _clip(x, x.dtype)
