"""Figures of images against closed forms and brute force."""
import numpy as np
import pytest
from scipy import linalg

from ash_tf1.measuring import faces, frechet, neighbours
from ash_tf1.measuring.frechet import Normal

pytestmark = pytest.mark.fast


def test_the_distance_of_normal_distributions_of_one_number():
    """(m1 - m2)^2 + (s1 - s2)^2, in closed form."""
    one, other = Normal(np.array([1.0]), np.array([[4.0]])), Normal(np.array([-2.0]),
                                                                    np.array([[25.0]]))
    assert frechet.distance(one, other) == pytest.approx(3 ** 2 + (2 - 5) ** 2, rel=1e-12)


def test_the_distance_where_covariances_commute():
    """The squared distance of the means, and of the roots of the eigenvalues."""
    rng = np.random.RandomState(0)
    basis, _ = linalg.qr(rng.randn(6, 6))
    spread = rng.uniform(0, 3, (2, 6))
    spread[0, :2] = 0  # singular
    means = rng.randn(2, 6)
    found = frechet.distance(*(Normal(mean, (basis * s ** 2) @ basis.T)
                               for mean, s in zip(means, spread)))
    expected = np.sum((means[0] - means[1]) ** 2) + np.sum((spread[0] - spread[1]) ** 2)
    assert found == pytest.approx(expected, rel=1e-7)  # a root of rounding at eigenvalue 0


def test_the_distance_by_the_formula_of_the_paper():
    rng = np.random.RandomState(1)
    one, other = (frechet.fit(rng.randn(50, 8) @ rng.randn(8, 8) + rng.randn(8))
                  for _ in range(2))
    root = linalg.sqrtm(one.covariance @ other.covariance)
    expected = np.sum((one.mean - other.mean) ** 2) + np.trace(
        one.covariance + other.covariance - 2 * root.real)
    assert frechet.distance(one, other) == pytest.approx(expected, rel=1e-9)
    assert frechet.distance(one, one) == pytest.approx(0, abs=1e-6)


def test_a_normal_distribution_is_fitted_and_nonsense_is_not():
    features = np.random.RandomState(2).randn(20, 3)
    fitted = frechet.fit(features.astype(np.float32))
    np.testing.assert_allclose(fitted.mean, features.mean(axis=0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(fitted.covariance, np.cov(features.T), rtol=1e-5)
    for wrong, message in ((features[:1], 'two or more'), (features * np.nan, 'NaN')):
        with pytest.raises(ValueError, match=message):
            frechet.fit(wrong)


@pytest.mark.parametrize('flip', [False, True])
def test_the_nearest_image_is_that_of_brute_force(flip):
    rng = np.random.RandomState(3)
    references = rng.randint(0, 256, (600, 4, 5, 3)).astype(np.uint8)
    images = rng.randint(0, 256, (7, 4, 5, 3)).astype(np.uint8)
    images[0], images[1] = references[399], references[599][:, ::-1]
    found = neighbours.nearest(images, references, flip)
    views = [references.astype(float)] + [references[:, :, ::-1].astype(float)] * flip
    squares = np.min([((images[:, None].astype(float) - view[None]) ** 2).mean(axis=(2, 3, 4))
                      for view in views], axis=0)
    np.testing.assert_array_equal(found.indices, squares.argmin(axis=1))
    np.testing.assert_allclose(found.distances, np.sqrt(squares.min(axis=1)), rtol=1e-9, atol=1e-4)
    assert found.distances[0] == pytest.approx(0, abs=1e-4)
    assert (found.distances[1] < 1e-4) == flip


def test_no_face_is_found_where_there_is_none():
    images = np.random.RandomState(4).randint(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    images[0] = 128
    assert not faces.find(images).any()
