"""ASH (Adaptive SwisH) for TensorFlow 1.15: the activation, and the published nets that take it."""
from ash_tf1.nets.vgg import VGG11, VGG19
from ash_tf1.ops import ASH, get_activation

__all__ = ['ASH', 'VGG11', 'VGG19', 'get_activation']
__version__ = '0.1.0'
