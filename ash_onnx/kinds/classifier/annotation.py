"""Draws classified images as one picture: a grid with label, probability and a bar under each."""

import math

import cv2
import numpy as np

from ash_onnx.images import read_image
from ash_onnx.pictures import check_picture_path, same_file, write_picture
from ash_onnx.preprocessing import DEFAULT

MAX_IMAGES = 100

# All lengths in pixels; colours are RGB until the picture is encoded.
_SIDE = 192  # images are enlarged to about this
_MAX_SIDE = 384  # and reduced to this
_GAP = 16
_TEXT_HEIGHT = 28
_BAR_HEIGHT = 6
_FOOTER_HEIGHT = 24
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.5
_BACKGROUND, _INK, _MUTED = (255, 255, 255), (32, 36, 44), (112, 118, 128)
_TRACK, _FILL = (226, 229, 234), (46, 110, 200)


def annotate(predictions, path, input_shape, preprocessing=DEFAULT):
    """Writes a picture of what was classified, as the model saw it (scaled and cropped).

    Args:
      predictions: sequence of `Prediction`, at least one; the first `MAX_IMAGES` are drawn and
        a line under the grid says how many there were.
      path: the picture, `.png` or `.jpg`; replaced at once when it is complete.
      input_shape: (height, width, 3) in pixels, the model's.
      preprocessing: a `Preprocessing`, the model's too.

    Raises:
      ValueError: no predictions, another suffix, or `path` is one of the classified images.
      OSError: the picture cannot be written, or an image is gone.
    """
    check_picture_path(path)
    if not predictions:
        raise ValueError(f'{path}: there is no classified image to draw')
    if any(same_file(path, prediction.path) for prediction in predictions):
        raise ValueError(f'{path}: this is one of the classified images, which it would replace')
    picture = draw_grid([(read_image(prediction.path, input_shape, preprocessing),
                          *prediction.top[0])
                         for prediction in predictions[:MAX_IMAGES]], len(predictions))
    write_picture(path, picture)


def draw_grid(cells, total=None):
    """Draws labelled images in a grid.

    Args:
      cells: list of (uint8 RGB image [H, W, 3], label, probability from 0 to 1), all of one size.
      total: how many images there were; a line says so where it is more than are drawn.

    Returns:
      uint8 array [any height, any width, 3], RGB.
    """
    height, width = _cell_size(cells[0][0].shape)
    columns = min(len(cells), max(4, math.ceil(math.sqrt(len(cells) * 1.3))))
    rows = math.ceil(len(cells) / columns)
    step_y, step_x = height + _TEXT_HEIGHT + _BAR_HEIGHT + _GAP, width + _GAP
    more = total is not None and total > len(cells)
    footer = _FOOTER_HEIGHT if more else 0
    canvas = np.full((rows * step_y + _GAP + footer, columns * step_x + _GAP, 3), _BACKGROUND,
                     np.uint8)
    for i, (image, label, probability) in enumerate(cells):
        top, left = _GAP + i // columns * step_y, _GAP + i % columns * step_x
        canvas[top:top + height, left:left + width] = _enlarge(image, height, width)
        _draw_caption(canvas, top + height, left, width, label, probability)
    if more:
        _draw_text(canvas, f'the first {len(cells)} of {total} images', _GAP,
                   canvas.shape[0] - _GAP, _MUTED)
    return canvas


def _cell_size(shape):
    # A whole factor for small images: every pixel becomes a square of the same size.
    factor = max(1, round(_SIDE / max(shape[:2])))
    reduce = min(1, _MAX_SIDE / max(shape[:2]))
    return tuple(max(1, round(side * factor * reduce)) for side in shape[:2])


def _enlarge(image, height, width):
    shrinks = height < image.shape[0]
    return cv2.resize(image, (width, height),
                      interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST)


def _draw_caption(canvas, top, left, width, label, probability):
    share = f'{probability:.1%}' if probability < 0.9995 else '100%'
    share_width = _text_width(share)
    baseline = top + _TEXT_HEIGHT - 9
    room = width - share_width - 8
    if _text_width(label) > room:
        while label and _text_width(label + '...') > room:
            label = label[:-1]
        label += '...'
    _draw_text(canvas, label, left, baseline, _INK)
    _draw_text(canvas, share, left + width - share_width, baseline, _MUTED)
    bar = canvas[top + _TEXT_HEIGHT:top + _TEXT_HEIGHT + _BAR_HEIGHT, left:left + width]
    bar[:] = _TRACK
    bar[:, :round(width * probability)] = _FILL


def _draw_text(canvas, text, left, baseline, colour):
    cv2.putText(canvas, text, (left, baseline), _FONT, _FONT_SCALE, colour, 1, cv2.LINE_AA)


def _text_width(text):
    return cv2.getTextSize(text, _FONT, _FONT_SCALE, 1)[0][0]
