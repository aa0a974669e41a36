"""ASH as one fused op for each pass, and the gradients of both."""
import tensorflow.compat.v1 as tf

from ash_tf1 import gradients, recomputation
from ash_tf1.kernels.ordinary import plain
from ash_tf1.native import check_allowed, library


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
