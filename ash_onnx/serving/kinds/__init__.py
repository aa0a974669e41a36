"""What the endpoint makes of each kind of artifact: the models of KServe that it becomes.

A kind without a room here is one `ArtifactModel`, whose first sizes are no batch.
"""

from ash_onnx.protocol import image_name
from ash_onnx.serving.kinds import classifier, generator, keras_model, tensors
from ash_onnx.serving.models import ArtifactModel

_MODELS = {room.KIND: room.models for room in (classifier, generator, keras_model, tensors)}


def models_of(name, artifact, settings, gate, metrics):
    """The models that an artifact becomes.

    Args:
      name: of the first.
      artifact: an `ash_onnx.Artifact`.
      settings: the `Settings`.
      gate, metrics: what the models share.

    Returns:
      A list of `ArtifactModel`.
    """
    make = _MODELS.get(artifact.kind)
    if make is None:
        return [ArtifactModel(name, artifact, None, gate, metrics)]
    return make(name, image_name(name), artifact, settings, gate, metrics)
