"""A task that the package does not know: a line through points, by least squares."""
import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1.input_pipelines import ArraySplit, Dataset
from ash_tf1.tasks import Interface, MeanEvaluator, Metric, Objective, Task


class Regression(Task):
    name = 'regression'
    metrics = (Metric('loss', 'Mean squared error', 'loss {:.4f}'),)
    best = ('loss', min)

    def feeds(self, spec):
        return {'x': tf.placeholder(tf.float32, (None, 4), 'x'),
                'y': tf.placeholder(tf.float32, (None,), 'y')}

    def forward(self, feeds, spec, activation_fn, is_training, reuse=None):
        with tf.variable_scope('toy', reuse=reuse):
            hidden = activation_fn(tf.layers.dense(feeds['x'], 8, name='hidden'))
            return tf.layers.dense(hidden, 1, name='output')[:, 0]

    def objectives(self, outputs, feeds, settings):
        return [Objective('loss', tf.reduce_mean(tf.square(outputs - feeds['y'])))]

    def evaluator(self, outputs, feeds):
        return MeanEvaluator({'loss': tf.square(outputs - feeds['y'])})

    def interface(self, spec, activation_fn):
        x = tf.placeholder(tf.float32, (None, 4), 'x')
        return Interface({'x': x}, {'estimate': tf.identity(
            self.forward({'x': x}, spec, activation_fn, False), 'estimate')})


def points(data_dir=None):
    """A data set of points on a plane."""
    rng = np.random.RandomState(0)
    x = rng.randn(320, 4).astype(np.float32)
    y = (x @ np.array([1.0, -2.0, 0.5, 3.0])).astype(np.float32)
    train, test = (ArraySplit(x=x[part], y=y[part]) for part in (slice(256), slice(256, None)))
    return Dataset('points', train, None, test)
