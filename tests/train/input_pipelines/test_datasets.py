"""The registry, the contract, and the digits."""
import numpy as np
import pytest

from ash_tf1.input_pipelines import DATASETS, Dataset, Split, load_dataset
from ash_tf1.input_pipelines.dataset import validate


def test_known_data_sets():
    assert sorted(DATASETS) == ['cifar10', 'cifar100', 'digits']


def test_unknown_data_set_lists_the_known():
    with pytest.raises(ValueError, match="'mnist'; known are cifar10, cifar100, digits"):
        load_dataset('mnist')


def test_what_a_loader_gives_is_checked(monkeypatch):
    monkeypatch.setitem(DATASETS, 'some', lambda data_dir: good()._replace(labels=('only',)))
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
    split = Split(np.zeros((2, 4, 4, 3), np.uint8), np.array([0, 1]))
    return Dataset('some', split, split, ('a', 'b'), (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))


def images(*shape, **options):
    return np.zeros(shape, options.get('dtype', np.uint8))


def test_a_good_data_set_passes_unchanged():
    dataset = good()
    assert validate(dataset) is dataset


@pytest.mark.parametrize('changes, match', [
    (dict(images=images(2, 4, 4)), r'images must be uint8 \[N, H, W, 3\].*got uint8 \[2, 4, 4\]'),
    (dict(images=images(2, 3, 4, 4)), r'got uint8 \[2, 3, 4, 4\]'),
    (dict(images=images(2, 4, 4, 3, dtype=np.float32)), 'got float32'),
    (dict(images=images(0, 4, 4, 3), labels=np.zeros(0, np.int64)), 'not empty'),
    (dict(images=images(2, 4, 4, 3)[:, ::-1]), 'C-contiguous'),
    (dict(labels=np.zeros(2, np.int32)), r'labels must be int64 \[2\], got int32 \[2\]'),
    (dict(labels=np.zeros(3, np.int64)), r'got int64 \[3\]'),
    (dict(labels=np.zeros((2, 1), np.int64)), r'got int64 \[2, 1\]'),
    (dict(labels=np.array([0, 2])), r'example 1 is 2, allowed are 0\.\.1'),
    (dict(labels=np.array([-1, 0])), 'example 0 is -1'),
])
@pytest.mark.parametrize('part', ['train', 'test'])
def test_wrong_split_is_named(part, changes, match):
    dataset = good()
    dataset = dataset._replace(**{part: getattr(dataset, part)._replace(**changes)})
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
    (dict(test=Split(images(1, 5, 5, 3), np.array([0]))), r'one size'),
])
def test_wrong_constant_is_named(changes, match):
    with pytest.raises(ValueError, match=match):
        validate(good()._replace(**changes))


# The digits.

@pytest.fixture(scope='module')
def digits():
    return load_dataset('digits')


def test_digits_are_all_there_and_large(digits):
    assert digits.train.images.shape[1:] == (32, 32, 3)
    assert len(digits.train.labels) + len(digits.test.labels) == 1797
    assert digits.labels == tuple('0123456789')
    for split in (digits.train, digits.test):
        assert (split.images == split.images[..., :1]).all()  # grey
        assert split.images.min() == 0 and split.images.max() == 255


def test_digits_show_the_original(digits):
    from sklearn.datasets import load_digits
    original = load_digits()
    small = original.images.astype(float) * 255 / 16
    # Each 4x4 block has the original pixel's place; enlarging mixes in the neighbours only.
    blocks = {}
    for split in (digits.train, digits.test):
        for image, label in zip(split.images[..., 0].reshape(-1, 8, 4, 8, 4), split.labels):
            blocks.setdefault(label, []).append(image.mean(axis=(1, 3)))
    for label in range(10):
        theirs = small[original.target == label].mean(axis=0)
        ours = np.mean(blocks[label], axis=0)
        assert np.corrcoef(theirs.ravel(), ours.ravel())[0, 1] > 0.9


def test_digits_split_is_stratified_and_repeats(digits):
    train, test = (np.bincount(split.labels) for split in (digits.train, digits.test))
    assert (np.abs(test / (train + test) - 0.2) < 0.005).all()
    again = load_dataset('digits')
    np.testing.assert_array_equal(again.test.images, digits.test.images)
    np.testing.assert_array_equal(again.train.labels, digits.train.labels)
    # The split may not change with scikit-learn or numpy, or accuracies could not be compared.
    assert digits.test.labels[:12].tolist() == [0, 4, 9, 1, 2, 3, 6, 5, 5, 5, 0, 3]


def test_digits_splits_share_no_image(digits):
    train, test = ({image.tobytes() for image in split.images}
                   for split in (digits.train, digits.test))
    assert not train & test


def test_digits_constants_are_those_of_the_training_images(digits):
    assert digits.train.images.mean() == pytest.approx(digits.channel_mean[0], abs=0.1)
    assert digits.train.images.std() == pytest.approx(digits.channel_std[0], abs=0.1)
    assert len(set(digits.channel_mean)) == len(set(digits.channel_std)) == 1


def test_digits_take_no_folder(tmp_path):
    with pytest.raises(ValueError, match='take no data_dir'):
        load_dataset('digits', tmp_path)
