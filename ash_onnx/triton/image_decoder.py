"""A model of Triton's Python backend: JPEG and PNG files to the pixels that a classifier takes.

`tools/export_triton.py` writes this file into a model repository as model.py, with the parts of
`ash_onnx` that decode and fit images beside it, so that the pixels are those of `predict.py`.
"""

import json
import sys
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from ash_onnx.images import decode_image  # noqa: E402
from ash_onnx.preprocessing import Preprocessing  # noqa: E402


class TritonPythonModel:
    """See Triton's Python backend."""

    def initialize(self, args):
        """Reads how the classifier wants its images."""
        facts = json.loads((HERE / 'preprocessing.json').read_text(encoding='utf-8'))
        self._fit = tuple(facts['input_shape']), Preprocessing(**facts['preprocessing'])
        self._max_pixels = facts['max_pixels']

    def execute(self, requests):
        """Answers each request by pixels, or by the reason why one of its files has none."""
        responses = []
        for request in requests:
            files = pb_utils.get_input_tensor_by_name(request, 'image').as_numpy()
            try:
                images = [decode_image(data, *self._fit, self._max_pixels) for data in files.flat]
                outputs, error = [pb_utils.Tensor('images', np.stack(images))], None
            except ValueError as reason:
                outputs, error = [], pb_utils.TritonError(str(reason))
            responses.append(pb_utils.InferenceResponse(outputs, error=error))
        return responses
