"""Generation of images by a generator and a discriminator that compete (a GAN)."""
from ash_tf1.tasks.generation.task import Generation

__all__ = ['Generation']
