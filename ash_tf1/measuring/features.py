"""Features of images by a network that the user names."""
import os

import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1 import checkpoint
from ash_tf1.converting import graphs, sources
from ash_tf1.ops import get_activation
from ash_tf1.sessions import session_config
from ash_tf1.training import evaluation, run_dir

BATCH_SIZE = 100
LAYER = 'global_pool'  # of one of our nets: what its classifier sees


class FeatureNet:
    """A network that gives features of images. Close it after use.

    Attributes:
      name: what it is, for people.
    """

    def __init__(self, name, graph, pixels, features, fit, prefix=None):
        """Opens a session.

        Args:
          name: what it is, for people.
          graph: a `tf.Graph`.
          pixels: its input, uint8 [N or None, H, W, 3].
          features: its output; for each image all numbers are taken.
          fit: function of an image, uint8 [any height, any width, 3], to one of the input's size.
          prefix: the checkpoint of the graph's variables; None where it has none.
        """
        self.name = name
        self._pixels, self._features, self._fit = pixels, features, fit
        self._session = tf.Session(graph=graph, config=session_config())
        if prefix:
            with graph.as_default():
                checkpoint.restore_evaluated(self._session, prefix)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._session.close()

    def __call__(self, images):
        """The features of images, uint8 [N, H, W, 3]: float32 [N, D]."""
        size, rows = self._pixels.shape[0].value or BATCH_SIZE, []
        for first in range(0, len(images), size):
            batch = np.stack([self._fit(image) for image in images[first:first + size]])
            count = len(batch)
            batch = np.concatenate([batch] + [batch[:1]] * (size - count)) \
                if self._pixels.shape[0].value else batch
            found = self._session.run(self._features, {self._pixels: batch})
            rows.append(np.asarray(found, np.float32).reshape(len(batch), -1)[:count])
        return np.concatenate(rows)


def of_run(path, checkpoint_path=None):
    """The features of one of our nets before its classifier.

    Args:
      path: folder of a run, or of an import.
      checkpoint_path: as for `evaluation.evaluate`.

    Raises:
      ValueError: it is no such folder, or its net has no `LAYER`.
    """
    task, spec = run_dir.load_model(path)
    prefix = checkpoint.find_checkpoint(evaluation.resolve(path, checkpoint_path))
    with tf.Graph().as_default() as graph:
        feeds = task.feeds(spec)
        outputs = task.forward(feeds, spec, get_activation(spec.activation), is_training=False)
        points = getattr(outputs, 'end_points', {})
        if LAYER not in points:
            raise ValueError('{} has a net without a layer {}: {}'.format(path, LAYER, spec.net))
        name = '{} of {} with {}, trained on {}'.format(
            LAYER, spec.net, spec.activation, spec.dataset or 'other images')
        height, width = spec.image_size
        return FeatureNet(name, graph, feeds['image'], points[LAYER],
                          lambda image: spec.preprocessing.fit(image, height, width), prefix)


def of_graph(path, tensor, preprocessing, size=None, input_name=None):
    """The features that a frozen graph gives.

    Args:
      path: of the GraphDef, `.pb` or `.pbtxt`.
      tensor: name of the features, such as pool_3:0.
      preprocessing: the `Preprocessing` from a photo to the graph's input.
      size: (height, width) of the input; None where the graph says it.
      input_name: name of the input, float [N, H, W, 3]; None for the only placeholder.

    Raises:
      ValueError: it is no graph, a name is unknown, or its input is none of images.
    """
    graph_def = sources.read_frozen_graph(path)
    inputs = [(input_name, None)] if input_name else []
    graph_def, (image,), _ = graphs.cut(graph_def, inputs, [tensor])
    graphs.check_ops(graph_def)
    shape = image.shape
    if shape is None or len(shape) != 4 or shape[3] != 3 or not (size or shape[1] and shape[2]):
        raise ValueError('{} has the input {}, where images [N, H, W, 3] of a known size are '
                         'needed: name another by --features-input, or give --features-size'
                         .format(path, image))
    height, width = size or shape[1:3]
    with tf.Graph().as_default() as graph:
        pixels = tf.placeholder(tf.uint8, (shape[0], height, width, 3))
        features, = tf.import_graph_def(
            graph_def, {image.name: tf.cast(preprocessing.normalize(pixels), image.dtype)},
            [tensor if ':' in tensor else tensor + ':0'], name='features')
        return FeatureNet('{} of {}'.format(tensor, os.path.basename(path)), graph, pixels,
                          features, lambda image: preprocessing.fit(image, height, width))
