import numpy as np
import pytest

from ash_tf1.input_pipelines import batching, transforms


def assert_same_batches(actual, expected):
    actual, expected = list(actual), list(expected)
    assert len(actual) == len(expected)
    for (images, labels), (expected_images, expected_labels) in zip(actual, expected):
        np.testing.assert_array_equal(images, expected_images)
        np.testing.assert_array_equal(labels, expected_labels)


def whole(batches):
    images, labels = zip(*batches)
    return np.concatenate(images), np.concatenate(labels)


def key(image, label):
    return image.tobytes(), int(label)


@pytest.mark.parametrize('count, batch_size, steps', [(12, 4, 3), (13, 4, 3), (4, 4, 1), (5, 1, 5)])
def test_an_epoch_gives_whole_batches_of_distinct_examples(make_split, count, batch_size, steps):
    split = make_split(count)
    batches = list(batching.epoch_batches(split, batch_size, seed=1, epoch=0))
    assert len(batches) == steps == batching.steps_per_epoch(split, batch_size)
    for images, labels in batches:
        assert images.shape == (batch_size, 8, 8, 3) and images.dtype == np.uint8
        assert labels.shape == (batch_size,) and labels.dtype == np.int64
    given = [key(*pair) for pair in zip(*whole(batches))]
    assert len(set(given)) == steps * batch_size
    assert set(given) <= {key(*pair) for pair in zip(*split)}


@pytest.mark.parametrize('augmentation', sorted(transforms.AUGMENTATIONS))
def test_epochs_repeat_by_seed(make_split, augmentation):
    split = make_split(40)
    first = list(batching.epoch_batches(split, 8, 3, 2, augmentation))
    assert_same_batches(batching.epoch_batches(split, 8, 3, 2, augmentation), first)
    for seed, epoch in ((2, 3), (3, 3), (4, 2), (4, 1)):
        other = batching.epoch_batches(split, 8, seed, epoch, augmentation)
        assert not np.array_equal(whole(other)[0], whole(first)[0])


@pytest.mark.parametrize('augmentation', sorted(transforms.AUGMENTATIONS))
@pytest.mark.parametrize('start', [0, 1, 3, 5])
def test_start_resumes_the_epoch_without_replaying_it(make_split, augmentation, start):
    split = make_split(43)
    full = list(batching.epoch_batches(split, 8, 9, 4, augmentation))
    resumed = batching.epoch_batches(split, 8, 9, 4, augmentation, start=start)
    assert_same_batches(resumed, full[start:])


def test_batches_of_an_epoch_are_augmented_differently(make_split):
    # Equal images: only the augmentation can tell the batches apart.
    split = make_split(1)._replace(images=np.repeat(make_split(1).images, 32, axis=0),
                                   labels=np.zeros(32, np.int64))
    batches = [images for images, _ in batching.epoch_batches(split, 16, 0, 0, 'crop')]
    assert not np.array_equal(batches[0], batches[1])


def test_augmentation_keeps_order_and_split(make_split):
    split = make_split(24)
    before = split.images.copy()
    plain = list(batching.epoch_batches(split, 8, 5, 0))
    augmented = list(batching.epoch_batches(split, 8, 5, 0, 'crop_flip'))
    np.testing.assert_array_equal(whole(plain)[1], whole(augmented)[1])
    assert not np.array_equal(whole(plain)[0], whole(augmented)[0])
    np.testing.assert_array_equal(split.images, before)


def test_order_of_an_epoch_is_pinned(make_split):
    """A resumed run must meet the order that it left, also under a newer version of this code."""
    split = make_split(8)._replace(labels=np.arange(8))
    labels = whole(batching.epoch_batches(split, 4, seed=17, epoch=2))[1]
    np.testing.assert_array_equal(labels, np.random.RandomState([17, 2, 0]).permutation(8))
    images = whole(batching.epoch_batches(split, 4, 17, 2, 'crop'))[0]
    np.testing.assert_array_equal(images[4:], transforms.pad_and_crop(
        split.images[labels[4:]], np.random.RandomState([17, 2, 2])))


@pytest.mark.parametrize('arguments, message', [
    (dict(batch_size=0), 'batch_size must be in 1..10.*got 0'),
    (dict(batch_size=11), 'batch_size must be in 1..10.*got 11'),
    (dict(start=-1), r'start must be in 0..5.*got -1'),
    (dict(start=6), r'start must be in 0..5.*got 6'),
    (dict(seed=-1), 'seed must be in .*got -1'),
    (dict(seed=2 ** 32), 'seed must be in .*got 4294967296'),
    (dict(epoch=-1), 'epoch must be in .*got -1'),
    (dict(augmentation='cutout'), "unknown augmentation 'cutout'"),
])
def test_wrong_arguments_are_refused_by_the_call(make_split, arguments, message):
    # Not by the first next(): the error belongs where the mistake is.
    arguments = dict(dict(batch_size=2, seed=0, epoch=0), **arguments)
    with pytest.raises(ValueError, match=message):
        batching.epoch_batches(make_split(10), **arguments)


@pytest.mark.parametrize('batch_size, sizes', [
    (4, [4, 4, 2]), (5, [5, 5]), (10, [10]), (99, [10]), (1, [1] * 10)])
def test_ordered_batches_give_every_example_in_order(make_split, batch_size, sizes):
    split = make_split(10)
    batches = list(batching.ordered_batches(split, batch_size))
    assert [len(labels) for _, labels in batches] == sizes
    images, labels = whole(batches)
    np.testing.assert_array_equal(images, split.images)
    np.testing.assert_array_equal(labels, split.labels)


def test_ordered_batches_refuse_an_empty_batch(make_split):
    with pytest.raises(ValueError, match='batch_size must be at least 1, got 0'):
        batching.ordered_batches(make_split(3), 0)
