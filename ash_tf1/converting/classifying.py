"""What an image classifier is, uint8 pixels to probabilities, and how any graph becomes one."""
import json

import tensorflow.compat.v1 as tf

from ash_tf1.converting import graphs, onnx_model

INPUT = 'images'
OUTPUTS = ('logits', 'probabilities')
CLASSIFIER = onnx_model.Signature(((INPUT, INPUT + ':0'),),
                                  tuple((name, name + ':0') for name in OUTPUTS))
_SCOPE = 'source'
_SAME_VALUES = ('Identity', 'Reshape', 'Squeeze', 'StopGradient')


def classifier(graph_def, inputs, outputs, labels, preprocessing):
    """Puts the way from pixels in front of a graph, and a softmax behind it where it has none.

    Args:
      graph_def: a GraphDef without variables; not changed.
      inputs, outputs: its `graphs.Tensor`s: one of images, [N, H, W, 3] or [N, 3, H, W], and one of
        scores of C classes, [N, C], logits or their softmax.
      labels: C labels.
      preprocessing: the `Preprocessing`.

    Returns:
      (GraphDef of the signature `CLASSIFIER`: `images` uint8 [N, H, W, 3], `logits` and
      `probabilities` float32 [N, C]; the `graphs.Tensor` of the pixels).

    Raises:
      ValueError: the graph is none of images, or of another number of classes.
    """
    image, first = _image_input(inputs)
    height, width = image.shape[1:3] if not first else image.shape[2:]
    with tf.Graph().as_default() as graph:
        pixels = tf.placeholder(tf.uint8, (None, height, width, 3), name=INPUT)
        value = tf.cast(preprocessing.normalize(pixels), image.dtype)
        if first:
            value = tf.transpose(value, [0, 3, 1, 2])
        scores, = tf.import_graph_def(graph_def, {image.name: value}, [_scores(outputs).name],
                                      name=_SCOPE)
        logits = _logits(scores)
        if logits.shape.ndims != 2 or logits.shape[1].value not in (None, len(labels)):
            raise ValueError('output {} gives scores of shape {}; {} labels need [N, {}]'.format(
                outputs[0], logits.shape, len(labels), len(labels)))
        logits = tf.cast(logits, tf.float32)
        logits.set_shape([None, len(labels)])
        tf.identity(logits, OUTPUTS[0])
        tf.nn.softmax(logits, name=OUTPUTS[1])
        whole = graphs.extract(graph.as_graph_def(), [name for _, name in CLASSIFIER.outputs])
    return whole, graphs.Tensor(pixels.name, pixels.dtype, (None, height, width, 3))


def metadata(labels, input_shape, preprocessing):
    """What the metadata of an image classifier say beyond that of other kinds: strings."""
    return {'kind': 'image_classifier', 'labels': json.dumps(labels),
            'input_shape': json.dumps(input_shape),
            'preprocessing': json.dumps(preprocessing.to_json())}


def _image_input(inputs):
    """(the input of images, whether its channels come first)."""
    if len(inputs) != 1:
        raise ValueError('an image classifier has one input, this graph has {}: {}'.format(
            len(inputs), ', '.join(map(str, inputs))))
    image, = inputs
    if image.dtype.is_floating and image.shape is not None and len(image.shape) == 4:
        for first, sizes, channels in ((False, image.shape[1:3], image.shape[3]),
                                       (True, image.shape[2:], image.shape[1])):
            if channels == 3 and None not in sizes:
                return image, first
    name = image.name.rpartition(':')[0]
    raise ValueError('input {} is none of normalised images of a known size: give --input '
                     '{}:?,224,224,3, or another tensor'.format(image, name))


def _scores(outputs):
    if len(outputs) != 1 or not outputs[0].dtype.is_floating:
        raise ValueError('an image classifier has one output of scores, this graph has {}: name '
                         'it by --output'.format(', '.join(map(str, outputs))))
    return outputs[0]


def _logits(scores):
    """What goes into the softmax that gives the scores, or the scores where there is none."""
    op = scores.op
    while op.type in _SAME_VALUES:
        op = op.inputs[0].op
    if op.type == 'Sigmoid':
        raise ValueError('output {!r} is a sigmoid, of labels that do not exclude each other: no '
                         'image classifier'.format(op.name.partition('/')[2]))
    return op.inputs[0] if op.type == 'Softmax' else scores
