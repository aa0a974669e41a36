"""The gate of a leaky ASH."""
import tensorflow.compat.v1 as tf


def leaky(gate, leak):
    """leak + (1 - leak) * gate for a leak as a float or a tensor; the gate itself for None."""
    if leak is None:
        return gate
    if isinstance(leak, float):
        return leak + (1.0 - leak) * gate
    return tf.cast(leak, gate.dtype) + tf.cast(1.0 - leak, gate.dtype) * gate
