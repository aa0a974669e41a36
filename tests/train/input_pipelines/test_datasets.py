"""The registry, the contract, what is held out, and the digits."""
import dataclasses

import numpy as np
import pytest

from ash_tf1.input_pipelines import (
    DATASETS,
    ArraySplit,
    Dataset,
    LabelledImages,
    Split,
    Subset,
    hold_out,
    load_dataset,
    validate,
)
from ash_tf1.input_pipelines.holding_out import draw_share

pytestmark = pytest.mark.fast


def changed(dataset, **changes):
    return dataclasses.replace(dataset, **changes)


def test_known_data_sets():
    assert sorted(DATASETS) == ['celeba', 'cifar10', 'cifar100', 'digits', 'folder', 'photos']


def test_unknown_data_set_lists_the_known():
    with pytest.raises(ValueError, match="'mnist'; known are celeba, cifar10, .*, folder"):
        load_dataset('mnist')


def test_what_a_loader_gives_is_checked(monkeypatch):
    monkeypatch.setitem(DATASETS, 'some', lambda data_dir: changed(good(), labels=('only',)))
    with pytest.raises(ValueError, match="data set 'some': train label of example 1 is 1"):
        load_dataset('some')


@pytest.mark.parametrize('name, archive', [('cifar10', 'cifar-10-python.tar.gz'),
                                           ('cifar100', 'cifar-100-binary.tar.gz')])
def test_data_set_without_its_files_says_what_to_give(name, archive):
    with pytest.raises(ValueError, match='needs data_dir') as caught:
        load_dataset(name)
    assert archive in str(caught.value)
    assert 'https://www.cs.toronto.edu/~kriz/cifar.html' in str(caught.value)


# The contract.

def good():
    split = ArraySplit(image=np.zeros((2, 4, 4, 3), np.uint8), label=np.array([0, 1]))
    return LabelledImages('some', split, None, split, ('a', 'b'), (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))


def images(*shape, **options):
    return np.zeros(shape, options.get('dtype', np.uint8))


def test_a_good_data_set_passes_unchanged():
    for dataset in (good(), changed(good(), test=None), changed(good(), validation=good().test)):
        assert validate(dataset) is dataset
    assert good().image_shape == (4, 4, 3)
    assert list(good().splits) == ['train', 'test']


@pytest.mark.parametrize('changes, match', [
    (dict(image=images(2, 4, 4)), r'images must be uint8 \[H, W, 3\].*got uint8 \[4, 4\]'),
    (dict(image=images(2, 3, 4, 4)), r'got uint8 \[3, 4, 4\]'),
    (dict(image=images(2, 4, 4, 3, dtype=np.float32)), 'got float32'),
    (dict(image=images(0, 4, 4, 3), label=np.zeros(0, np.int64)), 'not be empty'),
    (dict(image=images(2, 4, 4, 3)[:, ::-1]), 'C-contiguous'),
    (dict(label=np.zeros(2, np.int32)), r'labels must be int64 \[2\], got int32 \[2\]'),
    (dict(label=np.zeros((2, 1), np.int64)), r'got int64 \[2, 1\]'),
    (dict(label=np.array([0, 2])), r'example 1 is 2, allowed are 0\.\.1'),
    (dict(label=np.array([-1, 0])), 'example 0 is -1'),
])
@pytest.mark.parametrize('part', ['train', 'validation', 'test'])
def test_wrong_split_is_named(part, changes, match):
    dataset = changed(good(), **{part: ArraySplit(**dict(good().train.arrays, **changes))})
    with pytest.raises(ValueError, match=f"data set 'some': {part} .*{match}"):
        validate(dataset)


@pytest.mark.parametrize('changes, match', [
    (dict(labels=()), 'non-empty strings'),
    (dict(labels=('a', '')), 'non-empty strings'),
    (dict(labels='ab'), 'tuple'),
    (dict(labels=('a', b'b')), 'non-empty strings'),
    (dict(channel_mean=(1.0, 2.0)), 'channel_mean must be three numbers'),
    (dict(channel_mean=(1.0, 2.0, 256.0)), 'channel_mean .* in 0..255'),
    (dict(channel_mean=(1.0, 2.0, float('nan'))), 'channel_mean'),
    (dict(channel_std=(1.0, 2.0, -3.0)), 'channel_std'),
    (dict(channel_std=(1.0, 0.0, 3.0)), 'channel_std must be positive'),
    (dict(channel_std=('1', '2', '3')), 'channel_std must be three numbers'),
    (dict(test=ArraySplit(image=images(1, 5, 5, 3), label=np.array([0]))), r'one size'),
])
def test_wrong_constant_is_named(changes, match):
    with pytest.raises(ValueError, match=match):
        validate(changed(good(), **changes))


def test_arrays_of_a_split_are_of_one_length():
    for arrays in (dict(image=images(2, 4, 4, 3), label=np.zeros(3, np.int64)), {}):
        with pytest.raises(ValueError, match='of one length'):
            ArraySplit(**arrays)


class Squares(Split):
    """All that a data set of one's own has to give."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return {'label': np.int64(index % 2), 'square': np.array([index, index ** 2])}


def test_a_split_needs_a_length_and_its_examples():
    split = Squares()
    batch = split.batch(np.array([3, 5]))
    np.testing.assert_array_equal(batch['square'], [[3, 9], [5, 25]])
    assert (batch['label'].dtype, batch['label'].tolist()) == (np.int64, [1, 1])
    assert split.labels.tolist() == [0, 1, 0, 1, 0, 1] and split.labels.dtype == np.int64
    assert [example['square'][0] for example in split] == list(range(6))


@pytest.mark.parametrize('split', [Squares(), ArraySplit(**Squares().batch(range(6)))])
def test_a_subset_is_a_view(split):
    subset = Subset(Subset(split, [5, 1, 4]), [2, 0])
    assert len(subset) == 2 and subset.in_memory == split.in_memory
    assert [example['square'][0] for example in subset] == [4, 5]
    assert subset.labels.tolist() == [0, 1]
    np.testing.assert_array_equal(subset.batch([1, 0])['square'], [[5, 25], [4, 16]])
    for wrong in (-1, 6):
        with pytest.raises(ValueError, match=f'indices must be in 0..5, got {wrong}'):
            Subset(split, [0, wrong])


# What is held out.

@pytest.mark.parametrize('counts, share, drawn', [
    ((500, 500), 0.1, (50, 50)), ((40, 10, 25), 0.2, (8, 2, 5)), ((3, 2, 1), 0.1, (1, 1, 0)),
    ((3, 2), 0.9, (2, 1)), ((7,), 0.5, (4,))])
def test_a_share_is_drawn_of_each_class(counts, share, drawn):
    labels = np.random.RandomState(0).permutation(np.repeat(np.arange(len(counts)), counts))
    chosen = draw_share(labels, share)
    assert np.bincount(labels[chosen], minlength=len(counts)).tolist() == list(drawn)
    np.testing.assert_array_equal(draw_share(labels, share), chosen)


def test_held_out_examples_are_no_more_trained_on():
    images = np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones([4, 4, 3], np.uint8)
    whole = ArraySplit(image=images, label=np.arange(40) % 2)
    dataset = hold_out(changed(good(), train=whole), 0.2)
    train, held_out = ([int(example['image'][0, 0, 0]) for example in split]
                       for split in (dataset.train, dataset.validation))
    assert len(held_out) == 8 and sorted(train + held_out) == list(range(40))
    assert train == sorted(train) and held_out == sorted(held_out)  # in the data set's order
    assert np.bincount(dataset.validation.labels).tolist() == [4, 4]
    assert dataset.labels == good().labels and validate(dataset)


def test_examples_without_classes_are_held_out_too():
    dataset = hold_out(Dataset('squares', ArraySplit(square=np.arange(50)), None, None), 0.1)
    assert (len(dataset.train), len(dataset.validation)) == (45, 5)


@pytest.mark.parametrize('dataset, share, match', [
    (good(), 0.0, r'in \(0, 1\), got 0.0'), (good(), 1.0, 'got 1.0'),
    (good(), 0.5, 'one example of each class'),
    (changed(good(), validation=good().test), 0.5, 'has a validation split')])
def test_what_cannot_be_held_out_is_refused(dataset, share, match):
    with pytest.raises(ValueError, match=match):
        hold_out(dataset, share)


@pytest.mark.parametrize('own, share, sizes', [
    (False, None, (36, 4)), (False, 0.25, (30, 10)), (False, 0, (40, None)),
    (False, 0.0, (40, None)), (True, None, (40, 2)), (True, 0, (40, 2)),
    (True, 0.25, (40, 2))])
def test_a_share_is_held_out_where_there_is_no_validation_split(monkeypatch, own, share, sizes):
    whole = ArraySplit(image=images(40, 4, 4, 3), label=np.arange(40) % 2)
    monkeypatch.setitem(DATASETS, 'some', lambda data_dir: changed(
        good(), train=whole, validation=good().test if own else None))
    dataset = load_dataset('some', validation_share=share)
    assert len(dataset.train) == sizes[0]
    assert (dataset.validation and len(dataset.validation)) == sizes[1]


@pytest.mark.parametrize('options, match', [
    (dict(validation_share=1), r'validation_share must be in \[0, 1\), got 1'),
    (dict(validation_share=-0.1), 'got -0.1'),
    (dict(validation_share=float('nan')), 'got nan'),
    (dict(image_size=(32,)), r'image_size must be \(height, width\)'),
    (dict(image_size=(0, 32)), r'image_size must be'),
    (dict(image_size=(1.5, 32)), r'image_size must be'),
    (dict(image_size=(16, 32)), r'images of \(32, 32\).*not resized to \(16, 32\)')])
def test_wrong_options_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        load_dataset('digits', **options)


# The digits.

@pytest.fixture(scope='module')
def digits():
    return load_dataset('digits', validation_share=0)


def test_digits_are_all_there_and_large(digits):
    assert digits.image_shape == (32, 32, 3)
    assert len(digits.train) + len(digits.test) == 1797
    assert load_dataset('digits', image_size=(32, 32)).image_shape == (32, 32, 3)
    assert digits.labels == tuple('0123456789')
    for split in (digits.train, digits.test):
        assert (split.arrays['image'] == split.arrays['image'][..., :1]).all()  # grey
        assert split.arrays['image'].min() == 0 and split.arrays['image'].max() == 255


def test_digits_show_the_original(digits):
    from sklearn.datasets import load_digits
    original = load_digits()
    small = original.images.astype(float) * 255 / 16
    # Each 4x4 block has the original pixel's place; enlarging mixes in the neighbours only.
    blocks = {}
    for split in (digits.train, digits.test):
        for example in split:
            image = example['image'][..., 0].reshape(8, 4, 8, 4).mean(axis=(1, 3))
            blocks.setdefault(int(example['label']), []).append(image)
    for label in range(10):
        theirs = small[original.target == label].mean(axis=0)
        ours = np.mean(blocks[label], axis=0)
        assert np.corrcoef(theirs.ravel(), ours.ravel())[0, 1] > 0.9


def test_digits_split_is_stratified_and_repeats(digits):
    train, test = (np.bincount(split.labels) for split in (digits.train, digits.test))
    assert (np.abs(test / (train + test) - 0.2) < 0.005).all()
    again = load_dataset('digits', validation_share=0)
    np.testing.assert_array_equal(again.test.arrays['image'], digits.test.arrays['image'])
    np.testing.assert_array_equal(again.train.labels, digits.train.labels)
    # The split may not change with scikit-learn or numpy, or accuracies could not be compared.
    assert digits.test.labels[:12].tolist() == [0, 4, 9, 1, 2, 3, 6, 5, 5, 5, 0, 3]


def test_digits_held_out_are_pinned():
    digits = load_dataset('digits')
    assert [len(split) for split in digits.splits.values()] == [1295, 143, 359]
    assert digits.validation.labels[:12].tolist() == [8, 0, 6, 2, 3, 0, 5, 7, 8, 3, 9, 7]


def test_digits_splits_share_no_image(digits):
    train, test = ({image.tobytes() for image in split.arrays['image']}
                   for split in (digits.train, digits.test))
    assert not train & test


def test_digits_constants_are_those_of_the_training_images(digits):
    assert digits.train.arrays['image'].mean() == pytest.approx(digits.channel_mean[0], abs=0.1)
    assert digits.train.arrays['image'].std() == pytest.approx(digits.channel_std[0], abs=0.1)
    assert len(set(digits.channel_mean)) == len(set(digits.channel_std)) == 1


def test_digits_take_no_folder(tmp_path):
    with pytest.raises(ValueError, match='take no data_dir'):
        load_dataset('digits', tmp_path)
