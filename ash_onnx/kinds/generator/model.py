"""An open image generator: makes batches of images of z, and draws z."""

import numpy as np

from ash_onnx.artifact import Artifact
from ash_onnx.kinds.generator import latent
from ash_onnx.kinds.generator.interface import INPUT, OUTPUT


class ImageGenerator(Artifact):
    """The artifact of an image generator; made by `load_generator`.

    Attributes, beside those of an `Artifact`:
      distribution: a `latent.Uniform` or `latent.Normal`: what z was drawn from in training.
      size: L, the number of elements of z.
    """

    def __init__(self, *opened):
        super().__init__(*opened)
        self.distribution = latent.parse(self.metadata['latent'])
        self.size = self._session.get_inputs()[0].shape[1]

    def draw(self, seed, index=0):
        """z number `index` of a seed, a float32 array [L]; see `latent.draw`."""
        return latent.draw(self.distribution, seed, index, self.size)

    def walk(self, first_seed, last_seed, steps):
        """The z from the first of one seed to the first of another, float32 [steps, L].

        See `latent.walk`: a straight line for a uniform z, an arc for a normal one.
        """
        return latent.walk(self.distribution, self.draw(first_seed), self.draw(last_seed), steps)

    def answer(self, *inputs):
        """As `run`, in a tuple."""
        return (self.run(*inputs),)

    def run(self, z):
        """Makes an image of each z; safe to call from several threads.

        Args:
          z: float32 array [N, L], N >= 1, without NaN or infinity.

        Returns:
          uint8 array [N, height, width, 3], RGB.

        Raises:
          ValueError: a z of another type, dtype or shape; what onnxruntime cannot run, or not in
            `time_limit`; or a model whose answer is no such array.
        """
        if not isinstance(z, np.ndarray) or z.dtype != np.float32:
            got = z.dtype if isinstance(z, np.ndarray) else f'a {type(z).__name__}'
            raise ValueError(f'z must be a float32 array [N, {self.size}], got {got}')
        if z.ndim != 2 or not len(z) or z.shape[1] != self.size:
            raise ValueError(f'z must be [N, {self.size}] with N >= 1, got {list(z.shape)}')
        if not np.isfinite(z).all():
            raise ValueError('z must be finite numbers, got NaN or infinity')
        images, = self._run([OUTPUT], {INPUT: np.ascontiguousarray(z)})
        if images.ndim != 4 or not images.size or (len(images), images.shape[3]) != (len(z), 3):
            raise ValueError(f'{self.path}: {OUTPUT} came back as {list(images.shape)}, expected '
                             f'[{len(z)}, height, width, 3]')
        return images
