"""The three forms of ASH on tensors: the arithmetic behind `ops`, its checks and variables done.

All take x [N, ...] of a dtype in `PRECISION`, scalars z_k and alpha of the dtype in which x's
elements are computed, and the leak as a Python float, and return x * (leak + (1 - leak) * gate) in
x's shape and dtype. docs/ash.md has the derivation.
"""
import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1.native import library

# dtype of x: (dtype of what is computed per element, dtype of the per-sample statistics).
# Statistics in a wider dtype cannot overflow, and keep their digits where the mean is far larger
# than the deviation.
PRECISION = {
    tf.float16: (tf.float32, tf.float32),
    tf.float32: (tf.float32, tf.float64),
    tf.float64: (tf.float64, tf.float64),
}


def plain(x, z_k, alpha, leak):
    """ASH as ordinary differentiable ops: the reference, and what an exported graph holds."""
    compute = PRECISION[x.dtype][0]
    wide = tf.cast(x, compute)
    axes = list(range(1, x.shape.ndims))
    mean = tf.reduce_mean(wide, axes, keepdims=True)
    centred = wide - mean
    variance = tf.reduce_mean(tf.square(centred), axes, keepdims=True)
    # The floor stops the gradient where a sample is constant: sqrt's own is infinite there.
    sigma = tf.sqrt(tf.maximum(variance, _tiny(compute)))
    gate = tf.sigmoid(2.0 * alpha * (centred - z_k * sigma))
    return tf.cast(wide * _leaky(gate, leak), x.dtype)


def native(x, z_k, alpha, leak):
    """ASH as one fused op each way, which keeps x and the per-sample statistics in between."""
    # As text, in which a float is itself again.
    return library().ash_forward(x=x, z_k=z_k, alpha=alpha, leak=repr(float(leak))).y


@tf.RegisterGradient('AshForward')
def _native_gradient(op, dy, *unused):
    del unused  # of the statistics, which nobody gets
    x, z_k, alpha = op.inputs
    _, mean, sigma = op.outputs
    return list(library().ash_backward(dy=dy, x=_input_again(x, dy), z_k=z_k, alpha=alpha,
                                       mean=mean, sigma=sigma, leak=op.get_attr('leak')))


@tf.RegisterGradient('AshBackward')
def _native_second_gradient(op, *grads):
    """By the plain form, whose gradients are the same functions of dy, x, z_k and alpha."""
    dy, x, z_k, alpha, _, _ = op.inputs
    leak = float(op.get_attr('leak'))
    sources = [tf.identity(tensor) for tensor in (dy, x, z_k, alpha)]
    dy, x, z_k, alpha = sources
    # Tapes, and not tf.gradients, for those who execute eagerly.
    with tf.GradientTape() as second:
        second.watch(sources)
        with tf.GradientTape() as first:
            first.watch(sources[1:])
            y = plain(x, z_k, alpha, leak)
        gradients = first.gradient(y, sources[1:], output_gradients=dy)
    # The statistics are functions of x, through which the plain form has gone.
    return second.gradient(gradients, sources, output_gradients=list(grads)) + [None, None]


def recompute(x, z_k, alpha, leak):
    """ASH with a backward pass of its own, over tensors; the derivation is in docs/ash.md."""
    compute, statistics = PRECISION[x.dtype]

    @tf.custom_gradient
    def kernel(x, z_k, alpha):
        mean, sigma = moments(x)
        threshold = mean + tf.cast(z_k, statistics) * sigma
        wide = tf.cast(x, compute)
        # Not tf.sigmoid, which in float32 never falls below 1.5e-8: much, beside a large x. Where
        # exp overflows to inf the quotient is the right 0, and no autodiff runs through here.
        gate = 1.0 / (1.0 + tf.exp(-2.0 * alpha * _minus(wide, threshold)))
        y = tf.cast(wide * _leaky(gate, leak), x.dtype)

        def gradient(dy):
            wide = tf.cast(_input_again(x, dy), compute)
            dx, dz_k, dalpha = _gradient(tf.cast(dy, compute), wide, threshold, sigma,
                                         z_k, alpha, leak)
            return narrow(dx, x.dtype), dz_k, dalpha

        return y, gradient

    return kernel(x, z_k, alpha)


def _input_again(x, dy):
    """x as the backward pass takes it: in new nodes, which wait for the gradient dy.

    Were they the forward pass's own, the graph optimiser would merge what both passes compute, and
    keep every intermediate alive in between. Where x is the output of a fused BatchNorm, that is
    computed again: its own input is kept for its gradient anyway, so that of the two maps, and the
    activation's output, no more are kept than a ReLU keeps, which needs but its output.
    """
    if tf.executing_eagerly():
        return x
    source = x
    while source.op.type == 'Identity':
        source = source.op.inputs[0]
    norm = source.op
    with tf.control_dependencies([dy]):
        if not norm.type.startswith('FusedBatchNorm') or source.value_index != 0:
            return tf.identity(x)
        first = tf.identity(norm.inputs[0])
    scale, offset, mean, variance = list(norm.inputs)[1:]
    if not norm.get_attr('is_training'):
        return _norm(norm, [first, scale, offset, mean, variance], is_training=False)
    # With the batch's statistics given, it takes half the time. The variance that it puts out is
    # the unbiased estimate; it normalises by the other.
    mean, variance = norm.outputs[1:3]
    count = tf.cast(tf.size(first) // tf.size(scale), variance.dtype)
    variance *= tf.maximum(count - 1, 1) / count
    with tf.get_default_graph().gradient_override_map({norm.type: 'AshNormAgain'}):
        return _norm(norm, [first, scale, offset, mean, variance], is_training=False)


def _norm(norm, inputs, is_training):
    """The output of an op like a given fused BatchNorm, on other inputs."""
    return tf.get_default_graph().create_op(
        norm.type, inputs, [output.dtype for output in norm.outputs], name='norm_again',
        attrs={'is_training': tf.AttrValue(b=is_training),
               **{name: norm.node_def.attr[name] for name in ('T', 'U', 'epsilon', 'data_format')
                  if name in norm.node_def.attr}}).outputs[0]


@tf.RegisterGradient('AshNormAgain')
def _norm_again_gradient(op, dy, *unused):
    """For gradients of second order: the statistics that were given are functions of the input."""
    del unused  # of what is put out besides, which nobody gets
    inputs = list(op.inputs)[:3]
    empty = tf.zeros([0], op.inputs[3].dtype)
    y = _norm(op, inputs + [empty, empty], is_training=True)
    return tf.gradients(y, inputs, dy) + [None, None]


def _gradient(dy, x, threshold, sigma, z_k, alpha, leak):
    """Gradients of sum(dy * y) for x, z_k and alpha; dy and x [N, ...], statistics [N, 1, ...]."""
    size = tf.cast(tf.reduce_prod(tf.shape(x)[1:]), sigma.dtype)
    centred = _minus(x, threshold)
    u = 2.0 * alpha * centred
    # The gate and its complement from one exponential of what is not positive: neither overflows,
    # and neither is a difference without digits. `larger` is the gate where u is positive.
    decay = tf.exp(-tf.abs(u))
    larger = 1.0 / (1.0 + decay)
    smaller = decay * larger
    gate = tf.where(u > 0.0, larger, smaller)
    slope = dy * (x * (larger * smaller))  # times scale: d loss / d (alpha * centred)
    scale = 2.0 * (1.0 - leak)
    # d loss / d threshold is -size * pull; the threshold is mean + z_k * sigma, and
    # d sigma / d x is (x - mean) / (size * sigma), 0 where the sample is constant.
    pull = _saturate(tf.cast(scale * alpha, sigma.dtype) * _sample_mean(slope, sigma.dtype))
    z_k = tf.cast(z_k, sigma.dtype)
    varies = sigma > 2.0 * np.sqrt(_tiny(sigma.dtype))
    tilt = tf.where(varies, z_k * pull / sigma, tf.zeros_like(sigma))
    offset = pull + tilt * z_k * sigma  # with x - mean = centred + z_k * sigma
    dx = (dy * _leaky(gate, leak) + (scale * alpha) * slope
          - (narrow(tilt, x.dtype) * centred + narrow(offset, x.dtype)))
    dz_k = -size * tf.reduce_sum(pull * tf.where(varies, sigma, tf.zeros_like(sigma)))
    dalpha = size * tf.reduce_sum(_saturate(scale * _sample_mean(slope * centred, sigma.dtype)))
    return dx, narrow(dz_k, x.dtype), narrow(dalpha, x.dtype)


def _sample_mean(x, dtype):
    """The mean of each sample of x [N, ...] as [N, 1, ...] of a dtype at least as wide.

    The last axis is summed in x's own dtype, which reads x but once, the rest in the wider one.
    """
    if x.shape.ndims > 2:
        x = tf.reduce_mean(x, -1, keepdims=True)
    return tf.reduce_mean(tf.cast(x, dtype), list(range(1, x.shape.ndims)), keepdims=True)


def _leaky(gate, leak):
    return leak + (1.0 - leak) * gate if leak else gate


def moments(x):
    """Mean and standard deviation of each sample of x [N, ...], both [N, 1, ...].

    The deviation has a floor that no threshold notices, so that its square root has a gradient.
    """
    statistics = PRECISION[x.dtype][1]
    axes = list(range(1, x.shape.ndims))
    wide = tf.cast(x, statistics)
    mean = _saturate(tf.reduce_mean(wide, axes, keepdims=True))
    if x.dtype == statistics:
        # Nothing wider to sum in: the mean of what is left takes the first sum's rounding away,
        # without which a constant sample would seem to vary.
        mean += _saturate(tf.reduce_mean(wide - mean, axes, keepdims=True))
    variance = tf.reduce_mean(tf.squared_difference(wide, mean), axes, keepdims=True)
    return mean, tf.sqrt(tf.clip_by_value(variance, _tiny(statistics), statistics.max))


def _tiny(dtype):
    """The least normal number of a dtype, the floor of a variance."""
    return np.finfo(dtype.as_numpy_dtype).tiny


def _minus(x, offset):
    """x - offset for x [N, ...] and a per-sample offset [N, 1, ...] of x's dtype or a wider one.

    The wider offset is taken off in two parts of x's dtype: the first difference is exact where x
    is near the offset, where it matters. The clip is for differences that leave the range.
    """
    high = narrow(offset, x.dtype)
    difference = x - high
    if offset.dtype != x.dtype:
        difference -= narrow(offset - tf.cast(high, offset.dtype), x.dtype)
    return _clip(difference, x.dtype)


def _clip(x, dtype):
    """Clips to the finite range of a dtype.

    In one pass, unlike tf.clip_by_value with its two; with the gradient of the identity, since
    what is clipped has left the numbers.
    """
    @tf.custom_gradient
    def clip(x):
        return tf.raw_ops.ClipByValue(t=x, clip_value_min=tf.constant(dtype.min, x.dtype),
                                      clip_value_max=tf.constant(dtype.max, x.dtype)), tf.identity
    return clip(x)


def narrow(x, dtype):
    """Casts to a dtype no wider, saturating instead of overflowing."""
    return tf.cast(_clip(x, dtype), dtype)


def _saturate(x):
    """Clips an overflowed sum to the finite range; one of both infinities (NaN) becomes 0."""
    x = tf.where(tf.is_nan(x), tf.zeros_like(x), x)
    return _clip(x, x.dtype)
