"""ASH as graph ops that keep x and the statistics alone, and compute the rest again backwards."""
import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1 import gradients, recomputation
from ash_tf1.kernels.gate import leaky
from ash_tf1.kernels.precision import (
    PRECISION,
    largest_exponent,
    narrow,
    saturate,
    subtract,
    tiny,
)
from ash_tf1.kernels.statistics import count, moments, sample_mean


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
    u = tf.minimum(-2.0 * alpha * subtract(wide, threshold), largest_exponent(compute))
    y = tf.cast(wide * leaky(1.0 / (1.0 + tf.exp(u)), float(leak) or None), x.dtype)
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
    size = count(x, sigma.dtype) / tf.maximum(count(sigma, sigma.dtype), 1)  # of a sample
    centred = subtract(x, threshold)
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
    pull = saturate(tf.cast(scale * alpha, sigma.dtype) * sample_mean(slope, sigma.dtype))
    z_k = tf.cast(z_k, sigma.dtype)
    varies = sigma > 2.0 * np.sqrt(tiny(sigma.dtype))
    tilt = tf.where(varies, z_k * pull / sigma, tf.zeros_like(sigma))
    offset = pull + tilt * z_k * sigma  # with x - mean = centred + z_k * sigma
    dx = (dy * leaky(gate, leak) + (scale * alpha) * slope
          - (narrow(tilt, x.dtype) * centred + narrow(offset, x.dtype)))
    dz_k = -size * tf.reduce_sum(pull * tf.where(varies, sigma, tf.zeros_like(sigma)))
    lever = sample_mean(slope * centred, sigma.dtype)
    dalpha = size * tf.reduce_sum(saturate(wide_scale * lever))
    return dx, narrow(dz_k, x.dtype), narrow(dalpha, x.dtype)
