"""Puts images beside each other in one picture."""

import numpy as np

MAX_PIXELS = 2**26  # of the picture, 200 MB
_GAP = 2  # pixels between the images and around them
_BACKGROUND = 255


def check_grid(rows, columns, height, width):
    """The (height, width) of a grid's picture; ValueError if they are over `MAX_PIXELS`."""
    sides = [_GAP + number * (side + _GAP) for number, side in ((rows, height), (columns, width))]
    if sides[0] * sides[1] > MAX_PIXELS:
        raise ValueError(f'{rows} x {columns} images of {height} x {width} would be a picture of '
                         f'{sides[0]} x {sides[1]} pixels, at most {MAX_PIXELS} in all are drawn')
    return sides


def draw_grid(images, rows, columns):
    """Draws images row by row, each pixel as it is.

    Args:
      images: list of uint8 arrays [height, width, 3], RGB, all of one size; at least one and at
        most rows * columns. Places without an image are white.
      rows, columns: integers >= 1.

    Returns:
      uint8 array [any height, any width, 3], RGB.

    Raises:
      ValueError: the picture would have more than `MAX_PIXELS` pixels.
    """
    height, width, _ = images[0].shape
    canvas = np.full([*check_grid(rows, columns, height, width), 3], _BACKGROUND, np.uint8)
    for i, image in enumerate(images):
        top, left = (_GAP + place * (side + _GAP)
                     for place, side in ((i // columns, height), (i % columns, width)))
        canvas[top:top + height, left:left + width] = image
    return canvas
