"""A split as image files: the very pixels, in the right folder."""
import os

import cv2
import numpy as np
import pytest

from ash_tf1.input_pipelines import ArraySplit
from ash_tf1.input_pipelines.saving import save_image_folder

pytestmark = pytest.mark.fast

LABELS = ('cat', 'dog', 'maple_tree')


@pytest.fixture
def split():
    rng = np.random.RandomState(0)
    return ArraySplit(image=rng.randint(0, 256, (7, 4, 5, 3)).astype(np.uint8),
                      label=np.array([0, 2, 0, 2, 2, 0, 0], np.int64))


def files(folder):
    return sorted(os.path.relpath(os.path.join(where, name), str(folder))
                  for where, _, names in os.walk(str(folder)) for name in names)


def test_files_hold_the_pixels_as_rgb_under_their_label(split, tmp_path):
    assert save_image_folder(split, LABELS, str(tmp_path)) == 7
    assert files(tmp_path) == [
        'cat/00000.png', 'cat/00002.png', 'cat/00005.png', 'cat/00006.png',
        'maple_tree/00001.png', 'maple_tree/00003.png', 'maple_tree/00004.png']
    assert sorted(os.listdir(str(tmp_path))) == sorted(LABELS)  # a class without images too
    for path in files(tmp_path):
        index = int(path[-9:-4])
        bgr = cv2.imread(str(tmp_path / path), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(bgr[:, :, ::-1], split[index]['image'])


def test_per_class_takes_the_first_of_each(split, tmp_path):
    assert save_image_folder(split, LABELS, str(tmp_path), per_class=2) == 4
    assert files(tmp_path) == ['cat/00000.png', 'cat/00002.png',
                               'maple_tree/00001.png', 'maple_tree/00003.png']


@pytest.mark.parametrize('label', ['..', '.', 'a/b', 'a\\b', 'a\0b'])
def test_a_label_that_climbs_out_is_refused_before_anything_is_written(split, tmp_path, label):
    with pytest.raises(ValueError, match='cannot be the name of a folder'):
        save_image_folder(split, ('cat', 'dog', label), str(tmp_path))
    assert files(tmp_path) == []


def test_per_class_must_be_positive(split, tmp_path):
    with pytest.raises(ValueError, match='per_class must be at least 1, got 0'):
        save_image_folder(split, LABELS, str(tmp_path), per_class=0)
