"""CelebA in the publisher's layout: what is found, cropped and chosen, and what is refused."""
import zipfile

import cv2
import numpy as np
import pytest

from ash_tf1.input_pipelines import celeba, load_dataset
from ash_tf1.input_pipelines.fitting import fit_image
from ash_tf1.input_pipelines.images import read_image

pytestmark = pytest.mark.fast

NAMES = ['{:06d}.jpg'.format(number) for number in range(1, 13)]
PARTITION = [0] * 8 + [1] * 2 + [2] * 2
PERSONS = [5, 5, 7, 7, 7, 9, 9, 11, 2, 2, 3, 3]
ATTRIBUTES = 'Male No_Beard Smiling'
VALUES = [(1 if number % 2 else -1, 1, 1 if number < 6 else -1) for number in range(12)]


@pytest.fixture
def faces(tmp_path):
    """A folder of 12 faces of 178 x 218, noise of each one's seed, with all lists."""
    (tmp_path / 'img_align_celeba').mkdir()
    for number, name in enumerate(NAMES):
        pixels = np.random.RandomState(number).randint(0, 256, (218, 178, 3)).astype(np.uint8)
        assert cv2.imwrite(str(tmp_path / 'img_align_celeba' / name), pixels)
    lists = {
        'list_eval_partition.txt': ['{} {}'.format(*pair) for pair in zip(NAMES, PARTITION)],
        'identity_CelebA.txt': ['{} {}'.format(*pair) for pair in zip(NAMES, PERSONS)],
        'list_attr_celeba.txt': ['12', ATTRIBUTES] + [
            '{} {:2d} {:2d} {:2d}'.format(name, *values) for name, values in zip(NAMES, VALUES)]}
    for name, lines in lists.items():
        (tmp_path / name).write_text(''.join(line + '\n' for line in lines))
    return tmp_path


def names(split):
    return list(split.split.names)


def test_the_splits_are_the_publishers(faces):
    dataset = load_dataset('celeba', str(faces))
    assert [names(split) for split in dataset.splits.values()] == [
        NAMES[:8], NAMES[8:10], NAMES[10:]]
    assert dataset.image_shape == (64, 64, 3)


@pytest.mark.parametrize('height, width, side', [(218, 178, 108), (109, 89, 54), (436, 356, 216)])
def test_the_middle_is_cropped_in_proportion_to_the_width(height, width, side):
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows % 256, columns % 256, 0 * rows], axis=-1).astype(np.uint8)
    top, left = (height - side) // 2, (width - side) // 2
    np.testing.assert_array_equal(celeba.crop_face(image, side, side),
                                  image[top:top + side, left:left + side])
    if (height, width) == (218, 178):  # as the known DCGANs cut it
        assert (top, left) == (55, 35)


def test_a_face_is_cropped_and_fitted(faces):
    image = read_image(str(faces / 'img_align_celeba' / NAMES[3]))
    dataset = load_dataset('celeba', str(faces), image_size=(32, 32))
    np.testing.assert_array_equal(dataset.train[3]['image'],
                                  fit_image(image[55:163, 35:143], 32, 32))
    assert dataset.train[3]['image'] is dataset.train[3]['image']  # kept once it is made


def test_the_official_archive_gives_the_same_as_its_folder(faces, tmp_path):
    there = list(load_dataset('celeba', str(faces)).train)
    with zipfile.ZipFile(str(faces / 'img_align_celeba.zip'), 'w') as archive:
        for path in sorted((faces / 'img_align_celeba').iterdir()):
            archive.write(str(path), 'img_align_celeba/' + path.name)
    (faces / 'img_align_celeba').rename(tmp_path / 'elsewhere')
    packed = list(load_dataset('celeba', str(faces)).train)
    assert len(packed) == len(there) == 8
    for one, other in zip(there, packed):
        np.testing.assert_array_equal(one['image'], other['image'])


@pytest.mark.parametrize('text, chosen', [
    ('Smiling', range(6)), ('not-Male', range(0, 8, 2)), ('Smiling,not-Male', (0, 2, 4)),
    ('No_Beard', range(8))])
def test_attributes_choose_faces(faces, text, chosen):
    dataset = celeba.load(str(faces), attributes=text)
    assert names(dataset.train) == [NAMES[index] for index in chosen]
    assert (dataset.validation is None) == (text.startswith('Smiling'))


def test_a_share_that_is_held_out_divides_no_person(faces):
    (faces / 'list_eval_partition.txt').write_text(''.join(name + ' 0\n' for name in NAMES))
    dataset = load_dataset('celeba', str(faces), validation_share=0.3)
    people = [set(np.array(PERSONS)[split.indices]) for split in (dataset.train,
                                                                  dataset.validation)]
    assert not people[0] & people[1] and people[0] | people[1] == set(PERSONS)
    assert 3 <= len(dataset.validation) <= 6
    again = load_dataset('celeba', str(faces), validation_share=0.3)
    np.testing.assert_array_equal(dataset.validation.indices, again.validation.indices)


def damage(faces, name, old, new):
    path = faces / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize('name, old, new, message', [
    ('list_eval_partition.txt', '000003.jpg 0', '000003.jpg', 'partition.txt, line 3: expected'),
    ('list_eval_partition.txt', '000003.jpg 0', '000003.jpg 3', 'line 3: expected .* 0, 1 or 2'),
    ('list_eval_partition.txt', '000003.jpg 0', '../../x.jpg 0', 'line 3: .* no name of a file'),
    ('identity_CelebA.txt', '000002.jpg 5\n', '', 'identity_CelebA.txt lacks 000002.jpg'),
    ('identity_CelebA.txt', '000002.jpg 5', '000002.jpg x', 'CelebA.txt, line 2: expected'),
    ('list_attr_celeba.txt', '000001.jpg -1', '000001.jpg  0', 'celeba.txt, line 3: expected'),
    ('list_attr_celeba.txt', ' 1  1\n', ' 1\n', 'celeba.txt, line 3: expected a file and 3')])
def test_a_list_that_is_wrong_is_named_with_its_line(faces, name, old, new, message):
    damage(faces, name, old, new)
    with pytest.raises(ValueError, match=message):
        load_dataset('celeba', str(faces), options=('attributes=Smiling',))


def test_what_is_missing_is_named(faces, tmp_path):
    with pytest.raises(ValueError, match='celeba needs data_dir'):
        load_dataset('celeba')
    with pytest.raises(ValueError, match="unknown attribute 'Smile'; .* Male, No_Beard, Smiling"):
        load_dataset('celeba', str(faces), options=('attributes=Smile',))
    with pytest.raises(ValueError, match="unknown option 'attribute=Male' of celeba"):
        load_dataset('celeba', str(faces), options=('attribute=Male',))
    with pytest.raises(ValueError, match='train has the attributes .not-No_Beard'):
        load_dataset('celeba', str(faces), options=('attributes=not-No_Beard',))
    (faces / 'img_align_celeba').rename(tmp_path / 'away')
    with pytest.raises(FileNotFoundError, match='neither img_align_celeba nor'):
        load_dataset('celeba', str(faces))
    (faces / 'img_align_celeba.zip').write_bytes(b'PK\x03\x04 cut')
    with pytest.raises(ValueError, match='truncated or not a .zip'):
        load_dataset('celeba', str(faces))
    with zipfile.ZipFile(str(faces / 'img_align_celeba.zip'), 'w') as archive:
        archive.writestr('img_align_celeba/000009.jpg', b'no image')
    with pytest.raises(ValueError, match='has no img_align_celeba/000001.jpg'):
        load_dataset('celeba', str(faces))
    (faces / 'list_eval_partition.txt').write_text('000009.jpg 0\n')
    with pytest.raises(ValueError, match='000009.jpg is no whole PNG or JPEG file'):
        load_dataset('celeba', str(faces))


def test_photos_of_a_folder_and_the_folders_in_it(faces):
    (faces / 'img_align_celeba' / 'deeper').mkdir()
    (faces / 'img_align_celeba' / NAMES[0]).rename(
        faces / 'img_align_celeba' / 'deeper' / 'one.bin')
    dataset = load_dataset('photos', str(faces), image_size=(32, 48), validation_share=0)
    assert len(dataset.train) == 12 and dataset.image_shape == (32, 48, 3)
    assert dataset.validation is None and dataset.test is None
    held = load_dataset('photos', str(faces), validation_share=0.25)
    assert (len(held.train), len(held.validation)) == (9, 3)
    with pytest.raises(ValueError, match='photos need data_dir'):
        load_dataset('photos')
    with pytest.raises(ValueError, match='has no JPEG or PNG'):
        (faces / 'empty').mkdir()
        load_dataset('photos', str(faces / 'empty'))
