"""Pictures that a run draws: images side by side, as PNG files."""
import os

import cv2
import numpy as np

from ash_tf1.training.run_dir import PICTURES_FOLDER, replacing

COLUMNS, GAP = 10, 2  # images in a row of a grid; white pixels between two


def grid(images, columns=COLUMNS, gap=GAP):
    """Lays images out in rows, on white.

    Args:
      images: uint8 [N, H, W, 3], N at least 1; the rows are filled from the left.
      columns: images in a row.
      gap: pixels between two images.

    Returns:
      uint8 [height, width, 3].
    """
    count, height, width, _ = images.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    canvas = np.full([rows * (height + gap) - gap, columns * (width + gap) - gap, 3], 255, np.uint8)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        top, left = row * (height + gap), column * (width + gap)
        canvas[top:top + height, left:left + width] = image
    return canvas


def write(run_dir, name, epoch, images):
    """Writes a grid of images, uint8 [N, H, W, 3], into a run's folder; returns its path."""
    shown = '{:04.0f}' if epoch == int(epoch) else '{:07.2f}'
    path = os.path.join(PICTURES_FOLDER, '{}-epoch-{}.png'.format(name, shown.format(epoch)))
    with replacing(run_dir, path) as temporary, open(temporary, 'wb') as handle:
        handle.write(encode(grid(images)))
    return os.path.join(run_dir, path)


def encode(image):
    """The bytes of a PNG file of an image, uint8 [H, W, 3], RGB."""
    return cv2.imencode('.png', image[..., ::-1])[1].tobytes()
