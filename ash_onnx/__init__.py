"""The serving side of ASH: runs an exported artifact under onnxruntime, without TensorFlow.

    model = ash_onnx.load_model('checkpoints/NAME', provider='cpu')
    assert ash_onnx.verify(model).passed
    logits, probabilities = model.run(images)        # uint8 RGB [N, H, W, 3]
"""

import sys

if sys.version_info < (3, 10):
    raise ImportError('ash_onnx needs Python 3.10 or newer; here is Python {}.{}'.format(
        *sys.version_info[:2]), name=__name__)

from ash_distribution import __version__
from ash_onnx.artifact import Artifact
from ash_onnx.images import read_image
from ash_onnx.kinds.classifier.annotation import annotate
from ash_onnx.kinds.classifier.evaluation import Evaluation, evaluate
from ash_onnx.kinds.classifier.model import Model
from ash_onnx.kinds.classifier.prediction import Prediction, predict
from ash_onnx.kinds.generator.generation import generate
from ash_onnx.kinds.generator.model import ImageGenerator
from ash_onnx.loading import load_artifact, load_generator, load_model
from ash_onnx.preprocessing import Preprocessing
from ash_onnx.session import PROVIDERS
from ash_onnx.verify import Verification, verify

__all__ = [
    'PROVIDERS',
    'Artifact',
    'Evaluation',
    'ImageGenerator',
    'Model',
    'Prediction',
    'Preprocessing',
    'Verification',
    '__version__',
    'annotate',
    'evaluate',
    'generate',
    'load_artifact',
    'load_generator',
    'load_model',
    'predict',
    'read_image',
    'verify',
]
