"""TensorFlow graphs, whose shapes are what their metadata say."""

from ash_onnx.kinds.tensors import KIND as _KIND
from ash_onnx.serving.messages import Signature
from ash_onnx.serving.models import ArtifactModel
from ash_onnx.serving.tensors import Spec

KIND = _KIND.name


def models(name, image_name, artifact, settings, gate, metrics):
    """See `kinds.models_of`."""
    del image_name, settings
    return [Graph(name, artifact, None, gate, metrics)]


class Graph(ArtifactModel):
    """A graph, which need not declare the rank of its inputs where the metadata give it."""

    def make_signature(self, max_batch):
        """See `ArtifactModel.make_signature`."""
        plain = super().make_signature(max_batch)
        shapes = {entry['name']: tuple(-1 if size is None else size for size in entry['shape'])
                  for entry in self.artifact.metadata['inputs']}
        inputs = tuple(Spec(spec.name, spec.datatype, shapes[spec.name]) for spec in plain.inputs)
        return Signature(inputs, plain.outputs, max_batch)
