"""Part of a net whose inner tensors are computed again in the backward pass, to save memory."""
import contextlib

import tensorflow.compat.v1 as tf
import tf_slim as slim


def recompute_in_backward(function, inputs):
    """function(*inputs), of which nothing but the inputs is kept for the backward pass.

    The function is built twice over one set of variables. The first is not differentiated, so that
    its inner tensors are freed as soon as they were used. The second is, and begins when the
    gradient of the output is there.

    Args:
      function: function of tensors that gives one tensor, and makes its variables by
        `tf.get_variable` in the current variable scope. Nothing in it may be random, for the two
        would differ.
      inputs: sequence of floating-point tensors, the only ones that the function depends on.

    Returns:
      What the function gives. What it adds to collections, such as updates of BatchNorm's averages,
      is there once.
    """
    inputs = tuple(inputs)  # the caller may go on with its list before gradients are taken
    scope, variables = tf.get_variable_scope(), []

    def record(getter, *args, **kwargs):
        variable = getter(*args, **kwargs)
        if variable.trainable and variable not in variables:
            variables.append(variable)
        return variable

    with slim.arg_scope([]) as arg_scope, \
            tf.variable_scope(scope, custom_getter=record, auxiliary_name_scope=False):
        outputs = function(*inputs)

    @tf.custom_gradient
    def attach_gradient(*sources):
        del sources  # the outputs depend on them; here they say whom the gradients are for

        def grad(outputs_grad):
            with tf.control_dependencies([outputs_grad]):
                # Without the wait these would be the first time's tensors, which would be kept.
                copies = [tf.identity(tensor) for tensor in inputs]
            with _collections_kept(), slim.arg_scope(arg_scope), \
                    tf.variable_scope(scope, reuse=True, auxiliary_name_scope=False):
                again = function(*copies)
            return tf.gradients(again, copies + variables, outputs_grad, stop_gradients=copies)

        return outputs, grad

    return attach_gradient(*inputs, *(tf.convert_to_tensor(variable) for variable in variables))


@contextlib.contextmanager
def _collections_kept():
    """Undoes, in the end, what was added to the graph's collections."""
    graph = tf.get_default_graph()
    before = {key: graph.get_collection(key) for key in graph.get_all_collection_keys()}
    yield
    for key in graph.get_all_collection_keys():
        graph.get_collection_ref(key)[:] = before.get(key, [])
