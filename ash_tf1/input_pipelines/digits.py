"""Handwritten digits that come with scikit-learn: a data set that needs no files."""
import numpy as np

from ash_tf1.input_pipelines.dataset import ArraySplit, LabelledImages
from ash_tf1.input_pipelines.holding_out import draw_share

SIDE = 32
TEST_SHARE = 0.2

# Measured on the training images made below; the three channels are equal.
CHANNEL_MEAN = (77.7, 77.7, 77.7)
CHANNEL_STD = (82.4, 82.4, 82.4)


def load(data_dir=None):
    """Loads scikit-learn's 1797 digits, enlarged from 8x8 grey to 32x32 RGB.

    A fifth of each class, as `draw_share` draws it, is the test split. Both splits keep the digits'
    order.

    Args:
      data_dir: None; the digits are part of scikit-learn.

    Returns:
      `LabelledImages` named 'digits' with the labels '0' ... '9', without a validation split.

    Raises:
      ValueError: `data_dir` is given.
    """
    if data_dir is not None:
        raise ValueError('digits come with scikit-learn and take no data_dir, got {!r}'.format(
            data_dir))
    # Imported here because the other data sets need neither, and scikit-learn is slow to import.
    import cv2
    from sklearn.datasets import load_digits

    digits = load_digits()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    enlarged = np.stack([cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
                         for image in grey])
    images = np.repeat(enlarged[..., np.newaxis], 3, axis=3)
    labels = digits.target.astype(np.int64)
    in_test = draw_share(labels, TEST_SHARE)
    train, test = (ArraySplit(image=images[chosen], label=labels[chosen])
                   for chosen in (~in_test, in_test))
    return LabelledImages('digits', train, None, test, tuple(str(digit) for digit in range(10)),
                          CHANNEL_MEAN, CHANNEL_STD)
