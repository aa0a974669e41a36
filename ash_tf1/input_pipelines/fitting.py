"""Fits photos of any size to one size, pixel for pixel as `ash_onnx` does it."""
import cv2
import numpy as np

RESIZES = ('cover', 'stretch')
# None stands for area where a side shrinks, and then cubic where one grows.
INTERPOLATIONS = {'auto': None, 'area': cv2.INTER_AREA, 'bilinear': cv2.INTER_LINEAR,
                  'bicubic': cv2.INTER_CUBIC, 'nearest': cv2.INTER_NEAREST}
MAX_EXCESS = 16


def fit_image(image, height, width, resize='cover', crop=1.0, interpolation='auto'):
    """Fits an image to a size.

    'cover' scales it, keeping its aspect, until it just covers height / crop and width / crop, and
    cuts out the centre. With a crop below 1 the image is scaled whole before the cut, as is usual,
    unless that makes more than `MAX_EXCESS` times the pixels that are kept; else the centre is cut
    out first, at whole pixels.

    Args:
      image: uint8 [any height, any width, 3].
      height, width: in pixels, at least 1.
      resize: 'cover', or 'stretch', which scales to height and width and cuts nothing.
      crop: for 'cover', what share of the covered sides is cut out, in (0, 1].
      interpolation: a key of `INTERPOLATIONS`.

    Returns:
      uint8 [height, width, 3], C-contiguous. An image that has the size already is unchanged.
    """
    if resize == 'stretch':
        return np.ascontiguousarray(_scale(image, height, width, interpolation))
    scale = max(height / image.shape[0], width / image.shape[1]) / crop
    rows, columns = image.shape[0] * scale, image.shape[1] * scale
    if crop < 1 and rows * columns <= MAX_EXCESS * height * width:
        image = _scale(image, round(rows), round(columns), interpolation)
        return np.ascontiguousarray(_centre(image, height, width))
    image = _centre(image, max(1, round(height / scale)), max(1, round(width / scale)))
    return np.ascontiguousarray(_scale(image, height, width, interpolation))


def _centre(image, height, width):
    height, width = min(image.shape[0], height), min(image.shape[1], width)
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top:top + height, left:left + width]


def _scale(image, height, width, interpolation):
    if INTERPOLATIONS[interpolation] is None:
        image = _scale(image, min(height, image.shape[0]), min(width, image.shape[1]), 'area')
        interpolation = 'bicubic'
    if image.shape[:2] == (height, width):
        return image
    return cv2.resize(image, (width, height), interpolation=INTERPOLATIONS[interpolation])
