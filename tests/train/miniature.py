"""A data set and a net so small that a whole run takes seconds, and what tests do with runs.

They are registered only inside `registered_tiny`, or the fixture `tiny`. TensorFlow is imported
only by what uses it: the tests of the input pipelines do without.
"""
import contextlib
import functools
import os

import numpy as np
import pytest

CLASSES = ('dark', 'grey', 'light')
# By 8: 5 steps an epoch, and a short last batch of each other split.
TRAIN_COUNT, VALIDATION_COUNT, TEST_COUNT = 40, 22, 23
PHOTO_COUNT = 32


def _split(count, seed):
    """Noise, brighter by class: easy to learn, but not at once."""
    from ash_tf1.input_pipelines import ArraySplit
    rng = np.random.RandomState(seed)
    labels = (np.arange(count) % len(CLASSES)).astype(np.int64)
    noise = rng.randint(0, 120, (count, 8, 8, 3))
    images = (noise + 60 * labels[:, None, None, None]).astype(np.uint8)
    return ArraySplit(image=images, label=labels)


def tiny_dataset(data_dir=None, classes=CLASSES):
    from ash_tf1.input_pipelines import LabelledImages
    if data_dir is not None and not os.path.isdir(data_dir):
        raise FileNotFoundError('no data set at {}'.format(data_dir))
    return LabelledImages('tiny', _split(TRAIN_COUNT, 1), _split(VALIDATION_COUNT, 3),
                          _split(TEST_COUNT, 2), classes, (120.0, 120.0, 120.0),
                          (60.0, 60.0, 60.0))


def tiny_photos(data_dir=None):
    """Photos of 32 x 32: a coarse pattern of 2 x 2 colours each."""
    from ash_tf1.input_pipelines import ArraySplit, Images
    rng = np.random.RandomState(4)
    coarse = rng.randint(0, 256, (PHOTO_COUNT, 2, 2, 3)).astype(np.uint8)
    photos = coarse.repeat(16, axis=1).repeat(16, axis=2)
    return Images('tiny_photos', ArraySplit(image=photos[:-8]), ArraySplit(image=photos[-8:]), None)


def _net(blocks, inputs, num_classes, activation_fn, is_training, reuse=None, scope='tiny'):
    from ash_tf1.nets.resnet import resnet_v2
    return resnet_v2(inputs, blocks, num_classes, activation_fn, is_training, reuse, scope)


@contextlib.contextmanager
def registered_tiny():
    """Registers the data sets and nets whose names begin with 'tiny' while in use."""
    from ash_tf1 import input_pipelines, nets
    from ash_tf1.nets.resnet import Block
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(input_pipelines.DATASETS, 'tiny', tiny_dataset)
        patch.setitem(input_pipelines.DATASETS, 'tiny_photos', tiny_photos)
        for name, units in (('tiny', 1), ('tiny_deeper', 2)):
            blocks = (Block(units, depth=16, stride=1, bottleneck=False),)
            patch.setitem(nets.NETS, name, functools.partial(_net, blocks))
        yield


def tiny_settings(**changes):
    """The `Settings` of a run of 3 epochs, every step of which is logged, with changes."""
    from ash_tf1.training.settings import Settings
    return Settings(**dict(dict(
        net='tiny', activation='ash', dataset='tiny', batch_size=8, epochs=3,
        schedule='one_cycle', learning_rate=0.1, augmentation='crop', log_every=1,
        eval_batch_size=8, weight_decay=1e-3), **changes))


def tiny_gan_settings(**changes):
    """The `Settings` of a GAN that trains for 2 epochs of 3 steps, with changes."""
    from ash_tf1.training.settings import Settings
    return Settings(**dict(dict(
        task='generation', net='dcgan', net_options=('width=2', 'kernel=3', 'latent_size=5'),
        dataset='tiny_photos', batch_size=8, epochs=2, optimizer='adam', learning_rate=2e-2,
        beta1=0.5, step_at=(), weight_decay=0.0, augmentation='flip', log_every=2), **changes))


def train_quietly(settings, run_dir, resume=False, plot=False):
    """`training.train` without a word.

    The learning curve is left out unless asked for: it takes a third of the time.
    """
    from ash_tf1 import training
    from ash_tf1.training import plotting
    with pytest.MonkeyPatch.context() as patch:
        if not plot:
            patch.setattr(plotting, 'plot_learning_curve', lambda run_dir, metrics: None)
        return training.train(settings, str(run_dir), resume, progress=False,
                              report=lambda line: None)


def read_weights(prefix):
    """The values of all variables of a checkpoint, by name."""
    import tensorflow.compat.v1 as tf
    reader = tf.train.NewCheckpointReader(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def contents(folder):
    """The bytes of every file in a folder, by relative path."""
    return {str(path.relative_to(str(folder))): path.read_bytes()
            for path in sorted(folder.rglob('*')) if path.is_file()}
