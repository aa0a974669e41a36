"""What minimises a loss: SGD with momentum, a penalty of kernels, a bound of the gradient."""
import tensorflow.compat.v1 as tf


def make_optimizer(settings, rate):
    """The optimiser that `Settings` ask for, at a learning rate, a float32 scalar tensor."""
    return tf.train.MomentumOptimizer(rate, settings.momentum, use_nesterov=settings.nesterov)


def minimize(objective, optimizer, settings, global_step=None):
    """The op that does one step of an `Objective`, and then moves what BatchNorm averages.

    Args:
      objective: the `Objective`.
      optimizer: a `tf.train.Optimizer`.
      settings: the `Settings`: weight_decay and clip_norm.
      global_step: variable that counts the step; none by default.
    """
    variables = tf.trainable_variables(_prefix(objective.scope))
    kernels = [v for v in decayed_variables() if v in variables]
    loss = objective.loss + settings.weight_decay * tf.add_n(
        [tf.nn.l2_loss(kernel) for kernel in kernels] or [tf.zeros([])])
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS, _prefix(objective.scope))
    with tf.control_dependencies(updates):
        gradients = optimizer.compute_gradients(loss, variables)
        if settings.clip_norm:
            gradients = _clip(gradients, settings.clip_norm)
        return optimizer.apply_gradients(gradients, global_step=global_step)


def decayed_variables():
    """The kernels: what has rank 2 or more. z_k, alpha, beta, biases and BatchNorm have rank 1."""
    return [v for v in tf.trainable_variables() if v.shape.ndims > 1]


def _prefix(scope):
    """A variable scope as a pattern for the names in it; None, for all of them, where it is ''."""
    return scope + '/' if scope else None


def _clip(gradients, norm):
    """Scales the gradients of (gradient, variable) pairs down to a norm of all of them together."""
    gradients, variables = zip(*gradients)
    return list(zip(tf.clip_by_global_norm(gradients, norm)[0], variables))
