"""Image classifiers: one uint8 input `images`; the outputs `logits` and `probabilities`."""

from ash_onnx.kinds.base import Kind
from ash_onnx.kinds.classifier.interface import interface
from ash_onnx.kinds.classifier.model import Model

KIND = Kind('image_classifier', 'an image classifier', ('labels', 'input_shape'), interface,
            negation='no image classifier with labels', artifact=Model)
