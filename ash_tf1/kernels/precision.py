"""In which dtypes ASH is computed, and arithmetic that stays in the range of a dtype."""
import numpy as np
import tensorflow.compat.v1 as tf

# dtype of x: (dtype of what is computed per element, dtype of the per-sample statistics).
# Statistics in a wider dtype cannot overflow. They also keep their digits if the mean is far larger
# than the deviation.
PRECISION = {
    tf.float16: (tf.float32, tf.float32),
    tf.float32: (tf.float32, tf.float64),
    tf.float64: (tf.float64, tf.float64),
}


def tiny(dtype):
    """The smallest positive normal number of a dtype; it is the floor of a variance."""
    return np.finfo(dtype.as_numpy_dtype).tiny


def largest_exponent(dtype):
    """The largest whole number whose exponential is finite in a dtype."""
    return np.floor(np.log(np.finfo(dtype.as_numpy_dtype).max))


def subtract(x, offset):
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


def saturate(x):
    """Clips an overflowed sum to the finite range; NaN, a sum of both infinities, becomes 0."""
    x = tf.where(tf.is_nan(x), tf.zeros_like(x), x)
    return _clip(x, x.dtype)
