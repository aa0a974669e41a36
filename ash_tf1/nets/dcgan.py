"""DCGAN (arXiv 1511.06434): a generator of images, and the discriminator that trains it.

With the default options and 64 pixels the two have the layers, and so the 5,135,363 and 4,316,545
parameters, of github.com/carpedm20/DCGAN-tensorflow. Each image size has one more or one less of
the stages that double the size; the widths double towards the smallest map.
"""
import collections
import dataclasses

import tensorflow.compat.v1 as tf
import tf_slim as slim

SCOPE = 'dcgan'
GENERATOR_SCOPE, DISCRIMINATOR_SCOPE = SCOPE + '/generator', SCOPE + '/discriminator'
SIDES = (32, 64, 128)  # pixels of an image
FIRST_SIDE = 4         # of the smallest map
STDDEV = 0.02          # of initial kernels
BATCH_NORM_DECAY, BATCH_NORM_EPSILON = 0.9, 1e-5
_NOT_UPDATED = 'dcgan_updates_of_no_step'


@dataclasses.dataclass(frozen=True)
class Dcgan:
    """DCGAN for images of 32, 64 or 128 pixels: its options, and what builds its two nets.

    Attributes:
      latent_size: numbers in a z.
      width: channels of the largest map; the next smaller one has twice as many.
      kernel: side of every kernel, in pixels.
      discriminator_activation: name of the discriminator's activation; if empty, a leaky ReLU of
        slope 0.2.
    """

    latent_size: int = 100
    width: int = 64
    kernel: int = 5
    discriminator_activation: str = ''

    def __post_init__(self):
        """Raises ValueError, naming the option, if a number is out of range."""
        for name in ('latent_size', 'width', 'kernel'):
            if not 1 <= getattr(self, name) <= 4096:
                raise ValueError('option {} of dcgan must be 1 to 4096, got {!r}'.format(
                    name, getattr(self, name)))

    def generator(self, z, side, activation_fn, is_training, reuse=None):
        """Makes images from z.

        A dense layer makes the first map, of 4x4. Each further layer is a transposed convolution of
        stride 2. BatchNorm and the activation follow every layer but the last, which ends in tanh.

        Args:
          z: float32 [N, latent_size].
          side: height and width of the images, one of `SIDES`.
          activation_fn: function of one tensor.
          is_training: bool: whether BatchNorm uses the batch's statistics.
          reuse: whether the variables are reused, as for `tf.variable_scope`.

        Returns:
          (images float32 [N, side, side, 3] in [-1, 1], end_points): a dict, name -> tensor.

        Raises:
          ValueError: the side is none of `SIDES`.
        """
        stages, end_points = _stages(side), collections.OrderedDict()

        def add(name, net):
            with tf.variable_scope(name):
                end_points[name] = activation_fn(slim.batch_norm(net))
            return end_points[name]

        with tf.variable_scope(GENERATOR_SCOPE, reuse=reuse), \
                slim.arg_scope(self._arg_scope(is_training)):
            depth = self.width << (stages - 1)
            net = slim.fully_connected(z, FIRST_SIDE * FIRST_SIDE * depth, scope='project')
            net = add('project', tf.reshape(net, [-1, FIRST_SIDE, FIRST_SIDE, depth]))
            for stage in range(1, stages):
                name = 'deconv_{}'.format(stage)
                net = add(name, self._deconv(net, depth >> stage, name))
            net = self._deconv(net, 3, 'images')
            end_points['images'] = tf.tanh(net)
        return end_points['images'], end_points

    def discriminator(self, images, activation_fn, is_training, reuse=None, updates=True):
        """Tells images of the training data from those of the generator.

        Each layer is a convolution of stride 2. The activation follows every layer but the last,
        and BatchNorm comes before it in every layer but the first.

        Args:
          images: float32 [N, H, W, 3] in [-1, 1], H = W one of `SIDES`.
          activation_fn, is_training, reuse: as for `generator`.
          updates: whether these images move BatchNorm's averages, by `tf.GraphKeys.UPDATE_OPS`.

        Returns:
          (logits float32 [N], end_points): a logit is positive if the image looks real.

        Raises:
          ValueError: the images have another size.
        """
        stages, end_points = _stages(images.shape[1].value), collections.OrderedDict()
        net = images
        with tf.variable_scope(DISCRIMINATOR_SCOPE, reuse=reuse), \
                slim.arg_scope(self._arg_scope(is_training)):
            for stage in range(stages):
                name = 'conv_{}'.format(stage)
                net = slim.conv2d(net, self.width << stage, scope=name)
                with tf.variable_scope(name):
                    if stage:
                        net = slim.batch_norm(net, updates_collections=(
                            tf.GraphKeys.UPDATE_OPS if updates else _NOT_UPDATED))
                    net = activation_fn(net)
                end_points[name] = net
            logits = slim.fully_connected(slim.flatten(net), 1, scope='logits')
            end_points['logits'] = logits[:, 0]
        return end_points['logits'], end_points

    def _deconv(self, inputs, depth, scope):
        """A transposed convolution that doubles the size, on variables as of slim.

        Slim's own layer computes the size in the graph. In ONNX that takes 26 nodes more a layer.
        """
        with tf.variable_scope(scope):
            height, width, channels = inputs.shape.as_list()[1:]
            kernels = slim.model_variable('weights', [self.kernel, self.kernel, depth, channels],
                                          initializer=_kernel_initializer())
            biases = slim.model_variable('biases', [depth], initializer=tf.zeros_initializer())
            shape = tf.stack([tf.shape(inputs)[0], 2 * height, 2 * width, depth])
            return tf.nn.bias_add(tf.nn.conv2d_transpose(inputs, kernels, shape, strides=2), biases)

    def _arg_scope(self, is_training):
        layers = [slim.conv2d, slim.fully_connected]
        with slim.arg_scope(layers, activation_fn=None, normalizer_fn=None,
                            weights_initializer=_kernel_initializer()), \
                slim.arg_scope([slim.conv2d], kernel_size=self.kernel, stride=2, padding='SAME'), \
                slim.arg_scope([slim.batch_norm], is_training=is_training, center=True, scale=True,
                               decay=BATCH_NORM_DECAY, epsilon=BATCH_NORM_EPSILON, fused=True,
                               scope='BatchNorm') as scope:
            return scope


def _kernel_initializer():
    return tf.random_normal_initializer(stddev=STDDEV)


def _stages(side):
    """How often the size doubles between the first map and the image."""
    if side not in SIDES:
        raise ValueError('dcgan makes images of {} pixels a side, got {}'.format(
            ', '.join(map(str, SIDES)), side))
    return (side // FIRST_SIDE).bit_length() - 1
