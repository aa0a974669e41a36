"""Batches: their order, what is in them, and that neither threads nor batch size change them."""
import threading

import numpy as np
import pytest

from ash_tf1.input_pipelines import ArraySplit, Split, Subset, loading, transforms
from tests.train.input_pipelines.splits import make_split

pytestmark = pytest.mark.fast

AUGMENTATIONS = sorted(transforms.AUGMENTATIONS)


class SlowSplit(Split):
    """The examples of another split, made one by one as if they were decoded from files."""

    def __init__(self, split):
        self.split, self.threads = split, set()

    def __len__(self):
        return len(self.split)

    def __getitem__(self, index):
        self.threads.add(threading.current_thread().name)
        if index % 3 == 0:  # some take longer, so that they end out of order
            threading.Event().wait(0.001)
        return self.split[index]


class BrokenSplit(SlowSplit):

    def __getitem__(self, index):
        if index == 5:
            raise OSError('example 5 cannot be read')
        return super().__getitem__(index)


def epoch(split, batch_size, seed, epoch, augmentation='none', **options):
    return list(loading.epoch_batches(split, batch_size, seed, epoch,
                                      transforms.get_augmentation(augmentation), **options))


def whole(batches):
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def assert_same(actual, expected):
    assert len(actual) == len(expected)
    for batch, other in zip(actual, expected):
        assert list(batch) == list(other)
        for name in batch:
            assert batch[name].dtype == other[name].dtype
            np.testing.assert_array_equal(batch[name], other[name])


def keys(examples):
    return [(example['image'].tobytes(), int(example['label'])) for example in examples]


def pool_threads():
    return [thread for thread in threading.enumerate() if 'make_example' in thread.name]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert not pool_threads()


@pytest.mark.parametrize('count, batch_size, steps', [(12, 4, 3), (13, 4, 3), (4, 4, 1), (5, 1, 5)])
@pytest.mark.parametrize('kind', [lambda split: split, SlowSplit,
                                  lambda split: Subset(split, np.arange(len(split))[::-1])])
def test_an_epoch_gives_whole_batches_of_distinct_examples(count, batch_size, steps, kind):
    split = make_split(count)
    batches = epoch(kind(split), batch_size, seed=1, epoch=0)
    assert len(batches) == steps == loading.steps_per_epoch(kind(split), batch_size)
    for batch in batches:
        assert batch['image'].shape == (batch_size, 8, 8, 3) and batch['image'].dtype == np.uint8
        assert batch['label'].shape == (batch_size,) and batch['label'].dtype == np.int64
    given = keys(ArraySplit(**whole(batches)))
    assert len(set(given)) == steps * batch_size
    assert set(given) <= set(keys(split))


@pytest.mark.parametrize('augmentation', AUGMENTATIONS)
def test_epochs_repeat_by_seed(augmentation):
    split = make_split(40)
    first = epoch(split, 8, 3, 2, augmentation)
    assert_same(epoch(split, 8, 3, 2, augmentation), first)
    for seed, number in ((2, 3), (3, 3), (4, 2), (4, 1)):
        other = epoch(split, 8, seed, number, augmentation)
        assert not np.array_equal(whole(other)['image'], whole(first)['image'])


@pytest.mark.parametrize('augmentation', AUGMENTATIONS)
@pytest.mark.parametrize('start', [0, 1, 3, 5])
@pytest.mark.parametrize('workers', [None, 3])
def test_start_resumes_the_epoch_without_replaying_it(augmentation, start, workers):
    split = make_split(43)
    full = epoch(split, 8, 9, 4, augmentation)
    slow = SlowSplit(split)
    assert_same(epoch(slow, 8, 9, 4, augmentation, start=start, workers=workers), full[start:])


@pytest.mark.parametrize('augmentation', AUGMENTATIONS)
@pytest.mark.parametrize('batch_size, workers', [(1, 0), (5, 0), (12, 0), (5, 1), (12, 2), (20, 7)])
def test_batch_size_and_threads_change_no_example(augmentation, batch_size, workers):
    split = make_split(60)
    expected = whole(epoch(split, 4, 8, 1, augmentation))
    actual = whole(epoch(SlowSplit(split), batch_size, 8, 1, augmentation, workers=workers))
    for name in expected:
        np.testing.assert_array_equal(actual[name], expected[name])


def test_an_example_is_augmented_by_its_own_key():
    """A resumed run must meet what it left, also under a newer version of this code."""
    split = make_split(8)
    batch = whole(epoch(split, 4, 17, 2, 'crop_flip'))
    order = np.random.RandomState([17, 2, 0]).permutation(8)
    for place, index in enumerate(order):
        example, rng = split[index], np.random.RandomState([17, 2, 1 + index])
        expected = transforms.flip(transforms.pad_and_crop(example, rng), rng)
        np.testing.assert_array_equal(batch['image'][place], expected['image'])
        assert batch['label'][place] == example['label']


def test_equal_images_are_augmented_differently():
    image = np.random.RandomState(0).randint(1, 256, (8, 8, 3)).astype(np.uint8)
    split = ArraySplit(image=np.stack([image] * 81))
    seen = {example.tobytes() for example in whole(epoch(split, 9, 0, 0, 'crop'))['image']}
    assert len(seen) > 40  # of 81 places, about 51 are expected


def test_augmentation_keeps_order_and_split():
    split = make_split(24)
    before = split.arrays['image'].copy()
    plain, augmented = whole(epoch(split, 8, 5, 0)), whole(epoch(split, 8, 5, 0, 'crop_flip'))
    np.testing.assert_array_equal(plain['label'], augmented['label'])
    assert not np.array_equal(plain['image'], augmented['image'])
    np.testing.assert_array_equal(split.arrays['image'], before)


def test_batches_may_be_written_to():
    split = make_split(4)
    for batches in (epoch(split, 4, 0, 0), list(loading.ordered_batches(split, 4))):
        assert not np.shares_memory(batches[0]['image'], split.arrays['image'])


@pytest.mark.parametrize('arguments, message', [
    (dict(batch_size=0), 'batch_size must be in 1..10.*got 0'),
    (dict(batch_size=11), 'batch_size must be in 1..10.*got 11'),
    (dict(start=-1), r'start must be in 0..5.*got -1'),
    (dict(start=6), r'start must be in 0..5.*got 6'),
    (dict(seed=-1), 'seed must be in .*got -1'),
    (dict(seed=2 ** 32), 'seed must be in .*got 4294967296'),
    (dict(epoch=-1), 'epoch must be in .*got -1'),
    (dict(workers=-1), 'workers must be at least 0, got -1'),
])
def test_wrong_arguments_are_refused_by_the_call(arguments, message):
    # Not by the first next(): the error belongs where the mistake is.
    arguments = dict(dict(batch_size=2, seed=0, epoch=0), **arguments)
    with pytest.raises(ValueError, match=message):
        loading.epoch_batches(make_split(10), **arguments)


@pytest.mark.parametrize('batch_size, sizes', [
    (4, [4, 4, 2]), (5, [5, 5]), (10, [10]), (99, [10]), (1, [1] * 10)])
@pytest.mark.parametrize('workers', [None, 0, 3])
@pytest.mark.parametrize('kind', [lambda split: split, SlowSplit])
def test_ordered_batches_give_every_example_in_order(batch_size, sizes, workers, kind):
    split = make_split(10)
    batches = list(loading.ordered_batches(kind(split), batch_size, workers))
    assert [len(batch['label']) for batch in batches] == sizes
    assert_same([whole(batches)], [split.arrays])


def test_ordered_batches_refuse_an_empty_batch():
    with pytest.raises(ValueError, match='batch_size must be at least 1, got 0'):
        loading.ordered_batches(make_split(3), 0)


@pytest.mark.parametrize('in_memory, workers, pooled', [
    (True, None, False), (False, None, True), (True, 2, True), (False, 0, False)])
def test_examples_that_are_not_in_memory_are_made_by_threads(in_memory, workers, pooled):
    split = SlowSplit(make_split(40))
    split.in_memory = in_memory
    list(loading.epoch_batches(split, 8, 0, 0, workers=workers))
    assert all(('make_example' in name) == pooled for name in split.threads)
    assert len(split.threads) > pooled


def test_closing_the_batches_ends_the_threads_and_the_work():
    split = SlowSplit(make_split(200))
    batches = loading.prefetch(loading.ordered_batches(split, 10, workers=3), depth=1)
    next(batches)
    assert pool_threads()
    batches.close()
    assert not pool_threads()


def test_the_next_batch_is_made_while_the_caller_has_one():
    made, enough = [], threading.Event()

    class Counted(SlowSplit):
        def __getitem__(self, index):
            made.append(index)
            if len(made) == 8:
                enough.set()
            return super().__getitem__(index)

    batches = loading.ordered_batches(Counted(make_split(40)), 4, workers=2)
    next(batches)
    assert enough.wait(5)
    assert sorted(made) == list(range(8))  # and no more than the next
    batches.close()


@pytest.mark.parametrize('end', ['close', 'error'])
def test_what_is_not_begun_when_the_batches_end_is_not_made(end):
    made = []

    class Slow(SlowSplit):
        def __getitem__(self, index):
            if index == 5 and end == 'error':
                raise OSError('example 5 cannot be read')
            made.append(index)
            threading.Event().wait(0.01)
            return super().__getitem__(index)

    batches = loading.ordered_batches(Slow(make_split(400)), 100, workers=2)
    if end == 'close':
        next(batches)
        batches.close()
    else:
        with pytest.raises(OSError):
            next(batches)
    assert len(made) < (130 if end == 'close' else 50)


def test_what_an_example_raises_comes_out_in_its_place():
    batches = loading.ordered_batches(BrokenSplit(make_split(40)), 4, workers=2)
    assert len(next(batches)['label']) == 4
    with pytest.raises(OSError, match='example 5 cannot be read'):
        next(batches)
    assert list(batches) == []


def test_examples_of_different_shapes_are_named():
    class Ragged(SlowSplit):
        def __getitem__(self, index):
            return {'label': np.int64(1), 'boxes': np.zeros([index, 4])}

    batches = loading.ordered_batches(Ragged([0, 0]), 2, workers=0)
    with pytest.raises(ValueError, match=r"differ in the shape of 'boxes': \[0, 4\], \[1, 4\]"):
        next(batches)
