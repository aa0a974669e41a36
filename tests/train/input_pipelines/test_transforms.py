"""Augmentations: crop and flip against their definitions, and their random state."""
import numpy as np
import pytest

from ash_tf1.input_pipelines import transforms

pytestmark = pytest.mark.fast


def some_images(count=16, height=6, width=5):
    # No zeros, so that padding shows.
    return np.random.RandomState(1).randint(1, 256, (count, height, width, 3)).astype(np.uint8)


def example(image):
    return {'image': image, 'label': np.int64(3)}


def slow_crop(image, top, left):
    """The definition, one pixel at a time."""
    cropped = np.zeros_like(image)
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            if 0 <= row + top < image.shape[0] and 0 <= column + left < image.shape[1]:
                cropped[row, column] = image[row + top, column + left]
    return cropped


@pytest.mark.parametrize('padding', [0, 1, 4, 9])
def test_crop_is_its_definition(padding):
    for seed, image in enumerate(some_images(100)):
        top, left = np.random.RandomState(seed).randint(-padding, padding + 1, size=2)
        cropped = transforms.pad_and_crop(example(image), np.random.RandomState(seed), padding)
        np.testing.assert_array_equal(cropped['image'], slow_crop(image, top, left))
        assert cropped['image'].dtype == np.uint8
        assert cropped['image'].flags.c_contiguous and cropped['image'].flags.writeable
        assert cropped['label'] == 3


def test_crop_reaches_every_place_and_no_other():
    image = np.zeros((3, 3, 3), np.uint8)
    image[1, 1] = 255
    rng, places = np.random.RandomState(0), set()
    for _ in range(500):
        cropped = transforms.pad_and_crop(example(image), rng, 1)['image']
        places.update(zip(*np.nonzero(cropped[..., 0])))
    assert places == {(row, column) for row in range(3) for column in range(3)}


def test_crop_refuses_negative_padding():
    with pytest.raises(ValueError, match='padding must be at least 0, got -1'):
        transforms.pad_and_crop(example(some_images(1)[0]), np.random.RandomState(0), -1)


def test_flip_mirrors_the_columns_of_about_half_the_images():
    rng, mirrored = np.random.RandomState(5), 0
    for before in some_images(count=400):
        flipped = transforms.flip(example(before), rng)
        assert flipped['label'] == 3 and flipped['image'].flags.c_contiguous
        if not np.array_equal(before, flipped['image']):
            np.testing.assert_array_equal(flipped['image'], before[:, ::-1])
            mirrored += 1
    assert 160 < mirrored < 240  # 4 standard deviations about 200


@pytest.mark.parametrize('transform', [transforms.pad_and_crop, transforms.flip])
def test_transforms_repeat_by_seed_and_leave_their_input(transform):
    images = some_images(64)
    before = images.copy()
    first, again, other = (
        [transform(example(image), rng)['image'] for image in images]
        for rng in map(np.random.RandomState, (7, 7, 8)))
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize('name, expected', [
    ('none', ()),
    ('crop', (transforms.pad_and_crop,)),
    ('crop_flip', (transforms.pad_and_crop, transforms.flip)),
])
def test_augmentations_by_name(name, expected):
    assert transforms.get_augmentation(name) == expected


def test_unknown_augmentation_lists_the_known():
    with pytest.raises(ValueError, match="'mixup'; known are crop, crop_flip, flip, none"):
        transforms.get_augmentation('mixup')
