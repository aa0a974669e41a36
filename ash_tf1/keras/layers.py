"""ASH and Swish as tf.keras layers, made of the functions of `ops`."""
import tensorflow.compat.v1 as tf

from ash_tf1 import kernels, ops


class _Activation(tf.keras.layers.Layer):
    """A layer from one tensor to one tensor of the same shape and dtype; it passes a mask on."""

    MIN_RANK = 0

    def __init__(self, **kwargs):
        # Under v2 behavior Keras would cast float16 and float64 inputs to float32.
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True

    def build(self, input_shape):
        # Not in `call`, because Keras rewrites that function, and with it the messages of errors.
        if isinstance(input_shape, (list, dict)) or (
                isinstance(input_shape, tuple) and any(map(_is_shape, input_shape))):
            raise ValueError('layer {!r} takes one tensor, got {}: {}'.format(
                self.name, len(input_shape), input_shape))
        shape = tf.TensorShape(input_shape)
        if self.MIN_RANK and (shape.ndims is None or shape.ndims < self.MIN_RANK):
            raise ValueError('layer {!r} needs a known rank of {} or more, batch first; got shape '
                             '{}'.format(self.name, self.MIN_RANK, shape))
        self._compute_dtype_of_weights()
        super().build(input_shape)

    def compute_output_shape(self, input_shape):
        return tf.TensorShape(input_shape)

    def _compute_dtype_of_weights(self):
        """The dtype of the weights: float64 if the layer's dtype is float64, else float32."""
        dtype = tf.as_dtype(self.dtype or tf.keras.backend.floatx())
        if dtype not in kernels.PRECISION:
            raise ValueError('layer {!r} takes float16, float32 or float64, got {}'.format(
                self.name, dtype.name))
        return kernels.PRECISION[dtype][0]


class ASH(_Activation):
    """Adaptive SwisH as a layer: x * sigmoid(2 * alpha * (x - mu - z_k * sigma)).

    It computes `ops.ASH`: mu and sigma are those of each sample over all its non-batch axes, in any
    layout. The weights `z_k` (initially 1e-3) and `alpha` (1.0) have shape (1,). They are float64
    if the layer's dtype is float64, else float32.

    Args:
      implementation: 'auto', 'native', 'recompute' or 'plain', as for `ops.ASH`.
      **kwargs: as for any layer: name, dtype, trainable.

    Raises:
      ValueError: the implementation is unknown. On the first call: the input is not one floating
        point tensor of a known rank of 2 or more.
    """

    MIN_RANK = 2

    def __init__(self, implementation=ops.AUTO, **kwargs):
        ops.check_implementation(implementation)
        super().__init__(**kwargs)
        self.implementation = implementation

    def build(self, input_shape):
        super().build(input_shape)
        self.z_k = self._add_parameter('z_k', ops.Z_K_INIT)
        self.alpha = self._add_parameter('alpha', ops.ALPHA_INIT)

    def call(self, inputs):
        return ops.apply_ash(inputs, self.z_k, self.alpha, implementation=self.implementation)

    def get_config(self):
        return dict(super().get_config(), implementation=self.implementation)

    def _add_parameter(self, name, value):
        # Without experimental_autocast=False a mixed precision policy casts the weight to float16.
        return self.add_weight(name, shape=(1,), dtype=self._compute_dtype_of_weights(),
                               initializer=tf.keras.initializers.Constant(value),
                               experimental_autocast=False)


class Swish(_Activation):
    """Swish with beta = 1 as a layer: x * sigmoid(x) (arXiv 1710.05941). It has no weights.

    Args:
      **kwargs: as for any layer: name, dtype, trainable.

    Raises:
      ValueError: on the first call, the input is not one floating point tensor.
    """

    def call(self, inputs):
        return ops.swish(inputs)


def _is_shape(part):
    return isinstance(part, (tuple, list, tf.TensorShape))


# Registers the layers for load_model, as tf.keras.utils.register_keras_serializable does in later
# versions. A class that was registered under the same name before stays.
for _layer in (ASH, Swish):
    tf.keras.utils.get_custom_objects().setdefault(_layer.__name__, _layer)
