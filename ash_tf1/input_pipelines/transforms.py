"""Augmentations of whole batches of images: each takes its random state and loops over nothing."""
import numpy as np


def pad_and_crop(images, rng, padding=4):
    """Pads every image with zeros and cuts a window of the old size at a random place.

    Each image has its own place, uniform over the (2 * padding + 1) ** 2 possible ones.

    Args:
        images: uint8 [N, H, W, C]; left as it is.
        rng: `np.random.RandomState`; gives N x 2 integers.
        padding: zero pixels added on each of the four sides, at least 0.

    Returns:
        uint8 [N, H, W, C], a new array.

    Raises:
        ValueError: `padding` is negative.
    """
    if padding < 0:
        raise ValueError(f'padding must be at least 0, got {padding!r}')
    count, height, width, channels = images.shape
    offsets = rng.randint(0, 2 * padding + 1, size=(count, 2))
    padded = np.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)), 'constant')
    # A view with every window of every image costs nothing; the indexing below then copies whole
    # rows of pixels, which is several times faster than gathering pixel by pixel.
    per_image, per_row, per_column, per_channel = padded.strides
    windows = np.lib.stride_tricks.as_strided(
        padded,
        shape=(count, 2 * padding + 1, 2 * padding + 1, height, width, channels),
        strides=(per_image, per_row, per_column, per_row, per_column, per_channel),
        writeable=False)
    return windows[np.arange(count), offsets[:, 0], offsets[:, 1]]


def flip(images, rng):
    """Mirrors each image left to right with probability 1/2.

    Args:
        images: uint8 [N, H, W, C]; left as it is.
        rng: `np.random.RandomState`; gives N integers.

    Returns:
        uint8 [N, H, W, C], a new array.
    """
    chosen = rng.randint(0, 2, size=len(images)).astype(bool)
    flipped = images.copy()
    flipped[chosen] = images[chosen, :, ::-1]
    return flipped


# Applied from left to right. 'crop_flip' is the usual CIFAR recipe; 'crop' is for images whose
# mirror image is another class or none, such as digits.
AUGMENTATIONS = {
    'none': (),
    'crop': (pad_and_crop,),
    'crop_flip': (pad_and_crop, flip),
}


def get_augmentation(name):
    """Looks an augmentation up by its name.

    Args:
        name: a key of `AUGMENTATIONS`.

    Returns:
        A tuple of functions (images, rng) -> images, to be applied in order.

    Raises:
        ValueError: no augmentation has this name.
    """
    if name not in AUGMENTATIONS:
        raise ValueError('unknown augmentation {!r}; known are {}'.format(
            name, ', '.join(sorted(AUGMENTATIONS))))
    return AUGMENTATIONS[name]
