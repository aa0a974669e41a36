"""The description of an image classifier from which its graph is rebuilt."""
import dataclasses
from typing import Tuple

from ash_tf1.preprocessing import Preprocessing
from ash_tf1.tasks.base import ModelSpec

MAX_SIDE = 4096  # pixels; as an artifact has it


@dataclasses.dataclass(frozen=True)
class ClassifierSpec(ModelSpec):
    """The `ModelSpec` of an image classifier; its fields are those of `model.json`."""

    input_shape: Tuple[int, int, int]  # height, width, channels
    channel_mean: Tuple[float, ...]
    channel_std: Tuple[float, ...]
    labels: Tuple[str, ...]
    training_images: int  # 0 if the weights were imported
    net_options: Tuple[str, ...] = ()
    scope: str = ''       # variable scope of the net; if empty, the net's default
    channels: str = Preprocessing.channels
    resize: str = Preprocessing.resize
    crop: float = Preprocessing.crop
    interpolation: str = Preprocessing.interpolation

    def __post_init__(self):
        """Raises ValueError, naming the field, if a value is of the wrong kind."""
        super().__post_init__()
        if not isinstance(self.scope, str):
            raise ValueError('scope must be a name, got {!r}'.format(self.scope))
        if not _all(self.labels, str) or not self.labels or not all(
                label and label.isprintable() for label in self.labels):
            raise ValueError('labels must be a list of printable names, got {:.80}'.format(
                repr(self.labels)))
        if not _all(self.input_shape, int) or len(self.input_shape) != 3 or not all(
                1 <= size <= MAX_SIDE for size in self.input_shape):
            raise ValueError('input_shape must be [height, width, channels], each 1 to {}, got '
                             '{!r}'.format(MAX_SIDE, self.input_shape))
        if not _all(self.net_options, str):
            raise ValueError('net_options must be a list of KEY=VALUE, got {!r}'.format(
                self.net_options))
        if not isinstance(self.training_images, int) or self.training_images < 0:
            raise ValueError('training_images must be 0 or more, got {!r}'.format(
                self.training_images))
        for name in ('channel_mean', 'channel_std'):
            value = getattr(self, name)
            if not _all(value, (int, float)) or len(value) != self.input_shape[2]:
                raise ValueError('{} must be a number for each channel, got {!r}'.format(
                    name, value))
        self.preprocessing  # noqa: B018 - making it checks the other fields

    @property
    def num_classes(self):
        return len(self.labels)

    @property
    def image_size(self):
        return self.input_shape[:2]

    @property
    def normalization(self):
        return 'channels={} mean={} std={}'.format(self.channels, *(
            ','.join(map(str, values)) for values in (self.channel_mean, self.channel_std)))

    @property
    def preprocessing(self):
        """The `Preprocessing` from a photo to the net's input."""
        return Preprocessing(self.channels, self.channel_mean, self.channel_std, self.resize,
                             self.crop, self.interpolation)


def _all(values, kind):
    return isinstance(values, tuple) and all(isinstance(value, kind) for value in values)
