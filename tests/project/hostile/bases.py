"""The graphs that hostile_graphs.py mutates: small, of every kind that tools/convert.py takes."""
import os

import tensorflow.compat.v1 as tf

from ash_tf1 import ops

FROZEN = ('native', 'recompute', 'published', 'loop')


def published_ash(x):
    """As the paper's layer has it."""
    z_k, alpha = tf.get_variable('z_k', [1]), tf.get_variable('alpha', [1])
    mean, variance = tf.nn.moments(x, [1, 2, 3], keep_dims=True)
    return x / (1.0 + tf.exp(-2.0 * alpha * (x - mean - z_k * tf.sqrt(variance))))



def net(activation):
    """Scores of 3 classes for images [N, 8, 8, 3]."""
    x = tf.placeholder(tf.float32, (None, 8, 8, 3), name='x')
    y = tf.layers.conv2d(x, 4, 3, activation=activation, name='conv')
    y = tf.nn.relu(tf.layers.batch_normalization(y))
    return x, tf.identity(tf.layers.dense(tf.reduce_mean(y, [1, 2]), 3), name='y')


def loop():
    """An LSTM over a sequence, and a loop of other things."""
    x = tf.placeholder(tf.float32, (None, 5, 4), name='x')
    cell = tf.nn.rnn_cell.BasicLSTMCell(6)
    outputs, _ = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32)
    _, y = tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, tf.tanh(y) * 0.5),
                         (0, outputs[:, -1]))
    return x, tf.identity(y, name='y')


def make(folder):
    """Makes all of them in a folder: NAME.pb, meta/net.ckpt*, and the SavedModel saved/."""
    os.makedirs(folder)
    for name in FROZEN:
        with tf.Graph().as_default() as graph, tf.Session() as session:
            tf.set_random_seed(0)
            loop() if name == 'loop' else net(
                published_ash if name == 'published' else ops.get_activation('ash', name))
            session.run(tf.global_variables_initializer())
            frozen = tf.graph_util.convert_variables_to_constants(
                session, graph.as_graph_def(), ['y'])
            tf.io.write_graph(frozen, folder, name + '.pb', as_text=False)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        x, y = net(ops.ASH)
        scale = tf.get_variable('scale', [3], use_resource=True)
        y = tf.multiply(y, scale, name='scaled')
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, os.path.join(folder, 'meta', 'net.ckpt'))
        builder = tf.saved_model.Builder(os.path.join(folder, 'saved'))
        signature = tf.saved_model.predict_signature_def({'images': x}, {'scores': y})
        builder.add_meta_graph_and_variables(session, ['serve'], {'serving_default': signature})
        builder.save()
