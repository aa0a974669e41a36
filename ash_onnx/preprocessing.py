"""How an image of any size becomes what a model takes, as its metadata say."""

import sys
from dataclasses import dataclass

import cv2
import numpy as np

MAX_EXCESS = 16  # how many times what is cut out of it an image may take when it is scaled whole

_RESIZES = ('cover', 'stretch')
_INTERPOLATIONS = {'area': cv2.INTER_AREA, 'bilinear': cv2.INTER_LINEAR,
                   'bicubic': cv2.INTER_CUBIC, 'nearest': cv2.INTER_NEAREST}
_CHANNELS = ('RGB', 'BGR')


def _is_finite(value):
    # Integers of JSON can be larger than any float, and a bool is an int.
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _wrong(name, expected, value):
    return ValueError(f'{name} must be {expected}, got {value!r:.80}')


@dataclass(frozen=True)
class Preprocessing:
    """The metadata `preprocessing` of an artifact; the defaults hold where it has none.

    Attributes:
      resize: `cover` scales the image, with its aspect kept, until it just covers
        (height / crop, width / crop), and cuts out the centre height x width; `stretch` scales it
        to height x width whatever its aspect.
      crop: above 0 and at most 1; 1 for `stretch`. 224 / 256 is the usual for photos: the shorter
        side becomes 256 pixels, of which the centre 224 are taken.
      interpolation: `area`, `bilinear`, `bicubic` or `nearest`, as OpenCV has them; `auto` is area
        where an axis shrinks and bicubic where it grows.
      channels, mean, std: what the model itself does to the uint8 RGB pixels: the order of
        channels its net was trained on, and three numbers each that are subtracted and divided
        by, in units of pixels 0 to 255. For people: nothing here computes with them. None where
        the artifact does not say.

    Raises:
      ValueError: a value of another type or range.
    """

    resize: str = 'cover'
    crop: float = 1.0
    interpolation: str = 'auto'
    channels: str = 'RGB'
    mean: tuple | None = None
    std: tuple | None = None

    def __post_init__(self):
        for name, choices in (('resize', _RESIZES),
                              ('interpolation', ('auto', *_INTERPOLATIONS)),
                              ('channels', _CHANNELS)):
            if getattr(self, name) not in choices:
                raise _wrong(name, f'one of {", ".join(choices)}', getattr(self, name))
        if not (_is_finite(self.crop) and 0 < self.crop <= 1):
            raise _wrong('crop', 'a number above 0 and at most 1', self.crop)
        if self.resize == 'stretch' and self.crop != 1:
            raise _wrong('crop', '1 where the image is stretched', self.crop)
        for name in ('mean', 'std'):
            values = getattr(self, name)
            if values is None:
                continue
            if not (isinstance(values, (list, tuple)) and len(values) == 3
                    and all(map(_is_finite, values))):
                raise _wrong(name, '3 finite numbers', values)
            if name == 'std' and not all(value > 0 for value in values):
                raise _wrong(name, '3 numbers above 0', values)
            object.__setattr__(self, name, tuple(values))  # a list cannot be hashed


DEFAULT = Preprocessing()


def fit_image(image, input_shape, preprocessing=DEFAULT):
    """Scales an image to a model's input, and crops it, as a `Preprocessing` says.

    With `cover` and a crop below 1 the image is scaled whole and then cropped, so that the pixels
    are those of the usual resize and centre crop. With a crop of 1, and where the whole would take
    over `MAX_EXCESS` times the pixels that are left of it, the centre is cut out first, at whole
    pixels; an image that covers the input with one side exactly is only cropped then.

    Args:
      image: uint8 array [any height, any width, 3].
      input_shape: (height, width, 3) in pixels.
      preprocessing: a `Preprocessing`.

    Returns:
      uint8 array [height, width, 3].
    """
    height, width = input_shape[:2]
    interpolation, crop = preprocessing.interpolation, preprocessing.crop
    if preprocessing.resize == 'stretch':
        return np.ascontiguousarray(_scale(image, height, width, interpolation))
    scale = max(height / image.shape[0], width / image.shape[1]) / crop
    whole = [side * scale for side in image.shape[:2]]
    if crop < 1 and whole[0] * whole[1] <= MAX_EXCESS * height * width:
        image = _centre(_scale(image, *map(round, whole), interpolation), height, width)
    else:
        # Scaled whole, an image of 1 x 10^7 pixels would take the memory of 32 x 3 * 10^8.
        image = _centre(image, max(1, round(height / scale)), max(1, round(width / scale)))
        image = _scale(image, height, width, interpolation)
    return np.ascontiguousarray(image)


def _centre(image, height, width):
    height, width = min(image.shape[0], height), min(image.shape[1], width)
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top:top + height, left:left + width]


def _scale(image, height, width, interpolation):
    if interpolation == 'auto':  # an image may shrink along one axis and grow along the other
        image = _scale(image, min(height, image.shape[0]), min(width, image.shape[1]), 'area')
        interpolation = 'bicubic'
    if image.shape[:2] == (height, width):
        return image
    return cv2.resize(image, (width, height), interpolation=_INTERPOLATIONS[interpolation])
