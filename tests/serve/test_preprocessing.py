"""The metadata `preprocessing` (what is accepted, and where it is used) and `model_version`."""

import json

import cv2
import numpy as np
import pytest

import ash_onnx
from ash_onnx.preprocessing import MAX_EXCESS, Preprocessing, fit_image
from tests.serve import miniature

pytestmark = pytest.mark.fast

FLAGS = {'area': cv2.INTER_AREA, 'bilinear': cv2.INTER_LINEAR, 'bicubic': cv2.INTER_CUBIC,
         'nearest': cv2.INTER_NEAREST}


def noise(*shape):
    return np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)


def before(image, shape):
    """The fit of artifacts that lack the key, as it was when they were made."""
    height, width = shape[:2]
    scale = max(height / image.shape[0], width / image.shape[1])
    rows, columns = (min(have, max(1, round(want / scale)))
                     for have, want in zip(image.shape, shape[:2], strict=False))
    top, left = (image.shape[0] - rows) // 2, (image.shape[1] - columns) // 2
    image = image[top:top + rows, left:left + columns]
    if image.shape[:2] == (height, width):
        return image
    return cv2.resize(image, (width, height),
                      interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


@pytest.mark.parametrize('preprocessing', [{}, {'mean': [1, 2, 3], 'std': [9.5, 1, 1],
                                                'channels': 'BGR'}])
def test_an_image_is_fitted_as_before_where_nothing_else_is_said(preprocessing):
    sizes = np.random.RandomState(1).randint(1, 50, [300, 4]).tolist()
    for *size, height, width in sizes + [[1, 3000, 6, 8], [3000, 2, 6, 8], [6, 8, 6, 8]]:
        image, shape = noise(*size, 3), (height, width, 3)
        np.testing.assert_array_equal(fit_image(image, shape, Preprocessing(**preprocessing)),
                                      before(image, shape))


@pytest.mark.parametrize('interpolation', ['auto', *FLAGS])
@pytest.mark.parametrize('size, shape, crop, scaled, corner', [
    ((60, 80), (14, 14), 0.875, (16, 21), (1, 3)),
    ((80, 60), (14, 14), 0.875, (21, 16), (3, 1)),
    ((31, 31), (6, 8), 0.5, (16, 16), (5, 4)),
    ((17, 33), (12, 8), 0.75, (16, 31), (2, 11)),
    ((10, 12), (14, 14), 0.875, (16, 19), (1, 2)),  # it grows
    ((16, 20), (14, 14), 0.875, (16, 20), (1, 3)),  # it has the size already
    ((375, 500), (224, 224), 0.875, (256, 341), (16, 58)),
])
def test_a_crop_is_cut_out_of_the_scaled_whole(size, shape, crop, scaled, corner, interpolation):
    """The usual order of resize and crop in plain OpenCV, sizes and corners worked out by hand."""
    image = noise(*size, 3)
    flag = FLAGS.get(interpolation, cv2.INTER_AREA if scaled < size else cv2.INTER_CUBIC)
    whole = cv2.resize(image, scaled[::-1], interpolation=flag)
    expected = whole[corner[0]:corner[0] + shape[0], corner[1]:corner[1] + shape[1]]
    got = fit_image(image, (*shape, 3), Preprocessing(crop=crop, interpolation=interpolation))
    assert got.shape == (*shape, 3) and got.flags.c_contiguous
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize('interpolation', FLAGS)
def test_without_a_crop_the_centre_is_the_same_picture(interpolation):
    """Cut first, scaled then; the edges alone may differ, where bicubic looks two pixels beyond."""
    image = noise(24, 52, 3)
    whole = cv2.resize(image, (13, 6), interpolation=FLAGS[interpolation])
    got = fit_image(image, (6, 9, 3), Preprocessing(interpolation=interpolation))
    np.testing.assert_allclose(got[:, 1:-1].astype(int), whole[:, 3:-3], atol=1)


@pytest.mark.parametrize('interpolation', FLAGS)
@pytest.mark.parametrize('size', [(24, 40), (3, 4), (24, 5), (6, 8)])
def test_stretched_whatever_the_aspect(size, interpolation):
    image = noise(*size, 3)
    got = fit_image(image, (6, 8, 3), Preprocessing('stretch', interpolation=interpolation))
    np.testing.assert_array_equal(
        got, cv2.resize(image, (8, 6), interpolation=FLAGS[interpolation]))


def test_auto_shrinks_one_axis_by_area_and_enlarges_the_other_smoothly():
    image = noise(24, 3, 3)
    means = image.reshape(6, 4, 3, 3).mean(axis=1)
    expected = cv2.resize(means, (8, 6), interpolation=cv2.INTER_CUBIC)
    got = fit_image(image, (6, 8, 3), Preprocessing('stretch'))
    np.testing.assert_allclose(got, np.clip(expected, 0, 255), atol=1.5)  # rounded twice


@pytest.mark.parametrize('resize, crop', [('cover', 1), ('cover', 0.875), ('cover', 0.26),
                                          ('cover', 1e-4), ('cover', 5e-324), ('stretch', 1)])
@pytest.mark.parametrize('interpolation', ['auto', *FLAGS])
@pytest.mark.parametrize('size', [(1, 10**6), (10**6, 1), (40, 60)])
def test_no_fit_takes_much_memory(monkeypatch, size, resize, crop, interpolation):
    made, scale = [], cv2.resize
    monkeypatch.setattr(cv2, 'resize', lambda image, size, **kwargs:
                        made.append(size[0] * size[1]) or scale(image, size, **kwargs))
    image = np.zeros([*size, 3], np.uint8)
    fit = fit_image(image, (6, 8, 3), Preprocessing(resize, crop, interpolation))
    assert fit.shape == (6, 8, 3) and len(made) <= 2
    assert max(made) <= 1.1 * MAX_EXCESS * 6 * 8  # sides are rounded to whole pixels


@pytest.fixture
def open_with(make_artifact):
    """Function that opens a miniature model with other metadata."""
    return lambda **metadata: ash_onnx.load_model(make_artifact(metadata={**miniature.METADATA,
                                                                          **metadata}))


def test_a_model_says_how_images_are_fitted(open_with):
    model = open_with(preprocessing=json.dumps({
        'resize': 'cover', 'crop': 0.875, 'interpolation': 'bilinear', 'channels': 'BGR',
        'mean': [103.9, 116, 123.7], 'std': [1, 1, 1]}))
    assert model.preprocessing == Preprocessing('cover', 0.875, 'bilinear', 'BGR',
                                                (103.9, 116, 123.7), (1, 1, 1))
    assert hash(model.preprocessing)


def test_a_model_that_does_not_say_has_the_defaults(artifact):
    assert ash_onnx.load_model(artifact).preprocessing == Preprocessing(
        'cover', 1.0, 'auto', 'RGB', None, None)


@pytest.mark.parametrize('value, message', [
    ('cover', 'is not JSON'),
    ('["cover"]', 'must be a JSON object of values for some of resize, crop, interpolation, '),
    ('null', 'must be a JSON object'),
    ('{"crop": 0.9, "size": 256}', 'must be a JSON object .*, got .*size'),
    ('{"mean": null}', 'must be a JSON object .*None'),
    ('{"resize": "fit"}', "resize must be one of cover, stretch, got 'fit'"),
    ('{"resize": ["cover"]}', 'resize must be'),
    ('{"resize": "Cover"}', 'resize must be'),
    ('{"interpolation": "lanczos"}', 'interpolation must be one of auto, area, bilinear, bicubic'),
    ('{"interpolation": 3}', 'interpolation must be'),
    ('{"channels": "rgb"}', 'channels must be one of RGB, BGR'),
    ('{"crop": 0}', 'crop must be a number above 0 and at most 1, got 0'),
    ('{"crop": 1.01}', 'crop must be'),
    ('{"crop": -0.5}', 'crop must be'),
    ('{"crop": true}', 'crop must be .*, got True'),
    ('{"crop": "0.875"}', 'crop must be'),
    ('{"crop": NaN}', 'crop must be .*, got nan'),
    ('{"crop": 1e999}', 'crop must be .*, got inf'),
    ('{"crop": [1]}', 'crop must be'),
    ('{"crop": 1' + '0' * 999 + '}', 'crop must be'),
    ('{"crop": 1' + '0' * 9999 + '}', 'is not JSON'),  # more digits than Python reads
    ('{"resize": "stretch", "crop": 0.875}', 'crop must be 1 where the image is stretched'),
    ('{"mean": [1, 2]}', 'mean must be 3 finite numbers'),
    ('{"mean": 127.5}', 'mean must be 3 finite numbers'),
    ('{"mean": "123"}', 'mean must be 3 finite numbers'),
    ('{"mean": {"0": 1, "1": 2, "2": 3}}', 'mean must be 3 finite numbers'),
    ('{"mean": [1, 2, NaN]}', 'mean must be 3 finite numbers'),
    ('{"mean": [1, 2, true]}', 'mean must be 3 finite numbers'),
    ('{"mean": [1, 2, 1' + '0' * 400 + ']}', 'mean must be 3 finite numbers'),
    ('{"std": [1, 2, Infinity]}', 'std must be 3 finite numbers'),
    ('{"std": [1, 2, 0]}', 'std must be 3 numbers above 0'),
    ('{"std": [1, 2, -1]}', 'std must be 3 numbers above 0'),
])
def test_refuses_preprocessing(open_with, value, message):
    with pytest.raises(ValueError, match=rf"model\.onnx: metadata 'preprocessing'.* ?{message}"
                       ) as error:
        open_with(preprocessing=value)
    assert len(str(error.value)) < 400 and '\n' not in str(error.value)


@pytest.mark.parametrize('crop, label', [(1, 'blue'), (0.25, 'red')])
def test_every_function_and_command_fits_by_it(open_with, load_tool, save_image, tmp_path, capsys,
                                               crop, label):
    """A red square in the middle of a blue picture, which only a crop makes the larger part."""
    model = open_with(preprocessing=json.dumps({'crop': crop, 'interpolation': 'nearest'}))
    pixels = np.full([24, 32, 3], (0, 0, 200), np.uint8)
    pixels[8:16, 10:22] = 200, 0, 0
    path = save_image(f'tree/{label}/a.png', pixels)
    assert ash_onnx.predict(model, [path])[0].top[0][0] == label
    assert ash_onnx.evaluate(model, tmp_path / 'tree').correct == 1
    image = ash_onnx.read_image(path, model.input_shape, model.preprocessing)
    assert (image[0, 0] == (200, 0, 0)).all() == (crop < 1)
    assert load_tool('predict').main([str(model.folder), str(path), '--save',
                                      str(tmp_path / 'out.png')]) == 0
    assert f'a.png  {label}' in capsys.readouterr().out
    picture = cv2.imread(str(tmp_path / 'out.png'))
    assert (picture == (200, 0, 0)).all(axis=2).any() == (crop == 1)  # blue, in OpenCV's order
    assert load_tool('evaluate_onnx').main([str(model.folder), str(tmp_path / 'tree')]) == 0
    assert '(1 correct)' in capsys.readouterr().out


@pytest.mark.parametrize('version', ['1', '2026.11-rc_1', 'v' * 64])
def test_a_version_is_text(open_with, version):
    assert open_with(model_version=version).metadata['model_version'] == version


@pytest.mark.parametrize('version', ['', 'v' * 65, '1.0 beta', '1.0\n', '../1', 'ü',
                                     '\x1b[2J', '１'])
def test_refuses_a_version(open_with, version):
    with pytest.raises(ValueError, match=r"model\.onnx: metadata 'model_version' must be 1 to 64"):
        open_with(model_version=version)


def test_refuses_a_version_that_is_no_utf_8(make_artifact):
    artifact = make_artifact(metadata={**miniature.METADATA, 'model_version': 'version'})
    data = (artifact / 'model.onnx').read_bytes()
    (artifact / 'model.onnx').write_bytes(data.replace(b'\x12\x07version',
                                                       b'\x12\x07versio\xff'))
    with pytest.raises(ValueError, match=r'model\.onnx: (metadata .* is no text|not an ONNX)'):
        ash_onnx.load_model(artifact)
