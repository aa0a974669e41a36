"""Image generators: NAME gives pixels, NAME_image gives PNG files."""

import cv2
import numpy as np

from ash_onnx.kinds.generator import KIND as _KIND
from ash_onnx.protocol import IMAGE
from ash_onnx.serving.messages import Signature
from ash_onnx.serving.models import ArtifactModel
from ash_onnx.serving.tensors import Spec

KIND = _KIND.name


def models(name, image_name, artifact, settings, gate, metrics):
    """See `kinds.models_of`."""
    shared = artifact, settings.max_batch, gate, metrics
    return [ArtifactModel(name, *shared), PngFiles(image_name, *shared)]


class PngFiles(ArtifactModel):
    """A generator whose images are PNG files: BYTES [N, 1]."""

    def make_signature(self, max_batch):
        """See `ArtifactModel.make_signature`."""
        pixels = super().make_signature(max_batch)
        return Signature(pixels.inputs, (Spec(IMAGE, 'BYTES', (-1, 1)),), max_batch)

    def run(self, arrays):
        """Makes images, and encodes them; see `ArtifactModel.run`."""
        images, = super().run(arrays).values()
        files = np.empty([len(images), 1], object)
        for row, image in enumerate(images):
            bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
            files[row, 0] = cv2.imencode('.png', bgr)[1].tobytes()
        return {IMAGE: files}
