"""Image generators, as of a GAN: one float32 input `z`, one uint8 output `images`."""

from ash_onnx.kinds.base import Kind
from ash_onnx.kinds.generator.interface import interface
from ash_onnx.kinds.generator.model import ImageGenerator

KIND = Kind('generator', 'an image generator', ('latent',), interface, 'no image generator',
            ImageGenerator)
