"""An open image classifier: runs batches of images, and knows its labels."""

from functools import cached_property

import numpy as np

from ash_onnx.artifact import Artifact
from ash_onnx.kinds.classifier.agreement import count_agreeing
from ash_onnx.kinds.classifier.interface import INPUT, OUTPUTS
from ash_onnx.kinds.classifier.labels_file import LABELS_FILE, check_labels_file
from ash_onnx.preprocessing import Preprocessing

ROUNDING = 1e-3  # of probabilities


class Model(Artifact):
    """The artifact of an image classifier; made by `load_model`.

    Attributes, beside those of an `Artifact`:
      labels: tuple of C strings; class i of the outputs is `labels[i]`.
      input_shape: (height, width, 3) of one image, in pixels: what photos are fitted to. A model
        may leave its height or width open, and takes images of any other, too.
      preprocessing: a `Preprocessing`: how a photo becomes such an image.
    """

    companions = (LABELS_FILE,)

    def __init__(self, *opened):
        super().__init__(*opened)
        self.labels = tuple(self.metadata['labels'])
        self.input_shape = tuple(self.metadata['input_shape'])
        self.preprocessing = Preprocessing(**self.metadata.get('preprocessing', {}))

    def answer(self, *inputs):
        """Classifies, by `run`, which checks the images and the answer."""
        return self.run(*inputs)

    def run(self, images):
        """Classifies a batch of images; safe to call from several threads.

        Args:
          images: uint8 array [N, height, width, 3], RGB, 0 to 255, N >= 1. The model
            normalises them itself. Height and width are those of `input_shape`, or any that the
            model takes.

        Returns:
          (logits, probabilities), each float32 [N, C].

        Raises:
          ValueError: images of another type, dtype or shape; what onnxruntime cannot run, or not
            in `time_limit`; or a model whose answer is not float32 [N, C], or whose probabilities
            are not 0 to 1, adding up to 1. NaN passes.
        """
        self._check_images(images)
        answers = self._run(OUTPUTS, {INPUT: np.ascontiguousarray(images)})
        expected = (len(images), len(self.labels))
        for name, answer in zip(OUTPUTS, answers, strict=True):
            if answer.shape != expected:
                raise ValueError(f'{self.path}: {name} came back as {list(answer.shape)}, '
                                 f'expected {list(expected)}')
        _check_probabilities(self.path, answers[1])
        return tuple(answers)

    def count_agreeing(self, answers, recorded, rule):
        """The number of images whose predicted class, the largest logit, is the recorded one."""
        return count_agreeing(answers[0], recorded[0], rule)

    def check_companions(self):
        """Raises ValueError if there is a `labels.txt` that has other labels than the model."""
        check_labels_file(self.folder / LABELS_FILE, self.labels)

    def calibration_feeds(self, images):
        """See `Artifact`."""
        if images is None or not len(images):
            raise ValueError('int8 needs images of what the classifier is for, to calibrate it')
        self.run(images[:1])  # which checks them
        return ({INPUT: image[np.newaxis]} for image in images)

    @cached_property
    def _sizes(self):
        """The sizes of an image that the graph takes; None for any."""
        return tuple(size if isinstance(size, int) else None
                     for size in self._session.get_inputs()[0].shape[1:])

    def _check_images(self, images):
        wanted = 'N, ' + ', '.join('any' if size is None else str(size) for size in self._sizes)
        if not isinstance(images, np.ndarray):
            raise ValueError(f'images must be a uint8 array [{wanted}], '
                             f'got a {type(images).__name__}')
        if images.dtype != np.uint8:
            raise ValueError(f'images must be uint8 (0 to 255, not normalised), got {images.dtype}')
        if images.ndim != 4 or not images.size or any(
                size not in (None, given)
                for size, given in zip(self._sizes, images.shape[1:], strict=True)):
            raise ValueError(f'images must be [{wanted}] with N >= 1, got {list(images.shape)}')


def _check_probabilities(path, probabilities):
    low, high, sums = probabilities.min(), probabilities.max(), probabilities.sum(axis=1)
    if low < -ROUNDING or high > 1 + ROUNDING or (np.abs(sums - 1) > ROUNDING).any():
        raise ValueError(f'{path}: its probabilities are {low:g} to {high:g} and add up to '
                         f'{sums.min():g} to {sums.max():g}, expected 0 to 1 and a sum of 1')
