"""The description of a GAN from which its graphs are rebuilt."""
import dataclasses
from typing import Tuple

from ash_tf1.nets import dcgan, get_gan
from ash_tf1.tasks.base import ModelSpec


@dataclasses.dataclass(frozen=True)
class GanSpec(ModelSpec):
    """The `ModelSpec` of a GAN; its fields are those of `model.json`."""

    side: int             # height and width of the images in pixels
    training_images: int
    net_options: Tuple[str, ...] = ()

    def __post_init__(self):
        """Raises ValueError, naming the field, if a value is of the wrong kind."""
        super().__post_init__()
        if self.side not in dcgan.SIDES:
            raise ValueError('side must be one of {}, got {!r}'.format(
                ', '.join(map(str, dcgan.SIDES)), self.side))
        if not isinstance(self.training_images, int) or self.training_images < 0:
            raise ValueError('training_images must be 0 or more, got {!r}'.format(
                self.training_images))
        if not (isinstance(self.net_options, tuple)
                and all(isinstance(option, str) for option in self.net_options)):
            raise ValueError('net_options must be a list of KEY=VALUE, got {!r}'.format(
                self.net_options))
        self.gan  # noqa: B018 - making it checks net and net_options

    @property
    def gan(self):
        """The nets: a `dcgan.Dcgan`."""
        return get_gan(self.net, self.net_options)

    @property
    def net_scope(self):
        return dcgan.SCOPE

    @property
    def image_size(self):
        return self.side, self.side
