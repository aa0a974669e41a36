"""In which images OpenCV finds a face: its own frontal-face cascade (Viola and Jones, 2001)."""
import os

import cv2
import numpy as np

CASCADE = 'haarcascade_frontalface_default.xml'
SIDE = 128  # to which images are enlarged; of 32 pixels it finds no face
SCALE_FACTOR, MIN_NEIGHBORS = 1.1, 3


def find(images):
    """Looks for a face in each of some images.

    Args:
      images: iterable of uint8 [H, W, 3], RGB. Each is scaled to `SIDE` by cubic interpolation.

    Returns:
      bool [N].
    """
    cascade = cv2.CascadeClassifier(os.path.join(cv2.data.haarcascades, CASCADE))
    if cascade.empty():
        raise RuntimeError('OpenCV {} has no {}'.format(cv2.__version__, CASCADE))
    return np.array([len(cascade.detectMultiScale(
        cv2.cvtColor(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC),
                     cv2.COLOR_RGB2GRAY), SCALE_FACTOR, MIN_NEIGHBORS)) > 0 for image in images])
