"""Saves models as TensorFlow 2 behavior does, and what they answer; `test_convert.py` runs it.

    save_models.py FOLDER

writes FOLDER/NAME, a SavedModel whose signature calls functions that hold variables, and
FOLDER/NAME.npz with inputs by their names in the signature and what the model answers as `answer`.
"""
import os
import sys

import numpy as np
import tensorflow as tf

from ash_tf1 import ops
from ash_tf1.keras import ASH

tf.compat.v1.enable_v2_behavior()
LAYERS = tf.keras.layers


class Module(tf.Module):
    """Functions that call functions; one is called twice, and a condition reads a variable."""

    def __init__(self):
        rng = np.random.RandomState(0)
        self.kernel = tf.Variable(rng.randn(4, 4).astype('f'))
        self.z_k, self.alpha = tf.Variable([0.3]), tf.Variable([1.2])

    @tf.function
    def layer(self, x):
        return ops.apply_ash(tf.matmul(x, self.kernel), self.z_k, self.alpha)

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
    def __call__(self, x):
        y = self.layer(self.layer(x))
        if tf.reduce_sum(y) > 0.0:
            y = y * self.kernel[0]
        for _ in tf.range(3):
            y = self.layer(y) + 1.0
        return {'y': y}


def convolutional():
    model = tf.keras.Sequential([
        LAYERS.Conv2D(4, 3, input_shape=(8, 8, 3), name='images'), LAYERS.BatchNormalization(),
        ASH(), LAYERS.Flatten(), LAYERS.Dropout(0.5), LAYERS.Dense(3)])
    model.compile('sgd', 'mse')
    rng = np.random.RandomState(0)
    model.fit(rng.randn(16, 8, 8, 3), rng.randn(16, 3), verbose=0)
    return model, rng.randn(4, 8, 8, 3)


def lstm():
    return (tf.keras.Sequential([LAYERS.LSTM(4, input_shape=(5, 3)), LAYERS.Dense(3)]),
            np.random.RandomState(0).randn(4, 5, 3))


def gru():
    return (tf.keras.Sequential([LAYERS.Embedding(10, 4, input_length=5), LAYERS.GRU(4),
                                 LAYERS.Dense(3)]),
            np.random.RandomState(0).randint(0, 10, (4, 5)))


def main(folder):
    tf.compat.v1.set_random_seed(0)
    x = np.random.RandomState(0).randn(3, 4).astype('f')
    module = Module()
    tf.saved_model.save(module, os.path.join(folder, 'module'), signatures=module.__call__)
    np.savez(os.path.join(folder, 'module.npz'), x=x, answer=module(tf.constant(x))['y'].numpy())
    for make in (convolutional, lstm, gru):
        model, inputs = make()
        inputs = inputs.astype('f')
        model.save(os.path.join(folder, make.__name__), save_format='tf')
        np.savez(os.path.join(folder, make.__name__ + '.npz'), answer=model.predict(inputs),
                 **{model.input_names[0]: inputs})


if __name__ == '__main__':
    main(sys.argv[1])
