"""Image classification as a `Task`."""
import collections
import functools
import json

import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1 import preprocessing
from ash_tf1.input_pipelines import LabelledImages
from ash_tf1.input_pipelines.images import ImageFiles, find_labelled_images, read_image
from ash_tf1.preprocessing import Preprocessing
from ash_tf1.tasks.base import Interface, Metric, Objective, Task
from ash_tf1.tasks.classification.evaluation import Evaluator
from ash_tf1.tasks.classification.net import build_classifier, pixels_placeholder
from ash_tf1.tasks.classification.spec import ClassifierSpec

OUTPUTS = ('logits', 'probabilities')


class Classification(Task):
    """Trains a net on `LabelledImages`, each of one class, by cross-entropy."""

    name = 'classification'
    spec_type = ClassifierSpec
    metrics = (Metric('loss', 'Cross-entropy', 'loss {:.4f}', 'nats'),
               Metric('top1', 'Top-1 accuracy', 'top-1 {:.2%}', '%', 100.))
    best = ('top1', max)

    def spec(self, settings, dataset):
        _check_labelled(dataset)
        pixels = Preprocessing(mean=tuple(dataset.channel_mean), std=tuple(dataset.channel_std))
        if settings.normalization:
            pixels = preprocessing.parse(settings.normalization)
        # Only channels, mean and std are taken from `pixels`. The images of a data set already have
        # the net's size.
        return ClassifierSpec(
            net=settings.net, activation=settings.activation, dataset=dataset.name,
            input_shape=tuple(dataset.image_shape), channel_mean=pixels.mean,
            channel_std=pixels.std, labels=tuple(dataset.labels),
            training_images=len(dataset.train), net_options=settings.net_options,
            channels=pixels.channels)

    def prepare(self, spec, dataset):
        _check_labelled(dataset)
        shape = tuple(dataset.image_shape)
        if dataset.labels != spec.labels or shape != spec.input_shape:
            raise ValueError('the net takes images {} and has the {} labels {}; data set {} has '
                             'images {} and {} labels {}'.format(
                                 spec.input_shape, spec.num_classes, _some(spec.labels),
                                 dataset.name, shape, len(dataset.labels), _some(dataset.labels)))
        return dataset

    def feeds(self, spec):
        return {'image': pixels_placeholder(spec),
                'label': tf.placeholder(tf.int64, (None,), name='labels')}

    def forward(self, feeds, spec, activation_fn, is_training, reuse=None):
        return build_classifier(feeds['image'], spec, activation_fn, is_training, reuse)

    def objectives(self, outputs, feeds, settings):
        labels, smoothing = feeds['label'], settings.label_smoothing
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=outputs.logits)
        if smoothing:  # the rest of 1 is spread evenly over all classes (arXiv 1512.00567)
            evenly = -tf.reduce_mean(tf.nn.log_softmax(outputs.logits), axis=1)
            loss = (1 - smoothing) * loss + smoothing * evenly
        return [Objective('loss', tf.reduce_mean(loss))]

    def batch_metrics(self, outputs, feeds):
        hits = tf.equal(tf.argmax(outputs.logits, axis=1), feeds['label'])
        return {'top1': tf.reduce_mean(tf.cast(hits, tf.float32))}

    def evaluator(self, outputs, feeds):
        return Evaluator(outputs, feeds['label'])

    def interface(self, spec, activation_fn):
        return _interface(spec, activation_fn, any_size=False)

    def any_size_interface(self, spec, activation_fn):
        try:
            return _interface(spec, activation_fn, any_size=True)
        except (TypeError, ValueError) as error:  # of a dense layer that has no known size
            raise ValueError('{} does not take images of any size: {}'.format(
                spec.net, ' '.join(str(error).split()))) from error

    def photos(self, spec, path):
        return ImageFiles(find_labelled_images(path, spec.labels), _fit(spec))

    def photo_samples(self, spec, paths):
        fit = _fit(spec)
        return {'image': np.stack([fit(read_image(path)) for path in paths])}

    def properties(self, spec):
        return dict(properties(spec.labels, spec.input_shape, spec.preprocessing),
                    net_options=json.dumps(spec.net_options))

    def texts(self, spec):
        return texts(spec.labels)


def _check_labelled(dataset):
    if not isinstance(dataset, LabelledImages):
        raise ValueError('classification needs images with labels, data set {} has none; for '
                         'photos that lie in a folder for each label, take the data set folder'
                         .format(dataset.name))


def _interface(spec, activation_fn, any_size):
    pixels = pixels_placeholder(spec, any_size)
    classifier = build_classifier(pixels, spec, activation_fn, is_training=False)
    return Interface({'image': pixels}, collections.OrderedDict(
        (name, tf.identity(getattr(classifier, name), name)) for name in OUTPUTS))


def properties(labels, input_shape, preprocessing):
    """The entries of an image classifier in an artifact's metadata: a dict of strings."""
    return {'kind': 'image_classifier', 'labels': json.dumps(labels),
            'input_shape': json.dumps(input_shape),
            'preprocessing': json.dumps(preprocessing.to_json())}


def texts(labels):
    """The text files beside the model of an image classifier: a dict, name -> content."""
    return {'labels.txt': ''.join(label + '\n' for label in labels)}


def _fit(spec):
    """The function that fits an image of any size to the net of a `ClassifierSpec`."""
    height, width = spec.image_size
    return functools.partial(spec.preprocessing.fit, height=height, width=width)


def _some(labels):
    return ', '.join(labels[:10]) + (', ...' if len(labels) > 10 else '')
