"""Keras models, whose first axis is the batch."""

from ash_onnx.kinds.keras_model import KIND as _KIND
from ash_onnx.serving.models import ArtifactModel

KIND = _KIND.name


def models(name, image_name, artifact, settings, gate, metrics):
    """See `kinds.models_of`."""
    del image_name
    return [ArtifactModel(name, artifact, settings.max_batch, gate, metrics)]
