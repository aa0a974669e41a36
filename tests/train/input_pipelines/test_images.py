"""Photos: what a file must be, where they are found, and the batches made of them."""
import os
import struct

import cv2
import numpy as np
import pytest

from ash_tf1.input_pipelines import images
from ash_tf1.input_pipelines.images import (
    ImageFiles,
    find_images,
    find_labelled_images,
    read_image,
    sample_images,
)
from ash_tf1.input_pipelines.loading import ordered_batches

pytestmark = pytest.mark.fast


def noise(*shape, dtype=np.uint8):
    return np.random.RandomState(0).randint(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    return str(path)


@pytest.mark.parametrize('stored, expected', [
    (noise(5, 7, 3), noise(5, 7, 3)[..., ::-1]),
    (noise(5, 7), np.repeat(noise(5, 7)[..., None], 3, axis=2)),
    (noise(5, 7, 4), noise(5, 7, 4)[..., 2::-1]),
    (noise(5, 7, 3, dtype=np.uint16), (noise(5, 7, 3, dtype=np.uint16) >> 8)[..., ::-1])],
    ids=['colour', 'gray', 'alpha', '16 bits'])
def test_a_png_is_read_as_rgb(tmp_path, stored, expected):
    pixels = read_image(write(tmp_path / 'a.png', stored))
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize('flags', [[], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
                                   [cv2.IMWRITE_JPEG_RST_INTERVAL, 1]])
def test_a_jpeg_is_read_as_rgb_the_right_way_up(tmp_path, flags):
    pixels = np.zeros([40, 64, 3], np.uint8)
    pixels[:20, :32] = 10, 120, 250  # BGR, in the upper left quarter
    data = cv2.imencode('.jpg', pixels, flags)[1].tobytes()
    # Orientation 6: what is up is at the right of the stored picture. A thumbnail ends before it.
    tiff = b'II*\0' + struct.pack('<IHHHIHHI', 8, 1, 0x0112, 3, 1, 6, 0, 0) + b'\xff\xd9'
    segment = b'\xff\xe1' + struct.pack('>H', 2 + 6 + len(tiff)) + b'Exif\0\0' + tiff
    (tmp_path / 'a.jpg').write_bytes(data[:2] + segment + data[2:])
    found = read_image(str(tmp_path / 'a.jpg')).astype(int)
    assert np.abs(found - np.rot90(pixels, -1)[..., ::-1]).mean() < 3


def spoilt(data, where):
    return data[:where] + bytes([data[where] ^ 1]) + data[where + 1:]


@pytest.mark.parametrize('make, message', [
    (lambda png, jpeg: b'', 'no whole PNG or JPEG'),
    (lambda png, jpeg: b'GIF89a' + png, 'no whole PNG or JPEG'),
    (lambda png, jpeg: png[:-8], 'no whole'), (lambda png, jpeg: png[:60], 'no whole'),
    (lambda png, jpeg: spoilt(png, 60), 'no whole'),
    (lambda png, jpeg: jpeg[:-2], 'no whole'), (lambda png, jpeg: jpeg[:4], 'no whole'),
    (lambda png, jpeg: jpeg[:2] + b'\xff\xda' + jpeg[-20:], 'no whole'),
    (lambda png, jpeg: png + bytes(3000), 'expected are at most 2000')])
def test_what_is_no_whole_image_is_named(tmp_path, monkeypatch, make, message):
    monkeypatch.setattr(images, 'MAX_BYTES', 2000)
    png, jpeg = (cv2.imencode(kind, noise(12, 12, 3))[1].tobytes() for kind in ('.png', '.jpg'))
    assert len(png) < 2000 and len(jpeg) < 2000
    (tmp_path / 'a.png').write_bytes(make(png, jpeg))
    with pytest.raises(ValueError, match=r'a\.png:? .*' + message):
        read_image(str(tmp_path / 'a.png'))


@pytest.mark.parametrize('name', ['a.png', 'a.jpg'])
def test_an_image_with_too_many_pixels_is_not_decoded(tmp_path, monkeypatch, name):
    path = write(tmp_path / name, noise(11, 10, 3))
    monkeypatch.setattr(images, 'MAX_PIXELS', 109)
    monkeypatch.setattr(cv2, 'imdecode', None)
    with pytest.raises(ValueError, match=name + ' has 10 x 11 pixels; 1 to 109 are read'):
        read_image(path)


@pytest.fixture
def tree(tmp_path):
    """Six images of three classes; the file names say in which order they come."""
    for name in ('a/3.PNG', 'a/1.jpeg', 'a/2.jpg', 'c/1.png', 'c/2.png', 'b/1.png'):
        write(tmp_path / name, np.full((4, 6, 3), ord(name[0]), np.uint8))
    (tmp_path / 'a' / '.1.png').write_text('nor this')
    (tmp_path / '.cache').mkdir()
    return tmp_path


def test_images_are_found_whatever_they_are_called(tree):
    os.rename(str(tree / 'a' / '2.jpg'), str(tree / 'a' / '2'))
    os.rename(str(tree / 'c' / '2.png'), str(tree / 'c' / '2.webp'))
    found = find_labelled_images(str(tree), ('c', 'other', 'b', 'a'))
    assert [(path[len(str(tree)) + 1:], index) for path, index in found] == [
        ('a/1.jpeg', 3), ('a/2', 3), ('a/3.PNG', 3), ('b/1.png', 2), ('c/1.png', 0),
        ('c/2.webp', 0)]
    (tree / 'a' / 'notes.txt').write_text('no image')
    (tree / 'a' / '4.png').write_text('no image either, though it should be one')
    os.mkfifo(str(tree / 'a' / 'pipe'))
    assert find_images(str(tree / 'a')) == [
        str(tree / 'a' / name) for name in ('1.jpeg', '2', '3.PNG', '4.png')]
    assert find_images(str(tree)) == []


@pytest.mark.parametrize('make, message', [
    (lambda tree: (tree / 'a' / 'x.webp').write_text('RIFF'), r'x\.webp: not a JPEG or PNG file'),
    (lambda tree: (tree / 'a' / 'x.png').write_text('x'), r'x\.png: not a JPEG or PNG file'),
    (lambda tree: (tree / 'x.png').write_text('x'), r'x\.png: not a folder'),
    (lambda tree: (tree / 'b' / 'c').mkdir(), r'c: a folder, where images are expected'),
    (lambda tree: (tree / 'd').mkdir(), r'd: holds no images'),
    (lambda tree: os.mkfifo(str(tree / 'a' / 'x.png')), r'x\.png: not a regular file')],
    ids=['another format', 'no image', 'loose', 'nested', 'empty', 'pipe'])
def test_what_is_no_image_of_a_class_is_named(tree, make, message):
    make(tree)
    with pytest.raises(ValueError, match=message):
        find_labelled_images(str(tree), ('a', 'b', 'c', 'd'))


@pytest.mark.parametrize('labels, message', [
    (('a', 'b'), r"c: 0 of the net's labels are 'c', .* its 2 labels are a, b"),
    (('a', 'b', 'c', 'c'), "c: 2 of the net's labels are 'c'")])
def test_a_folder_is_one_label(tree, labels, message):
    with pytest.raises(ValueError, match=message):
        find_labelled_images(str(tree), labels)


def test_samples_of_a_tree_are_of_every_class(tree):
    def names(*paths, count=9):
        found = sample_images([str(tree / path) for path in paths], count)
        return [path[len(str(tree)) + 1:] for path in found]
    assert names('') == ['a/1.jpeg', 'b/1.png', 'c/1.png', 'a/2.jpg', 'c/2.png', 'a/3.PNG']
    assert names('', count=4) == ['a/1.jpeg', 'b/1.png', 'c/1.png', 'a/2.jpg']
    assert names('c/2.png', 'a', count=3) == ['c/2.png', 'a/1.jpeg', 'a/2.jpg']


@pytest.mark.parametrize('find', [lambda path: find_labelled_images(path, ('x',)),
                                  lambda path: sample_images([path], 1)])
def test_a_folder_without_images_is_named(tmp_path, find):
    (tmp_path / 'x').mkdir()
    with pytest.raises(ValueError, match=tmp_path.name):
        find(str(tmp_path))
    with pytest.raises(OSError, match='nowhere'):
        find_images(str(tmp_path / 'nowhere'))


def test_files_are_a_split_whose_images_are_fitted(tree):
    split = ImageFiles(find_labelled_images(str(tree), ('a', 'b', 'c')),
                       lambda image: image[:2, :3] + np.uint8(1))
    assert split.labels.tolist() == [0, 0, 0, 1, 2, 2] and not split.in_memory
    batches = list(ordered_batches(split, 4))
    assert [batch['image'].shape for batch in batches] == [(4, 2, 3, 3), (2, 2, 3, 3)]
    for batch, labels in zip(batches, (split.labels[:4], split.labels[4:])):
        assert (batch['image'].dtype, batch['label'].dtype) == (np.uint8, np.int64)
        np.testing.assert_array_equal(batch['label'], labels)
        np.testing.assert_allclose(batch['image'].mean((1, 2, 3)), ord('b') + labels, atol=1)


def test_a_batch_is_refused_with_the_file_at_fault(tree):
    data = (tree / 'b' / '1.png').read_bytes()
    (tree / 'b' / '1.png').write_bytes(data[:-20])
    split = ImageFiles(find_labelled_images(str(tree), ('a', 'b', 'c')), lambda image: image)
    batches = ordered_batches(split, 2)
    assert next(batches)['label'].tolist() == [0, 0]
    with pytest.raises(ValueError, match=r'b/1\.png is no whole'):
        next(batches)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(str(tmp_path / 'a.png'))
    with pytest.raises(ValueError, match=r'a\.png: not a regular file'):
        read_image(str(tmp_path / 'a.png'))
