"""JPEG files: the pixels that OpenCV gives for whole ones, and an error for damaged ones."""

import itertools
import struct

import cv2
import numpy as np
import pytest

from ash_onnx.images import read_image

KINDS = {'baseline': [], 'progressive': [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
         'optimised': [cv2.IMWRITE_JPEG_OPTIMIZE, 1],
         'restarts': [cv2.IMWRITE_JPEG_RST_INTERVAL, 4]}
SIZE = 160, 240


def photo(kind, *flags, channels=3):
    """A JPEG file of smooth noise, seed 0."""
    small = np.random.RandomState(0).randint(0, 256, (40, 60, channels)).astype(np.uint8)
    pixels = cv2.resize(small, SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    return cv2.imencode('.jpg', pixels, [*KINDS[kind], *flags])[1].tobytes()


def scan_start(data):
    """Where the data of the first scan begin."""
    position = 2
    while data[position + 1] != 0xDA:
        position += 2 + struct.unpack_from('>H', data, position + 2)[0]
    return position + 2 + struct.unpack_from('>H', data, position + 2)[0]


def segment(marker, payload):
    return struct.pack('>BBH', 0xFF, marker, len(payload) + 2) + payload


def exif(orientation, order='<', before=0):
    entries = [(0x010F, 2, 1, 65, 0)] * before + [(0x0112, 3, 1, orientation, 0)]
    tiff = {'<': b'II*\0', '>': b'MM\0*'}[order] + struct.pack(order + 'IH', 8, len(entries))
    tiff += b''.join(struct.pack(order + 'HHIHH', *entry) for entry in entries) + bytes(4)
    return segment(0xE1, b'Exif\0\0' + tiff)


@pytest.fixture
def read(tmp_path):
    """Function that reads bytes as a JPEG file, in the size that they have."""
    def read(data, shape=(*SIZE, 3)):
        (tmp_path / 'a.jpg').write_bytes(data)
        return read_image(tmp_path / 'a.jpg', shape)
    return read


def opencv(data):
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR),
                        cv2.COLOR_BGR2RGB)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('sampling', ['411', '420', '422', '440', '444'])
def test_the_pixels_are_those_of_opencv(read, kind, sampling):
    data = photo(kind, cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
                 getattr(cv2, f'IMWRITE_JPEG_SAMPLING_FACTOR_{sampling}'))
    np.testing.assert_array_equal(read(data), opencv(data))


def test_so_are_those_of_a_gray_file(read):
    data = photo('baseline', channels=1)
    np.testing.assert_array_equal(read(data), opencv(data))


@pytest.mark.parametrize('orientation, order', itertools.product(range(10), '<>'))
def test_every_orientation_is_that_of_opencv(read, orientation, order):
    data = photo('baseline')
    data = data[:2] + segment(0xFE, b'a comment') + exif(orientation, order, before=2) + data[2:]
    expected = opencv(data)
    np.testing.assert_array_equal(read(data, expected.shape), expected)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('share', [0.01, 0.2, 0.5, 0.9, 0.98])
def test_a_file_that_is_cut_and_ended_is_refused(read, kind, share):
    data = photo(kind)
    start = scan_start(data)
    with pytest.raises(ValueError, match=r'a\.jpg: a truncated or damaged JPEG'):
        read(data[:start + int(share * (len(data) - start))] + b'\xff\xd9')


def between_scans(data):
    """Where the scans of a progressive file begin, but for the first."""
    return [at for at in range(scan_start(data), len(data)) if data[at:at + 2] == b'\xff\xda']


@pytest.mark.parametrize('scan', range(9))
def test_a_progressive_file_that_lacks_its_last_scans_is_refused(read, scan):
    """Its picture is whole, but coarse."""
    data = photo('progressive')
    assert len(between_scans(data)) == 9
    with pytest.raises(ValueError, match=r'a\.jpg: a truncated or damaged JPEG'):
        read(data[:between_scans(data)[scan]] + b'\xff\xd9')


@pytest.mark.parametrize('kind', ['baseline', 'progressive', 'restarts'])
@pytest.mark.parametrize('length, share', itertools.product([64, 512, 4096], [0.1, 0.4, 0.7]))
def test_a_file_with_a_block_of_zeros_is_refused(read, kind, length, share):
    data = photo(kind)
    start = scan_start(data) + int(share * (len(data) - scan_start(data) - length))
    with pytest.raises(ValueError, match=r'a\.jpg: a truncated or damaged JPEG'):
        read(data[:start] + bytes(length) + data[start + length:])


def test_a_file_whose_end_is_zeros_is_refused(read):
    """Zeros to the end marker are padding only as far as the picture has no need of them."""
    data = photo('baseline')
    half = scan_start(data) + (len(data) - scan_start(data)) // 2
    with pytest.raises(ValueError, match=r'a\.jpg: a truncated or damaged JPEG'):
        read(data[:half] + bytes(200000) + b'\xff\xd9')


def changed(data, at, *values):
    return data[:at] + bytes(values) + data[at + len(values):]


HARMLESS = {
    'zeros before the end': lambda data: data[:-2] + bytes(30) + data[-2:],
    'bytes before the end': lambda data: data[:-2] + bytes(range(1, 99)) + data[-2:],
    'bytes behind the end': lambda data: data + b'trailing bytes' * 9 + b'\xff\xd9',
    'bytes between segments': lambda data: data[:20] + b'stray' + data[20:],
    'fill bytes': lambda data: data[:20] + b'\xff\xff' + data[20:],
    'another version of JFIF': lambda data: changed(data, 11, 0),
    'odd numbers of coefficients': lambda data: changed(data, scan_start(data) - 3, 0, 0, 0),
    'a transform of Adobe that is none': lambda data: data[:20] + segment(
        0xEE, b'Adobe\0\x64\0\0\0\0\xff') + data[20:],
    'a camera\'s note with a small picture': lambda data: data[:20] + segment(
        0xE1, b'Exif\0\0' + photo('baseline')[:5000]) + data[20:],
}


@pytest.mark.parametrize('harmless', HARMLESS)
def test_what_harms_no_pixel_is_read(read, harmless):
    data = photo('baseline')
    assert data[18:22] == b'\0\0\xff\xdb'  # 20: where the segment of JFIF ends
    np.testing.assert_array_equal(read(HARMLESS[harmless](data)), opencv(data))


@pytest.mark.parametrize('harmless', HARMLESS)
def test_what_harms_no_pixel_hides_no_damage(read, harmless):
    data = photo('baseline')
    half = scan_start(data) + (len(data) - scan_start(data)) // 2
    with pytest.raises(ValueError, match=r'a\.jpg: a truncated or damaged JPEG'):
        read(HARMLESS[harmless](data[:half] + b'\xff\xd9'))


@pytest.mark.parametrize('level', [0, 128, 255])
def test_a_flat_picture_may_be_zeros(read, level):
    """In optimised tables zeros may mean blocks like the one before."""
    data = cv2.imencode('.jpg', np.full((*SIZE, 3), level, np.uint8),
                        [cv2.IMWRITE_JPEG_OPTIMIZE, 1])[1].tobytes()
    assert bytes(64) in data
    np.testing.assert_array_equal(read(data), opencv(data))


def test_a_file_of_endless_scans_is_refused(read):
    data = photo('progressive')
    last = between_scans(data)[-1]
    with pytest.raises(ValueError, match=r'a\.jpg: a truncated or damaged JPEG'):
        read(data[:-2] + data[last:-2] * 100 + b'\xff\xd9')
