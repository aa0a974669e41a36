"""Image classifiers: NAME takes pixels, NAME_image takes JPEG and PNG files."""

import numpy as np

from ash_onnx.images import decode_image
from ash_onnx.kinds.classifier import KIND as _KIND
from ash_onnx.protocol import IMAGE
from ash_onnx.serving.messages import Signature
from ash_onnx.serving.models import ArtifactModel
from ash_onnx.serving.refusals import invalid
from ash_onnx.serving.tensors import Spec

KIND = _KIND.name


def models(name, image_name, artifact, settings, gate, metrics):
    """See `kinds.models_of`."""
    shared = artifact, settings.max_batch, gate, metrics
    return [Classifier(name, *shared), ImageFiles(image_name, settings.max_pixels, *shared)]


class Classifier(ArtifactModel):
    """Pixels to logits and probabilities; the parameter `classification` gives labels."""

    def make_signature(self, max_batch):
        """See `ArtifactModel.make_signature`."""
        plain = super().make_signature(max_batch)
        return Signature(plain.inputs, plain.outputs, max_batch, len(self.artifact.labels))

    def rank(self, scores, count):
        """The best labels of each example, in the words of Triton's classification extension.

        Args:
          scores: float32 array [N, C].
          count: 1 to C.

        Returns:
          Array of `bytes` [N, count]: `score:index:label`, the highest score first, of equal ones
          the lower index.
        """
        best = np.argsort(-scores, axis=1, kind='stable')[:, :count]
        result = np.empty(best.shape, object)
        for row, (values, indices) in enumerate(zip(scores, best, strict=True)):
            result[row] = [f'{values[index]:f}:{index}:{self.artifact.labels[index]}'.encode()
                           for index in indices]
        return result


class ImageFiles(Classifier):
    """The same for JPEG and PNG files: BYTES [N, 1], a file for each example.

    The files become pixels as `ash_onnx.predict` makes them.
    """

    def __init__(self, name, max_pixels, *shared):
        super().__init__(name, *shared)
        self._max_pixels = max_pixels

    def make_signature(self, max_batch):
        """See `ArtifactModel.make_signature`."""
        pixels = super().make_signature(max_batch)
        return Signature((Spec(IMAGE, 'BYTES', (-1, 1)),), pixels.outputs, max_batch, pixels.ranked)

    def run(self, arrays):
        """Decodes the files, and classifies them; see `ArtifactModel.run`."""
        model, images = self.artifact, []
        for number, data in enumerate(arrays[IMAGE].flat):
            try:
                images.append(decode_image(data, model.input_shape, model.preprocessing,
                                           self._max_pixels))
            except ValueError as error:
                raise invalid(f'image {number}: {error}') from error
        return dict(zip(model.output_names, model.run(np.stack(images)), strict=True))
