"""A folder of images as a data set: what is found, how it is split, and what is refused."""
import os
from inspect import signature
from pathlib import Path

import cv2
import numpy as np
import pytest

from ash_tf1.input_pipelines import ANY_SIZE, VALIDATION_SHARE, folder, load_dataset
from ash_tf1.input_pipelines.fitting import fit_image
from ash_tf1.input_pipelines.images import MAX_PIXELS, read_image
from ash_tf1.input_pipelines.loading import ordered_batches
from ash_tf1.input_pipelines.transforms import pad_and_crop

pytestmark = pytest.mark.fast

SPLIT = {f'{split}/{label}/{i}.jpg': 100 * (split == 'test') + i
         for split, count in (('train', 6), ('val', 2), ('test', 3)) for label in ('cat', 'dog')
         for i in range(count)}
ONE = {f'{label}/{i}.png': i for label in ('cat', 'dog', 'emu') for i in range(10)}


def write(root, files):
    """Writes each path's image: noise of the path's seed, 20 x 30 pixels."""
    for path, seed in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.RandomState(seed).randint(0, 256, (20, 30, 3)).astype(np.uint8)
        assert cv2.imwrite(str(file), pixels)
    return root


def paths(split, root):
    """The files behind a split or a subset of one, below root."""
    indices = getattr(split, 'indices', range(len(split)))
    files = getattr(split, 'split', split).files
    return [os.path.relpath(files[index][0], str(root)) for index in indices]


def load(root, **options):
    return load_dataset('folder', root, **dict(dict(image_size=(8, 12)), **options))


@pytest.mark.parametrize('name', ['val', 'validation'])
def test_splits_of_the_folder_are_those_of_the_data_set(tmp_path, name):
    write(tmp_path, {path.replace('val/', name + '/'): seed for path, seed in SPLIT.items()})
    dataset = load(tmp_path)
    assert dataset.labels == ('cat', 'dog') and dataset.image_shape == (8, 12, 3)
    assert {name: len(split) for name, split in dataset.splits.items()} == {
        'train': 12, 'validation': 4, 'test': 6}
    assert paths(dataset.validation, tmp_path) == [
        f'{name}/{label}/{i}.jpg' for label in ('cat', 'dog') for i in range(2)]
    assert dataset.test.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_an_added_photo_changes_the_draw_as_the_page_says(tmp_path):
    page = (Path(__file__).resolve().parents[3] / 'docs/photos.md').read_text(encoding='utf-8')
    before = load(write(tmp_path, {f'{label}/{i:02}.png': i for label in ('cat', 'dog', 'owl')
                                   for i in range(15)}))
    write(tmp_path, {'cat/00a.png': 1})
    after = load(tmp_path)
    held_out = paths(before.test, tmp_path)
    moved = set(held_out) - set(paths(after.test, tmp_path))
    assert (len(moved), len(held_out)) == (2, 9)
    assert 'one more photo moved two of nine test photos into training and' in page
    assert moved < set(paths(after.train, tmp_path) + paths(after.validation, tmp_path))


def test_the_limits_of_the_page_are_those_of_the_code():
    page = (Path(__file__).resolve().parents[3] / 'docs/photos.md').read_text(encoding='utf-8')
    for text, right in (('a fifth of each label', folder.TEST_SHARE == 1 / 5),
                        ('a label needs three photos', folder.FEWEST_IMAGES == 3),
                        ('\ntenth of each label', VALIDATION_SHARE == 1 / 10),
                        ('The default is 224 x 224', ANY_SIZE['folder'] == (224, 224)),
                        ('default size is 64 x 64', ANY_SIZE['photos'] == (64, 64)),
                        ('67 million pixels', MAX_PIXELS // 10**6 == 67),
                        ('up to 4 pixels', signature(pad_and_crop).parameters[
                            'padding'].default == 4)):
        assert text in page and right, text


def test_an_example_is_the_fitted_file(tmp_path):
    dataset = load(write(tmp_path, SPLIT))
    for example, path in zip(dataset.test, paths(dataset.test, tmp_path)):
        np.testing.assert_array_equal(
            example['image'], fit_image(read_image(str(tmp_path / path)), 8, 12))
        assert example['label'] == ('dog' in path) and example['label'].dtype == np.int64


def test_without_a_validation_folder_a_share_of_train_is_held_out(tmp_path):
    write(tmp_path, {path: seed for path, seed in SPLIT.items() if 'val/' not in path})
    dataset = load(tmp_path)
    assert np.bincount(dataset.validation.labels).tolist() == [1, 1]
    train, held_out = paths(dataset.train, tmp_path), paths(dataset.validation, tmp_path)
    assert len(train) == 10 and not set(train) & set(held_out)
    assert load(tmp_path, validation_share=0).validation is None
    assert np.bincount(load(tmp_path, validation_share=0.5).validation.labels).tolist() == [3, 3]


def test_without_a_test_folder_there_is_none(tmp_path):
    write(tmp_path, {path: seed for path, seed in SPLIT.items() if 'test/' not in path})
    assert load(tmp_path).test is None


def test_one_folder_is_split_by_class_and_always_the_same(tmp_path):
    dataset = load(write(tmp_path, ONE))
    parts = [paths(split, tmp_path) for split in dataset.splits.values()]
    assert [len(part) for part in parts] == [21, 3, 6]
    assert sorted(sum(parts, [])) == sorted(ONE)
    for split, count in zip(dataset.splits.values(), (7, 1, 2)):
        assert np.bincount(split.labels).tolist() == [count] * 3
    # Pinned, or accuracies could not be compared.
    assert parts[2] == ['cat/4.png', 'cat/7.png', 'dog/2.png', 'dog/8.png', 'emu/1.png',
                        'emu/7.png']
    assert [paths(split, tmp_path) for split in load(tmp_path).splits.values()] == parts


def test_a_label_may_be_called_train(tmp_path):
    write(tmp_path, {path.replace('cat', 'train'): seed for path, seed in ONE.items()})
    assert load(tmp_path).labels == ('dog', 'emu', 'train')


def test_files_are_known_by_their_content(tmp_path):
    write(tmp_path, SPLIT)
    (tmp_path / 'train/cat/0.jpg').rename(tmp_path / 'train/cat/photo')
    (tmp_path / 'test/cat/1.jpg').rename(tmp_path / 'test/cat/1.bmp')
    assert 'test/cat/1.bmp' in paths(load(tmp_path).test, tmp_path)
    assert 'train/cat/photo' in paths(load(tmp_path).train, tmp_path)


def test_hidden_files_are_passed_over(tmp_path):
    write(tmp_path, SPLIT)
    before = [paths(split, tmp_path) for split in load(tmp_path).splits.values()]
    for name in ('.DS_Store', 'train/.DS_Store', 'train/cat/.DS_Store', 'test/dog/Thumbs.db'):
        (tmp_path / name).write_text('no image')
    (tmp_path / 'train' / '.cache').mkdir()
    assert [paths(split, tmp_path) for split in load(tmp_path).splits.values()] == before


def test_images_are_decoded_when_they_are_asked_for(tmp_path):
    dataset = load(write(tmp_path, SPLIT))
    damaged = tmp_path / 'test/dog/1.jpg'
    damaged.write_bytes(damaged.read_bytes()[:-50])
    assert dataset.test.labels.tolist() == load(tmp_path).test.labels.tolist()
    batches = ordered_batches(dataset.test, 4)
    next(batches)
    with pytest.raises(ValueError, match=r'test/dog/1\.jpg is no whole PNG or JPEG'):
        next(batches)


def test_channels_are_those_of_the_fitted_training_images(tmp_path):
    dataset = load(write(tmp_path, SPLIT))
    pixels = np.stack([example['image'] for example in dataset.train]).astype(float)
    np.testing.assert_allclose(dataset.channel_mean, pixels.mean((0, 1, 2)), atol=0.006)
    np.testing.assert_allclose(dataset.channel_std, pixels.std((0, 1, 2)), atol=0.006)


def test_channels_of_many_images_are_measured_on_some(tmp_path, monkeypatch):
    dataset = load(write(tmp_path, SPLIT))
    monkeypatch.setattr(folder, 'MEASURED_IMAGES', 4)
    drawn = np.random.RandomState(folder.MEASURED_SEED).permutation(12)[:4]
    pixels = np.stack([dataset.train[index]['image'] for index in drawn]).astype(float)
    np.testing.assert_allclose(load(tmp_path).channel_mean, pixels.mean((0, 1, 2)), atol=0.006)


JPEG = b'\xff\xd8\xff'


def remove(path):
    return lambda root: [file.unlink() for file in sorted(root.glob(path + '/*'))]


def put(path, content=b'no image'):
    def change(root):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return change


@pytest.mark.parametrize('change, message', [
    (put('train/cat/notes.txt'), r'train/cat/notes\.txt: not a JPEG or PNG file$'),
    (put('test/dog/a.jpg', b''), r'test/dog/a\.jpg: not a JPEG or PNG file$'),
    (lambda root: [put(f'train/cat/{name}.txt')(root) for name in 'abc'],
     r'train/cat/a\.txt: not a JPEG or PNG file, nor are 2 others beside it'),
    (put('train/notes.txt'), r'train/notes\.txt: not a folder'),
    (put('notes.txt'), r'notes\.txt: beside .* may only be train, val, validation, test'),
    (lambda root: (root / 'more').mkdir(), r'more: beside'),
    (remove('val/dog'), r'val/dog: holds no images'),
    (put('train/dog/more/a.jpg'), r'train/dog/more: a folder, where images are expected'),
    (lambda root: (root / 'val/dog').rename(root / 'val/fox'),
     r"val: has no folder of the label 'dog', which .*train has"),
    (put('test/emu/0.jpg', JPEG), r"train: has no folder of the label 'emu', which .*test"),
    (put('validation/cat/0.jpg', JPEG), r'validation: is the validation split, as is .*val'),
    (lambda root: (root / 'train').rename(root / 'training'), r'training: beside'),
    (lambda root: [file.rename(root / 'test' / 'cat' / ('t' + file.name))
                   for file in (root / 'train' / 'cat').iterdir()], r'train/cat: holds no images'),
    (lambda root: os.mkfifo(str(root / 'train/cat/a.jpg')), r'cat/a\.jpg: not a regular file'),
    (lambda root: os.symlink('/dev/zero', str(root / 'train/cat/a.jpg')), 'not a regular file'),
    (put('train/c\nt/0.jpg', JPEG), r"'c\\nt' is no label"),
    (put('train/cat /0.jpg', JPEG), r"'cat ' is no label"),
])
def test_what_is_wrong_in_a_folder_of_splits_is_named(tmp_path, change, message):
    change(write(tmp_path, SPLIT))
    with pytest.raises(ValueError, match=message) as caught:
        load(tmp_path)
    assert str(tmp_path) in str(caught.value) and '\n' not in str(caught.value)


@pytest.mark.parametrize('files, message', [
    ({}, 'has 0 folders of labels'),
    ({'cat/0.png': 1, 'cat/1.png': 2, 'cat/2.png': 3}, 'has 1 folders of labels, at least 2'),
    (dict(ONE, **{'fox/0.png': 1, 'fox/1.png': 2}), 'fox: 2 images; a label needs 3'),
    (dict(ONE, **{'0.png': 1}), r'0\.png: not a folder'),
    (dict(ONE, **{'cat/more/0.png': 1}), 'cat/more: a folder, where images'),
    ({f'{name}/{i}.png': i for name in ('train', 'test') for i in range(9)},
     'has test and train, which hold images and no folders'),
    ({path: seed for path, seed in SPLIT.items() if 'train' not in path}, 'has no folder train'),
])
def test_what_is_wrong_in_a_folder_of_labels_is_named(tmp_path, files, message):
    write(tmp_path, files)
    with pytest.raises(ValueError, match=message) as caught:
        load(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_arguments_are_checked(tmp_path):
    with pytest.raises(ValueError, match='folder needs data_dir'):
        load_dataset('folder')
    with pytest.raises(FileNotFoundError, match='nowhere'):
        load(tmp_path / 'nowhere')
    with pytest.raises(ValueError, match='image_size is 10000 x 10000'):
        load(write(tmp_path, ONE), image_size=(10000, 10000))
    assert load(tmp_path, image_size=None).image_shape == (224, 224, 3)
