"""The tolerance that a graph's own conditioning gives, whatever its inputs are."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1.converting import onnx_model, proof

PIXELS = np.random.RandomState(0).randint(0, 256, (4, 6, 6, 3))
IDS = np.array([[0, 2, 1], [3, 1, 1]])


@pytest.fixture(autouse=True)
def new_graph():
    with tf.Graph().as_default():
        yield


def tolerance(make, dtype, values):
    """The tolerance of a graph that a function makes of a placeholder."""
    x = tf.placeholder(dtype, (None,) + values.shape[1:], name='x')
    tf.identity(make(x), name='y')
    signature = onnx_model.Signature((('x', 'x:0'),), (('y', 'y:0'),))
    return proof.prove(tf.get_default_graph().as_graph_def(), signature,
                       [values.astype(dtype.as_numpy_dtype)]).tolerance


def magnified(x):
    """A graph that makes 1e-4 or so of one rounding: what is left of large numbers."""
    x = tf.cast(x, tf.float32)
    return (x + 1e3) * (x + 1e3) - (1e6 + 2e3 * x + 0.999 * x * x)


def table(ids):
    return tf.gather(tf.constant(np.random.RandomState(0).rand(4, 5) * 255, tf.float32), ids)


@pytest.mark.parametrize('dtype, values, make', [
    (tf.float32, PIXELS, magnified), (tf.uint8, PIXELS, magnified),
    (tf.uint8, PIXELS, lambda x: magnified(tf.reverse(x, [3]))),
    (tf.int32, IDS, lambda x: magnified(table(x)))],
    ids=['floating point', 'pixels', 'pixels, reversed', 'embedded integers'])
def test_what_magnifies_roundings_has_a_wide_tolerance(dtype, values, make):
    assert 10 * proof.LEAST < tolerance(make, dtype, values) <= proof.MOST


@pytest.mark.parametrize('dtype, values', [(tf.float32, PIXELS), (tf.uint8, PIXELS)])
def test_what_does_not_has_the_least(dtype, values):
    assert tolerance(lambda x: 2.0 * tf.cast(x, tf.float32), dtype, values) == proof.LEAST


def half_as_large(x):
    sizes = tf.cast(tf.cast(tf.shape(x)[1:3], tf.float32) * 0.5, tf.int32)
    return tf.image.resize_bilinear(tf.cast(x, tf.float32), sizes)


def recurrent(ids):
    def step(i, total):
        return i + 1, total + table(ids[:, i])
    return tf.while_loop(lambda i, total: i < 3, step, [0, tf.zeros([tf.shape(ids)[0], 5])])[1]


def chosen(x):
    return tf.cond(tf.reduce_any(x > 250), lambda: tf.cast(x, tf.float32),
                   lambda: tf.cast(x, tf.float32) * 2.0)


@pytest.mark.parametrize('dtype, values, make', [
    (tf.uint8, PIXELS, half_as_large), (tf.int32, IDS, recurrent), (tf.uint8, PIXELS, chosen),
    (tf.int32, IDS, lambda ids: ids * 2)], ids=['sizes', 'a loop', 'a condition', 'integers alone'])
def test_what_cannot_be_moved_is_left(dtype, values, make):
    """A size of 5.9999995 would be another one, and what is inside a loop takes no feed."""
    assert tolerance(make, dtype, values) == proof.LEAST


@pytest.mark.parametrize('make, message', [
    (lambda x: tf.log(-x), 'NaN or infinity as y'), (lambda x: tf.check_numerics(x / 0.0, 'no'),
                                                     'cannot run the graph on the samples: no')])
def test_answers_that_are_no_numbers_are_refused(make, message):
    with pytest.raises(RuntimeError, match=message):
        tolerance(make, tf.float32, np.abs(PIXELS) + 1.0)
