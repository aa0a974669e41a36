"""Minimises a loss: the optimiser, weight decay of the kernels, clipping of the gradient."""
import tensorflow.compat.v1 as tf


def make_optimizer(settings, rate):
    """The optimiser for `Settings`; `rate` is the learning rate, a float32 scalar tensor."""
    return OPTIMIZERS[settings.optimizer](rate, settings)


OPTIMIZERS = {
    'momentum': lambda rate, settings: tf.train.MomentumOptimizer(
        rate, settings.momentum, use_nesterov=settings.nesterov),
    'adam': lambda rate, settings: tf.train.AdamOptimizer(rate, settings.beta1, settings.beta2),
}


def minimize(objective, optimizer, settings, global_step=None):
    """The op that minimises an `Objective` by one step. It also updates BatchNorm's averages.

    Args:
      objective: the `Objective`.
      optimizer: a `tf.train.Optimizer`.
      settings: the `Settings`, of which weight_decay and clip_norm are used.
      global_step: variable that is increased by 1; none by default.

    Returns:
      A `tf.Operation`.
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
    """The variables with weight decay: the kernels, which have rank 2 or more.

    z_k, alpha, beta, biases and the variables of BatchNorm have rank 1. A parameter of an
    activation of one's own is decayed by the same rule.
    """
    return [v for v in tf.trainable_variables() if v.shape.ndims > 1]


def _prefix(scope):
    """A variable scope as a prefix for collections; None, for all variables, if it is ''."""
    return scope + '/' if scope else None


def _clip(gradients, norm):
    """Scales the gradients of (gradient, variable) pairs down, if their global norm is larger."""
    gradients, variables = zip(*gradients)
    return list(zip(tf.clip_by_global_norm(gradients, norm)[0], variables))
