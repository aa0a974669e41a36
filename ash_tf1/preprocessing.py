"""How a photo becomes a net's input: arrays are fitted to uint8 RGB, the graph does the rest."""
import dataclasses
from typing import Tuple

import tensorflow.compat.v1 as tf

from ash_tf1.input_pipelines.fitting import INTERPOLATIONS, RESIZES, fit_image

CHANNELS = ('RGB', 'BGR')
LARGEST = 1e30


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """The way from a photo of any size to the normalised input of a net.

    Attributes:
      channels: the order that the net takes, 'RGB' or 'BGR'. Outside the graph pixels are RGB.
      mean, std: a float for each channel, in that order and in units of pixels, 0 to 255. The net
        gets (pixel - mean) / std.
      resize, crop, interpolation: as for `fit_image`. For an input of 224 a crop of 0.875 means
        that a photo is scaled to 256.
    """

    channels: str = 'RGB'
    mean: Tuple[float, ...] = (0.0, 0.0, 0.0)
    std: Tuple[float, ...] = (1.0, 1.0, 1.0)
    resize: str = 'cover'
    crop: float = 1.0
    interpolation: str = 'auto'

    def __post_init__(self):
        """Raises ValueError, naming the field and the value, if a value is invalid."""
        for name, known in (('channels', CHANNELS), ('resize', RESIZES),
                            ('interpolation', INTERPOLATIONS)):
            if getattr(self, name) not in known:
                raise ValueError('{} must be one of {}, got {!r}'.format(
                    name, ', '.join(known), getattr(self, name)))
        # The graph has them in float32, in which less is 0 and more infinite.
        if not all(abs(x) <= LARGEST for x in self.mean) or not all(
                1 / LARGEST <= x <= LARGEST for x in self.std):
            raise ValueError('mean must be finite and std above 0, both at most {:g}, got {!r} and '
                             '{!r}'.format(LARGEST, self.mean, self.std))
        if not 0.0 < self.crop <= 1.0 or (self.resize == 'stretch' and self.crop != 1.0):
            raise ValueError('crop must be in (0, 1], and 1 with resize=stretch, got {!r}'.format(
                self.crop))

    def normalize(self, pixels):
        """Adds the ops that take uint8 RGB pixels [N, H, W, C] to float32 of the same shape."""
        with tf.name_scope('normalize'):
            if self.channels == 'BGR':
                pixels = tf.gather(pixels, [2, 1, 0], axis=3)
            mean, std = tf.constant(self.mean, tf.float32), tf.constant(self.std, tf.float32)
            return (tf.cast(pixels, tf.float32) - mean) / std

    def fit(self, image, height, width):
        """Fits an image, uint8 [any height, any width, 3], to uint8 [height, width, 3]."""
        return fit_image(image, height, width, self.resize, self.crop, self.interpolation)

    def to_json(self):
        """The JSON values that an artifact's metadata hold."""
        return dict(dataclasses.asdict(self), mean=list(self.mean), std=list(self.std))


# How published weights were trained, by the names in common use.
NAMED = {
    'torch': Preprocessing(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375), crop=0.875,
                           interpolation='bilinear'),
    'caffe': Preprocessing('BGR', mean=(103.939, 116.779, 123.68), crop=0.875,
                           interpolation='bilinear'),
    'tf': Preprocessing(mean=(127.5,) * 3, std=(127.5,) * 3, crop=0.875, interpolation='bilinear'),
    'vgg': Preprocessing(mean=(123.68, 116.78, 103.94), crop=0.875, interpolation='bilinear'),
}


def parse(options):
    """Makes a `Preprocessing` from strings: optionally a key of `NAMED`, then KEY=VALUE options.

    Args:
      options: sequence such as ['vgg', 'crop=1'] or ['channels=BGR', 'mean=104,117,124',
        'scale=1/255']. A key is a field of `Preprocessing`, or scale, which is 1 / std. mean, std
        and scale take one number, or one for each channel, separated by commas. A number may be a
        fraction such as 1/255.

    Raises:
      ValueError: a name, a key or a value is wrong; the message names it.
    """
    base, values = Preprocessing(), {}
    for position, option in enumerate(options):
        key, equals, text = option.partition('=')
        if not equals and position == 0 and key in NAMED:
            base = NAMED[key]
        elif equals and key in ('mean', 'std', 'scale'):
            numbers = tuple(_number(option, part) for part in text.split(','))
            if len(numbers) not in (1, 3):
                raise ValueError('{!r} needs one number or three'.format(option))
            numbers = numbers * (3 // len(numbers))
            if key == 'scale':
                if not all(numbers):
                    raise ValueError('{!r} must not be 0'.format(option))
                key, numbers = 'std', tuple(1.0 / number for number in numbers)
            values[key] = numbers
        elif equals and key == 'crop':
            values[key] = _number(option, text)
        elif equals and key in ('channels', 'resize', 'interpolation'):
            values[key] = text
        else:
            raise ValueError('--preprocess takes {} and then KEY=VALUE with the keys channels, '
                             'mean, std, scale, resize, crop and interpolation, got {!r}'.format(
                                 ', '.join(sorted(NAMED)), option))
    return dataclasses.replace(base, **values)


def _number(option, text):
    numerator, _, denominator = text.partition('/')
    try:
        return float(numerator) / float(denominator or 1)
    except (ValueError, ZeroDivisionError):
        raise ValueError('{!r} needs numbers, such as 103.9 or 1/255'.format(option)) from None
