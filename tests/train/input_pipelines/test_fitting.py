"""Photos fitted to a size, against OpenCV's own resizing and hand-made cases."""
import cv2
import numpy as np
import pytest

from ash_tf1.input_pipelines.fitting import INTERPOLATIONS, fit_image

pytestmark = pytest.mark.fast


def noise(height, width):
    return np.random.RandomState(0).randint(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize('interpolation', ['bilinear', 'bicubic', 'area'])
def test_covering_is_the_centre_of_the_scaled_image(interpolation):
    """Against the usual order, scaling the whole image and then cutting out."""
    smooth = cv2.GaussianBlur(noise(480, 640), (0, 0), 9)
    whole = cv2.resize(smooth, (320, 240), interpolation=INTERPOLATIONS[interpolation])
    found = fit_image(smooth, 210, 210, crop=0.875, interpolation=interpolation)
    np.testing.assert_allclose(found.astype(int), whole[15:225, 55:265], atol=2)


@pytest.mark.parametrize('shape, cut', [
    ((8, 12), np.s_[:, 2:10]), ((12, 8), np.s_[2:10]), ((8, 8), np.s_[:]), ((8, 9), np.s_[:, :8])])
def test_one_side_that_fits_is_cut_and_not_resampled(shape, cut):
    image = noise(*shape)
    np.testing.assert_array_equal(fit_image(image, 8, 8), image[cut])


def test_stretching_keeps_every_edge():
    image = noise(20, 30)
    stretched = fit_image(image, 40, 60, 'stretch', interpolation='nearest')
    np.testing.assert_array_equal(stretched, image.repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize('height, width, flag', [(10, 15, cv2.INTER_AREA),
                                                 (60, 90, cv2.INTER_CUBIC)])
def test_auto_is_area_where_it_shrinks_and_cubic_where_it_grows(height, width, flag):
    image = noise(30, 45)
    np.testing.assert_array_equal(fit_image(image, height, width),
                                  cv2.resize(image, (width, height), interpolation=flag))


@pytest.mark.parametrize('shape', [(1, 1), (1, 3000), (3000, 1), (7, 5), (333, 500)])
@pytest.mark.parametrize('options', [dict(), dict(crop=0.875), dict(resize='stretch')])
def test_every_image_gets_the_size(shape, options):
    fitted = fit_image(noise(*shape), 24, 40, **options)
    assert fitted.shape == (24, 40, 3) and fitted.dtype == np.uint8 and fitted.flags.c_contiguous
