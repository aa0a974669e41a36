"""Turns a graph from images to scores into an image classifier, from pixels to probabilities."""
import collections

import tensorflow.compat.v1 as tf

from ash_tf1.preprocessing import Preprocessing
from ash_tf1.tasks.base import Interface
from ash_tf1.tasks.classification import task

_SAME_VALUES = ('Identity', 'Reshape', 'Squeeze', 'StopGradient')


class GraphClassifier:
    """Puts preprocessing of pixels before a graph, and a softmax after it if it has none.

    Attributes:
      labels: C labels.
      preprocessing: the `Preprocessing` of the pixels.
      size: (height, width) that photos are fitted to, if the graph leaves its own open; else None.
    """

    def __init__(self, labels, preprocessing=None, size=None):
        self.labels, self.preprocessing = labels, preprocessing or Preprocessing()
        self.size = size

    def interface(self, inputs, outputs, apply):
        """Builds the classifier in the current graph.

        Args:
          inputs, outputs: the inputs and outputs of the graph, each with name, dtype and shape.
            There is one input, of images [N, H, W, 3] or [N, 3, H, W], and one output, of scores
            [N, C] of C classes, which are logits or their softmax.
          apply: function (tensor, name of the output) -> tensor: what the graph computes for that
            output if the tensor takes the place of the input.

        Returns:
          An `Interface` from `images`, uint8 [N, H, W, 3], to `logits` and `probabilities`, float32
          [N, C].

        Raises:
          ValueError: the graph does not take images, or has another number of classes.
        """
        image, first = _image_input(inputs, self.size)
        height, width = image.shape[1:3] if not first else image.shape[2:]
        pixels = tf.placeholder(tf.uint8, (None, height, width, 3), name='images')
        value = tf.cast(self.preprocessing.normalize(pixels), image.dtype)
        if first:
            value = tf.transpose(value, [0, 3, 1, 2])
        logits = _logits(apply(value, _scores(outputs).name))
        if logits.shape.ndims != 2 or logits.shape[1].value not in (None, len(self.labels)):
            raise ValueError('output {} gives scores of shape {}; {} labels need [N, {}]'.format(
                outputs[0], logits.shape, len(self.labels), len(self.labels)))
        logits = tf.cast(logits, tf.float32)
        logits.set_shape([None, len(self.labels)])
        return Interface({'image': pixels}, collections.OrderedDict(
            zip(task.OUTPUTS, (tf.identity(logits, task.OUTPUTS[0]),
                               tf.nn.softmax(logits, name=task.OUTPUTS[1])))))

    def properties(self, interface):
        """The entries of an image classifier in an artifact's metadata: a dict of strings."""
        return task.properties(self.labels, self.fitted(interface), self.preprocessing)

    def fitted(self, interface):
        """[height, width, 3] of the images that photos become."""
        height, width, channels = interface.inputs['image'].shape.as_list()[1:]
        return [height or self.size[0], width or self.size[1], channels]

    def texts(self):
        """The text files beside the model: a dict, name -> content."""
        return task.texts(self.labels)


def _image_input(inputs, size):
    """Finds the input of images: (input, whether its channels come first)."""
    if len(inputs) != 1:
        raise ValueError('an image classifier has one input, this graph has {}: {}'.format(
            len(inputs), ', '.join(map(str, inputs))))
    image, = inputs
    if image.dtype.is_floating and image.shape is not None and len(image.shape) == 4:
        for first, sizes, channels in ((False, image.shape[1:3], image.shape[3]),
                                       (True, image.shape[2:], image.shape[1])):
            if channels == 3 and (size or None not in sizes):
                return image, first
    name = image.name.rpartition(':')[0]
    raise ValueError('input {} is none of normalised images of a known size: give --input '
                     '{}:?,224,224,3, or another tensor; or --input-size, if the graph takes '
                     'images of any size'.format(image, name))


def _scores(outputs):
    if len(outputs) != 1 or not outputs[0].dtype.is_floating:
        raise ValueError('an image classifier has one output of scores, this graph has {}: name '
                         'it by --output'.format(', '.join(map(str, outputs))))
    return outputs[0]


def _logits(scores):
    """The input of the softmax that gives the scores; the scores themselves if there is none."""
    op = scores.op
    while op.type in _SAME_VALUES:
        op = op.inputs[0].op
    if op.type == 'Sigmoid':
        raise ValueError('output {!r} is a sigmoid, for labels that do not exclude each other; an '
                         'image classifier needs a softmax or logits'.format(
                             op.name.partition('/')[2]))
    return op.inputs[0] if op.type == 'Softmax' else scores
