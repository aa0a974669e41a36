"""Reading images: every kind of file, the geometry of the fit, and files that are no images."""

import os
import socket
import struct

import cv2
import numpy as np
import pytest

from ash_onnx import images
from ash_onnx.images import find_images, fit_image, read_image
from tests.serve import miniature

pytestmark = pytest.mark.fast

SHAPE = (6, 8, 3)


def noise(*shape, dtype=np.uint8):
    return np.random.RandomState(0).randint(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def encode(path, array):
    assert cv2.imwrite(str(path), array)
    return path


def test_an_image_of_the_right_size_is_bit_identical(save_image):
    pixels = noise(6, 8, 3)
    got = read_image(save_image('a.png', pixels), SHAPE)
    assert got.dtype == np.uint8 and got.flags.c_contiguous
    np.testing.assert_array_equal(got, pixels)


def test_channels_are_rgb_from_jpeg_too(save_image):
    got = read_image(save_image('a.JPG', (250, 120, 10)), SHAPE)
    np.testing.assert_allclose(got.reshape(-1, 3).mean(axis=0), (250, 120, 10), atol=4)


def test_gray_becomes_three_equal_channels(tmp_path):
    gray = noise(6, 8)
    got = read_image(encode(tmp_path / 'a.png', gray), SHAPE)
    np.testing.assert_array_equal(got, np.repeat(gray[..., None], 3, axis=2))


def test_alpha_is_dropped_and_the_colours_under_it_stay(tmp_path):
    bgra = noise(6, 8, 4)
    bgra[0, :, 3] = 0
    got = read_image(encode(tmp_path / 'a.png', bgra), SHAPE)
    np.testing.assert_array_equal(got, bgra[..., 2::-1])


def test_gray_with_alpha(tmp_path):
    pixels = noise(6, 8, 2)
    rows = [row.tobytes() for row in pixels]
    (tmp_path / 'a.png').write_bytes(miniature.png_bytes(8, 6, 4, rows))
    got = read_image(tmp_path / 'a.png', SHAPE)
    np.testing.assert_array_equal(got, np.repeat(pixels[..., :1], 3, axis=2))


@pytest.mark.parametrize('channels', [1, 3])
def test_sixteen_bits_keep_the_upper_eight(tmp_path, channels):
    deep = noise(6, 8, channels, dtype=np.uint16)
    got = read_image(encode(tmp_path / 'a.png', deep), SHAPE)
    np.testing.assert_array_equal(got, np.broadcast_to((deep >> 8)[..., ::-1], SHAPE))


@pytest.mark.parametrize('orientation, turn', [
    (1, lambda a: a), (3, lambda a: a[::-1, ::-1]), (6, lambda a: np.rot90(a, -1)),
    (8, lambda a: np.rot90(a, 1))])
def test_exif_orientation_is_applied(tmp_path, orientation, turn):
    pixels = np.zeros([40, 64, 3], np.uint8)
    pixels[:20, :32] = 255  # the upper left quarter
    data = cv2.imencode('.jpg', pixels)[1].tobytes()
    tiff = b'II*\0' + struct.pack('<IHHHIHHI', 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    segment = b'\xff\xe1' + struct.pack('>H', 2 + 6 + len(tiff)) + b'Exif\0\0' + tiff
    (tmp_path / 'a.jpg').write_bytes(data[:2] + segment + data[2:])
    expected = turn(pixels)
    got = read_image(tmp_path / 'a.jpg', expected.shape)
    assert np.abs(got.astype(int) - expected).mean() < 3


@pytest.mark.parametrize('height, width', [
    (60, 80), (12, 100), (100, 12), (3, 4), (5, 3), (7, 8), (6, 9), (1, 1), (1, 300), (300, 1)])
@pytest.mark.parametrize('shape', [SHAPE, (8, 6, 3), (8, 8, 3)])
def test_fits_any_size(height, width, shape):
    assert fit_image(noise(height, width, 3), shape).shape == shape


def test_crops_the_centre_without_resampling_where_one_side_fits():
    wide = noise(6, 11, 3)
    np.testing.assert_array_equal(fit_image(wide, SHAPE), wide[:, 1:9])
    tall = noise(9, 8, 3)
    np.testing.assert_array_equal(fit_image(tall, SHAPE), tall[1:7])


def test_shrinks_by_area():
    """A factor of four on each side: the mean of each 4 x 4 block, not of some pixels in it."""
    large = noise(24, 40, 3)
    blocks = large[:, 4:36].reshape(6, 4, 8, 4, 3).mean(axis=(1, 3))
    assert np.abs(fit_image(large, SHAPE).astype(float) - blocks).max() <= 0.5 + 1e-9


def test_enlarges_smoothly_and_keeps_the_aspect_ratio():
    small = np.zeros([6, 8, 3], np.uint8)
    small[2:4, 3:5] = 255  # a square stays a square
    big = fit_image(small, (60, 80, 3))[..., 0] > 127
    assert big.any(axis=1).sum() == pytest.approx(big.any(axis=0).sum(), abs=1)
    assert big[30, 40] and not big[:15].any()


def test_a_long_thin_image_takes_no_memory(monkeypatch):
    sizes = []
    resize = cv2.resize
    monkeypatch.setattr(cv2, 'resize', lambda image, size, **kwargs:
                        sizes.append((image.shape, size)) or resize(image, size, **kwargs))
    fit_image(np.zeros([1, 10**6, 3], np.uint8), SHAPE)
    assert sizes == [((1, 1, 3), (8, 6))]


@pytest.mark.parametrize('name', ['a.png', 'a.jpg'])
@pytest.mark.parametrize('keep', [0.5, 0.97, -2, -9])
def test_a_truncated_file_is_an_error(save_image, capfd, name, keep):
    path = save_image(name, noise(64, 48, 3))
    data = path.read_bytes()
    path.write_bytes(data[:keep if keep < 0 else int(len(data) * keep)])
    with pytest.raises(ValueError, match=f'{name}: a truncated or damaged'):
        read_image(path, SHAPE)
    assert capfd.readouterr().err == ''  # no decoder's chatter beside the message


@pytest.mark.parametrize('data, message', [
    (b'', 'the file is empty'),
    (b'this is a text file\n', 'neither a JPEG nor a PNG'),
    (b'GIF89a' + bytes(99), 'neither a JPEG nor a PNG'),
    (b'\x89PNG\r\n\x1a\n', 'truncated or damaged PNG'),
    (b'\xff\xd8\xff', 'truncated or damaged JPEG'),
    (b'\xff\xd8\xff\xe0\x00\x00' + bytes(99), 'truncated or damaged JPEG'),
    (b'\xff\xd8\xff\xda\x00\x02\xff\xd9', 'truncated or damaged JPEG'),
])
def test_a_file_that_is_no_image_is_an_error(tmp_path, data, message):
    (tmp_path / 'a.png').write_bytes(data)
    with pytest.raises(ValueError, match=f'a.png: .*{message}'):
        read_image(tmp_path / 'a.png', SHAPE)


def test_a_flipped_bit_is_an_error(save_image):
    path = save_image('a.png', noise(6, 8, 3))
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match='truncated or damaged PNG'):
        read_image(path, SHAPE)


@pytest.mark.parametrize('width, height', [(100000, 100000), (2**26 + 1, 1), (0, 5)])
def test_huge_dimensions_are_refused_before_decoding(tmp_path, monkeypatch, width, height):
    (tmp_path / 'a.png').write_bytes(miniature.png_bytes(width, height, 2, [bytes(100)]))
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('it was decoded'))
    with pytest.raises(ValueError, match=rf'a\.png: {width} x {height} pixels'):
        read_image(tmp_path / 'a.png', SHAPE)


def test_huge_jpeg_dimensions_are_refused(save_image):
    path = save_image('a.jpg')
    data = bytearray(path.read_bytes())
    frame = data.index(b'\xff\xc0')
    data[frame + 5:frame + 9] = b'\xff\xff\xff\xff'
    path.write_bytes(data)
    with pytest.raises(ValueError, match='65535 x 65535 pixels'):
        read_image(path, SHAPE)


def test_opencv_s_own_limit_is_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr(images, 'MAX_PIXELS', 2**40)
    (tmp_path / 'a.png').write_bytes(miniature.png_bytes(2**17, 2**17, 2, [bytes(100)]))
    with pytest.raises(ValueError, match=r'a\.png: OpenCV refuses .*131072 x 131072'):
        read_image(tmp_path / 'a.png', SHAPE)


def test_missing_and_oversized_files(save_image, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match='nowhere'):
        read_image(tmp_path / 'nowhere.png', SHAPE)
    path = save_image('a.png')
    monkeypatch.setattr(images, 'MAX_FILE_BYTES', 20)
    with pytest.raises(ValueError, match='more than 20 bytes'):
        read_image(path, SHAPE)


def test_finds_the_images_of_a_folder(tmp_path, save_image):
    """By what they begin with, whatever they are called."""
    for name in ('b.png', 'a.JPG', 'c.jpeg', 'notes.txt', '._b.png', 'sub/d.png', 'e.webp',
                 'Thumbs.db'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b'')
    for name, kind in (('f.jfif', '.jpg'), ('g', '.png'), ('h.txt', '.png'), ('i.webp', '.jpg')):
        (tmp_path / name).write_bytes(cv2.imencode(kind, noise(6, 8, 3))[1].tobytes())
    os.mkfifo(tmp_path / 'pipe')
    os.symlink('nowhere', tmp_path / 'a link')
    images, others = find_images(tmp_path)
    assert [path.name for path in images] == [
        'a.JPG', 'b.png', 'c.jpeg', 'f.jfif', 'g', 'h.txt', 'i.webp']
    assert [path.name for path in others] == ['a link', 'e.webp', 'notes.txt', 'pipe', 'sub']


@pytest.mark.timeout(20)
@pytest.mark.parametrize('make', [os.mkfifo, lambda path: os.symlink('/dev/zero', path),
                                  lambda path: socket.socket(socket.AF_UNIX).bind(str(path))],
                         ids=['pipe', 'device', 'socket'])
def test_what_is_no_regular_file_is_not_read(tmp_path, monkeypatch, make):
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    make('a.png')
    with pytest.raises((ValueError, OSError), match=r'a\.png: not a regular file|No such device'):
        read_image('a.png', SHAPE)
