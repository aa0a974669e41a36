"""Augmentations: each takes one example and its random state, and gives a new example.

An example is the dict that a split gives. A transform changes all that it must change together,
such as an image and what lies on it, and passes the rest on.
"""
import numpy as np


def pad_and_crop(example, rng, padding=4):
    """Pads the image with zeros and cuts a window of the old size at a random place.

    The place is uniform over the (2 * padding + 1) ** 2 possible ones.

    Args:
      example: a dict with `image`, uint8 [H, W, C]; left as it is.
      rng: `np.random.RandomState`; gives 2 integers.
      padding: zero pixels added on each of the four sides, at least 0.

    Returns:
      The example with a new `image` of the same shape.

    Raises:
      ValueError: `padding` is negative.
    """
    if padding < 0:
        raise ValueError('padding must be at least 0, got {!r}'.format(padding))
    image = example['image']
    height, width = image.shape[:2]
    # Where the window begins in the image: negative where it begins in the padding.
    top, left = (int(offset) for offset in rng.randint(-padding, padding + 1, size=2))
    window = np.zeros_like(image)
    window[_inside(-top, height), _inside(-left, width)] = (
        image[_inside(top, height), _inside(left, width)])
    return dict(example, image=window)


def _inside(offset, side):
    """The part of 0..side that is covered by 0..side moved by `offset`."""
    return slice(max(0, offset), max(0, side + min(0, offset)))


def flip(example, rng):
    """Mirrors the image left to right with probability 1/2.

    Args:
      example: a dict with `image`, uint8 [H, W, C]; left as it is.
      rng: `np.random.RandomState`; gives 1 integer.

    Returns:
      The example, with a new `image` of the same shape where it is mirrored.
    """
    if not rng.randint(0, 2):
        return example
    return dict(example, image=np.ascontiguousarray(example['image'][:, ::-1]))


# Applied from left to right. 'crop_flip' is the usual CIFAR recipe; 'crop' is for images whose
# mirror image is another class or none, such as digits.
AUGMENTATIONS = {
    'none': (),
    'crop': (pad_and_crop,),
    'flip': (flip,),
    'crop_flip': (pad_and_crop, flip),
}


def get_augmentation(name):
    """Looks an augmentation up by its name.

    Args:
      name: a key of `AUGMENTATIONS`.

    Returns:
      A tuple of functions (example, rng) -> example, to be applied in order.

    Raises:
      ValueError: no augmentation has this name.
    """
    if name not in AUGMENTATIONS:
        raise ValueError('unknown augmentation {!r}; known are {}'.format(
            name, ', '.join(sorted(AUGMENTATIONS))))
    return AUGMENTATIONS[name]
