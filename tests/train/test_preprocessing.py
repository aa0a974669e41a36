"""From a photo to a net's input."""
import cv2
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1.preprocessing import Preprocessing, parse

pytestmark = pytest.mark.fast


@pytest.mark.parametrize('options, expected', [
    ([], Preprocessing()),
    (['caffe', 'crop=1'], Preprocessing('BGR', (103.939, 116.779, 123.68), crop=1.0,
                                        interpolation='bilinear')),
    (['mean=128', 'scale=1/64', 'resize=stretch'],
     Preprocessing(mean=(128.0,) * 3, std=(64.0,) * 3, resize='stretch')),
    (['channels=BGR', 'mean=1,2,3', 'std=4,5,6', 'interpolation=area'],
     Preprocessing('BGR', (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), interpolation='area'))])
def test_options(options, expected):
    assert parse(options) == expected


@pytest.mark.parametrize('options, message', [
    (['imagenet'], "takes caffe, tf, torch, vgg and then KEY=VALUE .* got 'imagenet'"),
    (['mean=1', 'vgg'], "got 'vgg'"), (['size=3'], "got 'size=3'"),
    (['mean=1,2'], "'mean=1,2' needs one number or three"), (['std=a'], "'std=a' needs numbers"),
    (['scale=1/0'], 'needs numbers'), (['scale=0'], 'must not be 0'), (['std=0'], 'std above 0'),
    (['mean=nan'], 'must be finite'),
    (['mean=1e300'], 'at most 1e'), (['std=1e-50'], 'std above 0'), (['std=1e50'], 'at most 1e'),
    (['crop=0'], 'crop must be in'), (['crop=1.5'], 'crop must'),
    (['resize=stretch', 'crop=0.5'], 'and 1 with resize=stretch'),
    (['channels=GBR'], 'channels must be one of RGB, BGR'),
    (['interpolation=lanczos'], 'interpolation must be one of auto, ')])
def test_what_is_wrong_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        parse(options)


def test_normalization_is_in_the_nets_order():
    pixels = np.random.RandomState(0).randint(0, 256, (2, 3, 4, 3), np.uint8)
    tensor = parse(['channels=BGR', 'mean=1,2,3', 'std=4,5,6']).normalize(tf.constant(pixels))
    with tf.Session() as session:
        found = session.run(tensor)
    np.testing.assert_allclose(
        found, (pixels[..., ::-1] - np.array([1., 2., 3.])) / [4., 5., 6.], rtol=1e-6)


@pytest.mark.parametrize('interpolation, flag', [
    ('bilinear', cv2.INTER_LINEAR), ('bicubic', cv2.INTER_CUBIC), ('area', cv2.INTER_AREA)])
def test_covering_is_the_centre_of_the_scaled_image(interpolation, flag):
    """Against the usual order, scaling the whole image and then cutting out."""
    smooth = cv2.GaussianBlur(np.random.RandomState(0).randint(0, 256, (480, 640, 3), np.uint8),
                              (0, 0), 9)
    whole = cv2.resize(smooth, (320, 240), interpolation=flag)
    found = parse(['crop=0.875', 'interpolation=' + interpolation]).fit(smooth, 210, 210)
    np.testing.assert_allclose(found.astype(int), whole[15:225, 55:265], atol=2)


def test_stretching_keeps_every_edge_and_the_right_size_keeps_every_pixel():
    image = np.random.RandomState(0).randint(0, 256, (20, 30, 3), np.uint8)
    stretched = parse(['resize=stretch', 'interpolation=nearest']).fit(image, 40, 60)
    np.testing.assert_array_equal(stretched, image.repeat(2, 0).repeat(2, 1))
    np.testing.assert_array_equal(Preprocessing().fit(image, 20, 30), image)
