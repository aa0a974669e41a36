import numpy as np
import pytest

from ash_tf1.input_pipelines import transforms


def some_images(count=16, height=6, width=5):
    # No zeros, so that padding shows.
    return np.random.RandomState(1).randint(1, 256, (count, height, width, 3)).astype(np.uint8)


def slow_crop(images, rng, padding):
    """The definition, one pixel at a time."""
    count, height, width, channels = images.shape
    offsets = rng.randint(0, 2 * padding + 1, size=(count, 2))
    cropped = np.zeros_like(images)
    for i in range(count):
        for row in range(height):
            for column in range(width):
                source_row = row + offsets[i, 0] - padding
                source_column = column + offsets[i, 1] - padding
                if 0 <= source_row < height and 0 <= source_column < width:
                    cropped[i, row, column] = images[i, source_row, source_column]
    return cropped


@pytest.mark.parametrize('padding', [0, 1, 4])
def test_crop_is_its_definition(padding):
    images = some_images()
    cropped = transforms.pad_and_crop(images, np.random.RandomState(3), padding)
    np.testing.assert_array_equal(cropped, slow_crop(images, np.random.RandomState(3), padding))
    assert cropped.dtype == np.uint8
    assert cropped.flags.c_contiguous and cropped.flags.writeable


def test_crop_reaches_every_place_and_no_other():
    image = np.zeros((1, 3, 3, 3), np.uint8)
    image[0, 1, 1] = 255
    places = set()
    cropped = transforms.pad_and_crop(np.repeat(image, 500, axis=0), np.random.RandomState(0), 1)
    for one in cropped:
        places.update(zip(*np.nonzero(one[..., 0])))
    assert places == {(row, column) for row in range(3) for column in range(3)}


def test_crop_refuses_negative_padding():
    with pytest.raises(ValueError, match='padding must be at least 0, got -1'):
        transforms.pad_and_crop(some_images(), np.random.RandomState(0), -1)


def test_flip_mirrors_the_columns_of_about_half_the_images():
    images = some_images(count=400)
    flipped = transforms.flip(images, np.random.RandomState(5))
    mirrored = 0
    for before, after in zip(images, flipped):
        if not np.array_equal(before, after):
            np.testing.assert_array_equal(after, before[:, ::-1])
            mirrored += 1
    assert 160 < mirrored < 240  # 4 standard deviations about 200


@pytest.mark.parametrize('transform', [transforms.pad_and_crop, transforms.flip])
def test_transforms_repeat_by_seed_and_leave_their_input(transform):
    images = some_images()
    before = images.copy()
    first, again, other = (transform(images, np.random.RandomState(seed)) for seed in (7, 7, 8))
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.shares_memory(first, images)


@pytest.mark.parametrize('name, expected', [
    ('none', ()),
    ('crop', (transforms.pad_and_crop,)),
    ('crop_flip', (transforms.pad_and_crop, transforms.flip)),
])
def test_augmentations_by_name(name, expected):
    assert transforms.get_augmentation(name) == expected


def test_unknown_augmentation_lists_the_known():
    with pytest.raises(ValueError, match="'mixup'; known are crop, crop_flip, none"):
        transforms.get_augmentation('mixup')
