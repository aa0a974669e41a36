"""Image generators: what z is drawn from, what comes of it, and what is refused."""

import json

import numpy as np
import pytest
from onnx import TensorProto

import ash_onnx
from ash_onnx.kinds.generator import latent
from ash_onnx.kinds.generator.generation import stream
from ash_onnx.kinds.generator.grid import draw_grid
from ash_onnx.optimizing import FLOAT16, INT8, optimize
from tests.serve.miniature_generator import (
    HEIGHT,
    NORMAL,
    SIZE,
    UNIFORM,
    WIDTH,
    build_model,
    oracle,
    write_artifact,
)

pytestmark = pytest.mark.fast


@pytest.fixture
def open_with(tmp_path):
    """Function that opens the artifact of `write_artifact`'s arguments."""
    def open_with(**arguments):
        return ash_onnx.load_generator(write_artifact(tmp_path / 'generator', **arguments),
                                       threads=1)
    return open_with


def test_it_opens_and_answers(open_with):
    model = open_with()
    assert type(model) is ash_onnx.ImageGenerator and model.kind == 'generator'
    assert (model.size, model.distribution) == (SIZE, latent.Uniform(-1.0, 1.0))
    z = np.stack([model.draw(7, i) for i in range(9)])
    images = model.run(z)
    assert images.dtype == np.uint8 and images.shape == (9, HEIGHT, WIDTH, 3)
    assert np.abs(images - oracle(z)).max() < 0.51
    np.testing.assert_array_equal(model.answer(z)[0], images)


# The numbers are what numpy 1.18 and 2.4 drew: another numpy must draw the same z.
@pytest.mark.parametrize('distribution, expected', [
    (UNIFORM, [-0.94891971, 0.48661482, 0.62688279, -0.74752766, -0.99977362]),
    (NORMAL, [0.20662849, -1.55087411, -0.9491204, -0.01431887, 0.00279241]),
])
def test_z_is_drawn_by_the_rule_of_the_docs(open_with, distribution, expected):
    model = open_with(latent=distribution)
    rng = np.random.Generator(np.random.PCG64([3, 2]))
    z = rng.uniform(-1, 1, SIZE) if distribution is UNIFORM else rng.standard_normal(SIZE)
    np.testing.assert_array_equal(model.draw(3, 2), z.astype(np.float32))
    np.testing.assert_allclose(model.draw(3, 2), expected, rtol=1e-6)


def test_the_parameters_of_the_distribution_count():
    drawn = {low: np.stack([latent.draw(latent.Uniform(low, 4.0), 0, i, 64) for i in range(50)])
             for low in (2.0, 3.0)}
    for low, z in drawn.items():
        assert low <= z.min() < low + 0.01 and 3.99 < z.max() <= 4
    z = np.stack([latent.draw(latent.Normal(5.0, 0.5), 0, i, 64) for i in range(50)])
    assert abs(z.mean() - 5) < 0.05 and abs(z.std() - 0.5) < 0.05  # 3,200 draws: 5 sigma


@pytest.mark.parametrize('count, batch_size', [(1, 64), (7, 1), (7, 3), (12, 4)])
def test_an_image_depends_on_its_seed_and_number_alone(open_with, count, batch_size):
    model = open_with()
    whole = ash_onnx.generate(model, seed=5, count=12)
    np.testing.assert_array_equal(ash_onnx.generate(model, 5, count, batch_size), whole[:count])
    assert (ash_onnx.generate(model, seed=6, count=12) != whole).any(axis=(1, 2, 3)).all()
    assert len({image.tobytes() for image in whole}) == 12


def test_a_stream_holds_one_batch(open_with):
    model, drawn = open_with(), []
    vectors = (drawn.append(i) or model.draw(0, i) for i in range(100))
    images = stream(model, vectors, 100, batch_size=8)
    next(images)
    assert len(drawn) == 8


def test_the_walk_of_a_uniform_z_is_a_line_in_its_cube(open_with):
    model = open_with()
    z = model.walk(1, 2, 5)
    assert z.dtype == np.float32 and z.shape == (5, SIZE)
    for index, share in enumerate([0, 0.25, 0.5, 0.75, 1]):
        expected = (1 - share) * model.draw(1) + share * model.draw(2)
        np.testing.assert_allclose(z[index], expected, atol=1e-6)
    assert np.abs(z).max() <= 1


def test_the_walk_of_a_normal_z_keeps_its_distance_from_the_mean():
    distribution, mean = latent.Normal(3.0, 2.0), 3.0
    first, last = (latent.draw(distribution, seed, 0, 512) for seed in (1, 2))
    z = latent.walk(distribution, first, last, 9).astype(np.float64)
    np.testing.assert_array_equal(z[[0, -1]].astype(np.float32), [first, last])
    distances = np.linalg.norm(z - mean, axis=1)
    assert distances.min() > 0.98 * min(distances[[0, -1]])  # a line's middle: 0.71
    steps = [np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
             for a, b in zip(z[:-1] - mean, z[1:] - mean, strict=True)]
    # Equal angles, but for the ends' distances, which differ by a few per cent.
    np.testing.assert_allclose(np.arccos(steps), np.arccos(steps).mean(), rtol=0.12)


@pytest.mark.parametrize('distribution', [latent.Uniform(-1, 1), latent.Normal(0, 1)])
@pytest.mark.parametrize('size', [1, 3])
def test_a_walk_without_an_arc_is_finite(distribution, size):
    first = latent.draw(distribution, 0, 0, size)
    for last in (first, -first):
        z = latent.walk(distribution, first, last, 4)
        assert np.isfinite(z).all()
        np.testing.assert_allclose(z[[0, -1]], [first, last], atol=1e-6)


def test_a_walk_ends_at_the_images_of_its_seeds(open_with):
    model = open_with(latent=NORMAL)
    images = model.run(model.walk(4, 9, 3))
    for image, seed in ((images[0], 4), (images[-1], 9)):
        np.testing.assert_array_equal(image, ash_onnx.generate(model, seed)[0])


def test_the_grid_shows_each_image_in_its_place():
    images = list(np.random.RandomState(0).randint(0, 255, [5, 4, 6, 3]).astype(np.uint8))
    picture = draw_grid(images, 2, 3)
    assert picture.shape == (2 + 2 * (4 + 2), 2 + 3 * (6 + 2), 3)
    for i, image in enumerate(images):
        top, left = 2 + i // 3 * 6, 2 + i % 3 * 8
        np.testing.assert_array_equal(picture[top:top + 4, left:left + 6], image)
    assert (picture[8:12, 18:24] == 255).all()  # the sixth place is empty
    assert (picture[:2] == 255).all() and (picture[:, 8:10] == 255).all()


def test_a_picture_beyond_the_limit_is_refused():
    with pytest.raises(ValueError, match='9000 x 9000 images of 4 x 6 would be a picture of'):
        draw_grid([np.zeros([4, 6, 3], np.uint8)], 9000, 9000)


@pytest.mark.parametrize('shift, passed', [(0, True), (1, True), (-1, True), (2, False)])
def test_it_verifies_to_one_grey_level(open_with, shift, passed):
    result = ash_onnx.verify(open_with(shift=shift))
    assert result.passed == passed and (result.images, result.classes_agree) == (3, None)
    assert [row.dtype for row in result.differences] == ['uint8']


def test_its_own_tolerance_can_be_overruled(open_with):
    assert not ash_onnx.verify(open_with(shift=1), rtol=0).passed


@pytest.mark.parametrize('sizes', [('N', 'height', 'width', 3), ('N', HEIGHT, WIDTH, 'channels')])
def test_a_graph_may_leave_the_images_sizes_open(open_with, sizes):
    assert ash_onnx.generate(open_with(images_shape=sizes)).shape == (1, HEIGHT, WIDTH, 3)


@pytest.mark.parametrize('z, message', [
    (np.zeros([1, SIZE]), r'z must be a float32 array \[N, 5\], got float64'),
    ([[0.0] * SIZE], r'z must be a float32 array \[N, 5\], got a list'),
    (np.zeros([SIZE], 'f'), r'z must be \[N, 5\] with N >= 1, got \[5\]'),
    (np.zeros([0, SIZE], 'f'), r'got \[0, 5\]'),
    (np.zeros([2, SIZE + 1], 'f'), r'got \[2, 6\]'),
    (np.full([1, SIZE], np.nan, 'f'), 'z must be finite'),
])
def test_refuses_z(open_with, z, message):
    with pytest.raises(ValueError, match=message):
        open_with().run(z)


def test_another_answer_is_refused(open_with):
    model = build_model(images_shape=None)
    shape = next(tensor for tensor in model.graph.initializer if tensor.name == 'shape')
    shape.raw_data = np.array([-1, HEIGHT, WIDTH * 3, 1]).tobytes()
    with pytest.raises(ValueError, match=r'images came back as \[1, 4, 18, 1\], expected \[1, hei'):
        ash_onnx.generate(open_with(model=model))


@pytest.mark.parametrize('arguments, message', [
    ({'seed': -1}, 'seed must be an integer from 0 to 4294967295, got -1'),
    ({'seed': 2**32}, 'got 4294967296'), ({'seed': 1.0}, 'seed must be'),
    ({'count': 0}, 'count must be an integer >= 1, got 0'),
    ({'batch_size': 0}, 'batch_size must be an integer >= 1, got 0')])
def test_refuses_arguments(open_with, arguments, message):
    with pytest.raises(ValueError, match=message):
        ash_onnx.generate(open_with(), **arguments)


@pytest.mark.parametrize('latent_json, message', [
    ('{', "'latent' is not JSON"), ('[]', 'must be a JSON object with a "distribution"'),
    ({'distribution': 'cauchy'}, 'one of uniform, normal, got'),
    ({'distribution': ['normal']}, 'one of uniform, normal, got'),
    ({'distribution': 'uniform'}, 'must have the numbers low and high, got'),
    ({**UNIFORM, 'mean': 0.0}, 'must have the numbers low and high'),
    ({**UNIFORM, 'low': True}, 'must have the numbers low and high'),
    ({**UNIFORM, 'low': '-1'}, 'must have the numbers low and high'),
    ({**UNIFORM, 'high': 1e39}, 'must have the numbers low and high'),
    ({**NORMAL, 'mean': float('nan')}, 'must have the numbers mean and stddev'),
    ({**UNIFORM, 'high': -1}, 'low must be below high, got -1 and -1'),
    ({**NORMAL, 'stddev': 0}, 'stddev must be above 0, got 0'),
    ('', 'metadata lacks latent'),
])
def test_refuses_a_latent(open_with, latent_json, message):
    with pytest.raises(ValueError, match=f'model.onnx: .*{message}') as error:
        open_with(latent=latent_json)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('arguments, message', [
    ({'z_type': TensorProto.DOUBLE}, 'z is double, expected float'),
    ({'z_shape': ('N', 'L')}, r'z must be \[N, L\] with a fixed L'),
    ({'z_shape': None}, r'z must be \[N, L\] with a fixed L'),
    ({'z_shape': (1, SIZE)}, r'z has shape \[1, 5\], expected \[N, any\]'),
    ({'z_shape': ('N', SIZE, 1)}, r'z has shape \[N, 5, 1\], expected \[N, any\]'),
    ({'z_shape': ('N', 2**40)}, r'with a fixed L from 1 to 268435456'),
    ({'images_type': TensorProto.FLOAT}, 'images is float, expected uint8'),
    ({'images_shape': (1, HEIGHT, WIDTH, 3)}, r'images has shape .*expected \[N, any, any, 3\]'),
    ({'images_shape': ('N', HEIGHT, WIDTH, 1)}, r'images has shape \[N, 4, 6, 1\]'),
    ({'images_shape': ('N', 3, HEIGHT, WIDTH)}, r'images has shape \[N, 3, 4, 6\]'),
    ({'names': ('noise', 'images')}, r"its inputs are \['noise'\], expected \['z'\]"),
    ({'names': ('z', 'faces')}, r"its outputs are \['faces'\], expected \['images'\]"),
])
def test_refuses_another_interface(open_with, arguments, message):
    with pytest.raises(ValueError, match=f'model.onnx: .*{message}'):
        open_with(**arguments)


def test_functions_for_one_kind_refuse_the_other(artifact, tmp_path):
    folder = write_artifact(tmp_path / 'generator')
    with pytest.raises(ValueError, match='is the artifact of an image generator, no image class'):
        ash_onnx.load_model(folder)
    with pytest.raises(ValueError, match='of an image classifier, no image generator'):
        ash_onnx.load_generator(artifact)
    with pytest.raises(ValueError, match='int8 is for image classifiers'):
        optimize(folder, tmp_path / 'int8', INT8)


def test_its_float16_form_verifies_by_grey_levels(tmp_path):
    result = optimize(write_artifact(tmp_path / 'generator'), tmp_path / 'half', FLOAT16)
    assert result.passed
    tolerance = ash_onnx.load_generator(tmp_path / 'half').metadata['tolerance']
    assert tolerance['integer_levels'] == max(1, 2 * result.differences[0].max_abs_difference)


def test_metadata_are_parsed(open_with):
    model = open_with(more={'dataset': 'faces'})
    assert model.metadata['latent'] == UNIFORM and model.metadata['dataset'] == 'faces'
    assert json.loads(json.dumps(model.metadata['tolerance'])) == {'relative': 0,
                                                                  'integer_levels': 1}
