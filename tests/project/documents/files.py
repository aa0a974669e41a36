"""Writes miniatures of the files that the documents name, in the current folder.

This runs on Python 3.7, with TensorFlow.
"""
import functools
import os
import pickle
import sys
import tarfile

import cv2
import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim
from tf_slim.nets import resnet_utils, resnet_v1

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from thin import make_thin  # noqa: E402

from ash_tf1 import ASH, VGG19  # noqa: E402
from tests.train.checkpoint_import.checkpoints import random_values, save  # noqa: E402

CIFAR10 = ('airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck')
PHOTOS = {'photos': (('cat', 30), ('dog', 30)), 'val': (('tench', 3), ('goldfish', 3))}


def write_pickle(path, **values):
    """A file as of CIFAR's Python layout."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as handle:
        pickle.dump({key.encode(): value for key, value in values.items()}, handle, protocol=3)


def write_cifars(rng):
    def images(count):
        return rng.randint(0, 256, (count, 3 * 32 * 32)).astype(np.uint8)
    for name in ['data_batch_{}'.format(i) for i in range(1, 6)] + ['test_batch']:
        write_pickle('cifar-10-batches-py/' + name, data=images(60),
                     labels=[i % 10 for i in range(60)])
    write_pickle('cifar-10-batches-py/batches.meta',
                 label_names=[label.encode() for label in CIFAR10])
    with tarfile.open('cifar-10-python.tar.gz', 'w:gz') as archive:
        archive.add('cifar-10-batches-py')
    for name, count in (('train', 300), ('test', 100)):
        write_pickle('cifar-100-python/' + name, data=images(count),
                     coarse_labels=[i % 20 for i in range(count)],
                     fine_labels=[i % 100 for i in range(count)])
    write_pickle('cifar-100-python/meta',
                 fine_label_names=['class {}'.format(i).encode() for i in range(100)],
                 coarse_label_names=['group {}'.format(i).encode() for i in range(20)])


def write_image(rng, path, height, width):
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    image = rng.randint(0, 256, (height, width, 3)).astype(np.uint8)
    assert cv2.imwrite(path, cv2.GaussianBlur(image, (0, 0), 3))


def write_faces(rng):
    """CelebA as its publisher has it, a batch of 64 to train on, and 8 for validation."""
    names = ['{:06d}.jpg'.format(number) for number in range(1, 73)]
    for name in names:
        write_image(rng, 'celeba/img_align_celeba/' + name, 218, 178)
    with open('celeba/list_eval_partition.txt', 'w') as handle:
        handle.writelines('{} {:d}\n'.format(name, i >= 64) for i, name in enumerate(names))


def write_photos(rng):
    write = functools.partial(write_image, rng)
    for folder, classes in PHOTOS.items():
        for label, count in classes:
            for i in range(count):
                write('{}/{}/{}.jpg'.format(folder, label, i), 120, 140)
    for label in CIFAR10:
        write('images/{}/0.png'.format(label), 32, 32)
        write('test-images/{}/0.png'.format(label), 32, 32)
    write('photo.jpg', 120, 140)


def write_labels():
    for name, labels in (('imagenet.txt', ['tench', 'goldfish'] + [
            'class {}'.format(i) for i in range(2, 1000)]), ('cifar10.txt', CIFAR10)):
        with open(name, 'w') as handle:
            handle.write('\n'.join(labels) + '\n')


def write_checkpoints():
    """tf-slim's ResNet-50 and the published VGG19, as `thin` has them, of random weights."""
    def store(path, build, rename=str):
        with tf.Graph().as_default():
            build()
            values = random_values(tf.global_variables())
            save(path, {rename(name): value for name, value in values.items()}, 'v1')

    def slims():
        blocks = [resnet_v1.resnet_v1_block('block1', 8, 1, 2),
                  resnet_v1.resnet_v1_block('block2', 16, 1, 1)]
        with slim.arg_scope(resnet_utils.resnet_arg_scope()):
            resnet_v1.resnet_v1(tf.zeros([1, 224, 224, 3]), blocks, 1000, is_training=False,
                                scope='resnet_v1_50')

    def authors():
        VGG19(tf.zeros([1, 32, 32, 3]), activation=ASH, num_classes=10)
    store(os.path.abspath('resnet_v1_50.ckpt'), slims)
    store(os.path.abspath('theirs/model.ckpt'), authors, lambda name: name.replace(
        '/kernel', '/W').replace('/bias', '/B') if 'vgg_layer' in name else name)


if __name__ == '__main__':
    make_thin()
    write_cifars(np.random.RandomState(0))
    write_photos(np.random.RandomState(1))
    write_faces(np.random.RandomState(2))
    write_labels()
    write_checkpoints()
