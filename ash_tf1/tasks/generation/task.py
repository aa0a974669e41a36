"""Generation of images by a GAN, as a `Task`."""
import dataclasses
import functools
import json
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1.input_pipelines import Images
from ash_tf1.nets import dcgan
from ash_tf1.ops import get_activation
from ash_tf1.tasks.base import Alarm, Interface, Metric, Objective, Task
from ash_tf1.tasks.generation import latent
from ash_tf1.tasks.generation.evaluation import DIVERSITY, DiversityEvaluator, diversity
from ash_tf1.tasks.generation.spec import GanSpec

LEAK = 0.2  # of the discriminator's leaky ReLU
DISCRIMINATOR, GENERATOR = 'discriminator_loss', 'generator_loss'


class Gan(NamedTuple):
    """The outputs of both nets, for N images and N z."""

    samples: tf.Tensor      # uint8 [N, H, W, 3], of the generator
    real_logits: tf.Tensor  # float32 [N], of the discriminator, for the images
    fake_logits: tf.Tensor  # float32 [N], for the samples


class Generation(Task):
    """Trains a generator and a discriminator on `Images`, by two losses (arXiv 1406.2661).

    A step trains the discriminator once, and then the generator once, on the same images and z. The
    generator's loss is the non-saturating one. Both nets normalise by the batch in training. In the
    discriminator, images and samples are batches apart.

    The generator's own step moves the averages of its BatchNorm. Grids, evaluations and the
    artifact use these averages. The averages of the discriminator follow the images alone; nothing
    but a later use of the discriminator needs them.

    There is no best checkpoint, because no loss of a GAN says how good its samples are.
    """

    name = 'generation'
    spec_type = GanSpec
    metrics = (Metric(DISCRIMINATOR, 'Loss of the discriminator', 'loss of discriminator {:.3f}',
                      'nats'),
               Metric(GENERATOR, 'Loss of the generator', 'of generator {:.3f}', 'nats'),
               Metric(DIVERSITY, 'Variance of samples / of images', 'diversity {:.3f}'))
    alarms = (
        Alarm(DISCRIMINATOR, 0.05, 200, 'the discriminator tells all samples from images, so the '
              'generator may learn nothing more: try --label-smoothing 0.1, another --seed or a '
              'lower --learning-rate'),
        Alarm(DIVERSITY, 0.2, 200, 'the samples hardly differ from each other beside the images: '
              'the generator has collapsed; an earlier checkpoint may be better (--keep-every)'))

    def spec(self, settings, dataset):
        _check_images(dataset)
        height, width, _ = dataset.image_shape
        if height != width:
            raise ValueError('{} makes square images, data set {} has images of {} x {}: give '
                             '--image-size'.format(settings.net, dataset.name, height, width))
        spec = GanSpec(settings.net, settings.activation, dataset.name, height,
                       len(dataset.train), settings.net_options)
        _discriminator_activation(spec)
        return spec

    def prepare(self, spec, dataset):
        _check_images(dataset)
        if tuple(dataset.image_shape[:2]) != spec.image_size:
            raise ValueError('the generator makes images of {} x {}, data set {} has images of '
                             '{} x {}'.format(*spec.image_size + (dataset.name,)
                                              + tuple(dataset.image_shape[:2])))
        size = spec.gan.latent_size
        return dataclasses.replace(dataset, **{
            name: latent.WithLatent(split, size) for name, split in dataset.splits.items()})

    def transforms(self, spec, settings):
        return super().transforms(spec, settings) + (functools.partial(_draw_latent,
                                                                       spec.gan.latent_size),)

    def feeds(self, spec):
        return {'image': tf.placeholder(tf.uint8, (None,) + spec.image_size + (3,), 'images'),
                'z': _latent_placeholder(spec)}

    def forward(self, feeds, spec, activation_fn, is_training, reuse=None):
        gan, leaky = spec.gan, _discriminator_activation(spec)
        made, _ = gan.generator(feeds['z'], spec.side, activation_fn, is_training, reuse)
        real = tf.cast(feeds['image'], tf.float32) / 127.5 - 1.0
        real_logits, _ = gan.discriminator(real, leaky, is_training, reuse)
        fake_logits, _ = gan.discriminator(made, leaky, is_training, reuse=True, updates=False)
        return Gan(_pixels(made), real_logits, fake_logits)

    def objectives(self, outputs, feeds, settings):
        right = 1.0 - settings.label_smoothing
        discriminator = (tf.reduce_mean(_cross_entropy(right, outputs.real_logits))
                         + tf.reduce_mean(_cross_entropy(0.0, outputs.fake_logits))
                         - _entropy(right))  # so that 0 is the least, with label smoothing too
        generator = tf.reduce_mean(_cross_entropy(1.0, outputs.fake_logits))
        return [Objective(DISCRIMINATOR, discriminator, dcgan.DISCRIMINATOR_SCOPE),
                Objective(GENERATOR, generator, dcgan.GENERATOR_SCOPE)]

    def batch_metrics(self, outputs, feeds):
        return {DIVERSITY: diversity(outputs.samples, feeds['image'])}

    def evaluator(self, outputs, feeds):
        return DiversityEvaluator(outputs.samples)

    def pictures(self, outputs, feeds):
        return {'samples': outputs.samples}

    def samples(self, spec, count):
        return ({'z': latent.fixed(count, spec.gan.latent_size)},
                'z by numpy RandomState([{}, number])'.format(latent.SEED))

    def interface(self, spec, activation_fn):
        z = _latent_placeholder(spec)
        made, _ = spec.gan.generator(z, spec.side, activation_fn, is_training=False)
        return Interface({'z': z}, {'images': tf.identity(_pixels(made), 'images')},
                         dcgan.GENERATOR_SCOPE, levels=1)

    def properties(self, spec):
        return dict(latent.PROPERTY, kind='generator', net_options=json.dumps(spec.net_options))


def _check_images(dataset):
    if not isinstance(dataset, Images):
        raise ValueError('generation needs a data set of images of one size, {} is none'.format(
            dataset.name))


def _draw_latent(size, example, rng):
    return dict(example, z=latent.draw(rng, size))


def _latent_placeholder(spec):
    return tf.placeholder(tf.float32, (None, spec.gan.latent_size), 'z')


def _discriminator_activation(spec):
    name = spec.gan.discriminator_activation
    return get_activation(name) if name else functools.partial(tf.nn.leaky_relu, alpha=LEAK)


def _pixels(made):
    """uint8 of images in [-1, 1]."""
    return tf.cast(tf.round((made + 1.0) * 127.5), tf.uint8)


def _cross_entropy(target, logits):
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=target * tf.ones_like(logits),
                                                   logits=logits)


def _entropy(share):
    """The entropy of an event of a probability in (0, 1], in nats."""
    return -sum(p * np.log(p) for p in (share, 1.0 - share) if p)
