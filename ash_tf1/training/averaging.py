"""Exponential moving averages of a net's variables, with which it is evaluated and exported."""
import tensorflow.compat.v1 as tf


class Averages:
    """The averages of variables, or the variables themselves if there are no averages.

    After step t an average a of a variable v becomes a * d + v * (1 - d). The d is the least of the
    decay and (1 + t) / (10 + t), so that the initial values are soon forgotten. Checkpoints have
    the averages under the names of `tf.train.ExponentialMovingAverage`.
    """

    def __init__(self, decay):
        """Takes the decay, a float in [0, 1); with 0 there are no averages."""
        self._decay = decay
        self._averages = {}  # name of a variable -> (the variable, its average)

    def follow(self, variables, global_step, train_op):
        """Makes the averages of variables; returns the op that runs a train_op and updates them."""
        if not self._decay:
            return train_op
        with tf.control_dependencies([train_op]):
            ema = tf.train.ExponentialMovingAverage(self._decay, global_step.read_value())
            update = ema.apply(variables)
        self._averages = {v.op.name: (v, ema.average(v)) for v in variables}
        return update

    def of(self, variable):
        """The average of a variable; the variable itself if it has none."""
        return self._averages.get(variable.op.name, (variable, variable))[1]

    def getter(self, getter, *args, **kwargs):
        """The custom_getter of a `tf.variable_scope` that gives the averages of its variables."""
        return self.of(getter(*args, **kwargs))

    def begin(self):
        """The op that sets each average to the present value of its variable."""
        return tf.group(*[average.assign(variable)
                          for variable, average in self._averages.values()])
