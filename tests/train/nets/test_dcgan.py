"""DCGAN: its parameters and variables, its sizes, and its layers by hand."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1 import ops
from ash_tf1.nets import get_gan
from tests.train.nets.test_built_nets import describe

pytestmark = pytest.mark.fast


def build(side, activation_fn=tf.nn.relu, is_training=False, **options):
    gan = get_gan('dcgan', ['{}={}'.format(*item) for item in options.items()])
    z = tf.placeholder(tf.float32, [None, gan.latent_size], 'z')
    images, points = gan.generator(z, side, activation_fn, is_training)
    logits, _ = gan.discriminator(images, tf.nn.leaky_relu, is_training)
    return z, images, points, logits


def count(scope):
    return sum(int(np.prod(v.shape.as_list())) for v in tf.trainable_variables('dcgan/' + scope))


def test_the_parameters_are_those_of_the_known_dcgan(new_graph):
    """Those of github.com/carpedm20/DCGAN-tensorflow at 64 pixels; computed from its layers."""
    build(64)
    assert (count('generator'), count('discriminator')) == (5135363, 4316545)


@pytest.mark.parametrize('side, depths', [(32, [256, 128, 64]), (64, [512, 256, 128, 64]),
                                          (128, [1024, 512, 256, 128, 64])])
def test_the_size_doubles_and_the_width_halves(new_graph, side, depths):
    _, images, points, logits = build(side)
    assert images.shape.as_list() == [None, side, side, 3]
    assert logits.shape.as_list() == [None]
    names = ['project'] + ['deconv_{}'.format(i) for i in range(1, len(depths))]
    assert [points[name].shape.as_list() for name in names] == [
        [None, 4 << i, 4 << i, depth] for i, depth in enumerate(depths)]


def test_the_variables_with_ash(new_graph, golden):
    build(32, ops.ASH, width=8, kernel=3, latent_size=5)
    golden('dcgan', describe(tf.global_variables()))


def test_a_transposed_convolution_by_hand(new_graph):
    """Each pixel of the smaller map adds its kernel to the larger one; SAME cuts what is outside.

    TensorFlow's SAME of stride 2 and kernel 5 pads 1 before and 2 after; float32 rounding.
    """
    _, images, points, _ = build(32, width=4, latent_size=3)
    small = np.random.RandomState(0).randn(2, 16, 16, 4).astype(np.float32)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        found = session.run(images, {points['deconv_2']: small})
        kernels, biases = session.run([v for v in tf.trainable_variables()
                                       if v.op.name.startswith('dcgan/generator/images/')])
    assert kernels.shape == (5, 5, 3, 4)  # height, width, outputs, inputs
    large = np.zeros((2, 32 + 3, 32 + 3, 3))
    for row in range(16):
        for column in range(16):
            large[:, 2 * row:2 * row + 5, 2 * column:2 * column + 5] += np.einsum(
                'ni,hwoi->nhwo', small[:, row, column], kernels)
    np.testing.assert_allclose(found, np.tanh(large[:, 1:33, 1:33] + biases), rtol=1e-4, atol=1e-6)
    assert found.std() > 1e-2


def test_reuse_shares_all_variables(new_graph):
    z, images, _, _ = build(32, width=2)
    gan = get_gan('dcgan', ['width=2'])
    names = [v.op.name for v in tf.global_variables()]
    gan.generator(z, 32, tf.nn.relu, True, reuse=True)
    gan.discriminator(images, tf.nn.relu, True, reuse=True, updates=False)
    assert [v.op.name for v in tf.global_variables()] == names
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    assert len(updates) == 6 and all('generator' in op.name for op in updates)


@pytest.mark.parametrize('side', [16, 48, 256])
def test_another_size_is_refused(new_graph, side):
    with pytest.raises(ValueError, match='dcgan makes images of 32, 64, 128 pixels a side, got '
                       + str(side)):
        build(side)


def test_an_unknown_option_lists_the_known():
    with pytest.raises(ValueError, match="unknown option 'depth=3' of dcgan; known are "
                       'latent_size=100, width=64, kernel=5, discriminator_activation='):
        get_gan('dcgan', ['depth=3'])
