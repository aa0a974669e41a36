"""tools/generate.py: the pictures that it writes, and what it refuses before it works."""

import json

import cv2
import numpy as np
import pytest

import ash_onnx
from ash_onnx.kinds.generator.grid import draw_grid
from tests.serve.miniature_generator import HEIGHT, NORMAL, WIDTH, write_artifact

pytestmark = pytest.mark.fast


@pytest.fixture
def run(load_tool, capsys, tmp_path, monkeypatch):
    """Function that runs the command on an artifact G in a folder: (status, stdout, stderr)."""
    write_artifact(tmp_path / 'G')
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        status = load_tool('generate').main(['G', *map(str, arguments)])
        return status, *capsys.readouterr()
    return run


def read(path):
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def made(seed, count, folder='G'):
    return ash_onnx.generate(ash_onnx.load_generator(folder), seed, count)


def test_the_picture_shows_the_first_images_of_the_seed(run):
    status, out, err = run('out.png')
    assert (status, err) == (0, '')
    assert out == '50 images of seed 0 on cpu\nout.png: 50 of them, 5 x 10\n'
    np.testing.assert_array_equal(read('out.png'), draw_grid(made(0, 50), 5, 10))


@pytest.mark.parametrize('options, seed, count, grid', [
    (['--seed', 8], 8, 50, (5, 10)),
    (['--grid', '2x3'], 0, 6, (2, 3)),
    (['--grid', '3x4', '--count', 5, '--batch-size', 2], 0, 5, (3, 4)),
])
def test_seed_count_and_grid(run, options, seed, count, grid):
    status, out, _ = run('out.png', '--quiet', '--threads', 1, '--json', *options)
    assert status == 0 and json.loads(out) == {
        'artifact': 'G', 'provider': 'cpu', 'seed': seed, 'count': count, 'grid': list(grid),
        'picture': 'out.png', 'separate': None}
    np.testing.assert_array_equal(read('out.png'), draw_grid(made(seed, count), *grid))


@pytest.mark.parametrize('latent', [None, NORMAL])
def test_a_walk_is_a_strip_between_the_first_images_of_two_seeds(run, tmp_path, latent):
    if latent:
        (tmp_path / 'G').rename(tmp_path / 'uniform')
        write_artifact(tmp_path / 'G', latent=latent)
    status, out, _ = run('strip.png', '--walk', 3, 4, '--steps', 6)
    assert status == 0 and out.startswith('6 images of the way from seed 3 to seed 4 on cpu\n')
    strip = read('strip.png')
    assert strip.shape == (HEIGHT + 4, 6 * (WIDTH + 2) + 2, 3)
    np.testing.assert_array_equal(strip[2:-2, 2:2 + WIDTH], made(3, 1)[0])
    np.testing.assert_array_equal(strip[2:-2, -2 - WIDTH:-2], made(4, 1)[0])


def test_separate_images(run, tmp_path):
    status, out, _ = run('out.png', '--count', 7, '--grid', '1x2', '--separate', 'each',
                         '--batch-size', 3)
    assert status == 0
    assert out.splitlines()[1:] == ['out.png: 2 of them, 1 x 2', 'each: each as a PNG file']
    assert sorted(path.name for path in (tmp_path / 'each').iterdir()) == [
        f'{i:05d}.png' for i in range(7)]
    for i, image in enumerate(made(0, 7)):
        np.testing.assert_array_equal(read(f'each/{i:05d}.png'), image)


@pytest.mark.parametrize('arguments, message', [
    (['out.bmp'], 'out.bmp: a picture\'s name must end in'),
    (['no/out.png'], 'there is no folder no'),
    (['old.png'], 'old.png: this file exists; give another name, or --overwrite'),
    (['out.png', '--seed', '-1'], 'seed must be an integer from 0'),
    (['out.png', '--count', '0'], '--count must be an integer >= 1, got 0'),
    (['out.png', '--count', '51'], '--count 51 is more than the 50 places of the grid 5x10'),
    (['out.png', '--count', '7', '--grid', '2x3'], 'more than the 6 places of the grid 2x3'),
    (['out.png', '--grid', '99999x99999'], 'would be a picture of'),
    (['out.png', '--batch-size', '0'], 'batch_size must be'),
    (['out.png', '--steps', '4'], '--steps is for --walk'),
    (['out.png', '--walk', '0', '1', '--steps', '1'], 'steps must be an integer >= 2, got 1'),
    (['out.png', '--walk', '0', '-1'], 'seed must be an integer from 0'),
    (['out.png', '--walk', '0', '1', '--seed', '0'], 'do not go with --walk'),
    (['out.png', '--walk', '0', '1', '--count', '2'], 'do not go with --walk'),
    (['out.png', '--separate', 'G'], 'G: this folder is not empty'),
    (['out.png', '--separate', 'old.png'], 'old.png: this is no folder'),
    (['out.png', '--separate', 'no/each'], 'no/each: there is no folder no'),
    (['empty/out.png', '--separate', 'empty'], 'OUT must not be in the folder of --separate'),
    (['out.png', '--time-limit', '0'], '--time-limit must be a number above 0'),
])
def test_bad_input_is_one_line_and_writes_nothing(run, tmp_path, arguments, message):
    (tmp_path / 'old.png').write_bytes(b'old')
    (tmp_path / 'empty').mkdir()
    before = sorted(tmp_path.rglob('*'))
    status, out, err = run(*arguments)
    assert (status, out) == (2, '')
    assert err.startswith('generate.py: error: ') and message in err and err.count('\n') == 1
    assert sorted(tmp_path.rglob('*')) == before
    assert (tmp_path / 'old.png').read_bytes() == b'old'


@pytest.mark.parametrize('grid', ['5', '0x3', '3x', '-1x2', '5x10x2', '٣x٣', '100000x1'])
def test_a_grid_that_is_none_is_wrong_usage(run, capsys, grid):
    with pytest.raises(SystemExit) as stop:
        run('out.png', f'--grid={grid}')
    assert stop.value.code == 2
    assert f'must be like 5x10, got {grid!r}' in capsys.readouterr().err


def test_a_picture_is_replaced_with_overwrite_alone(run, tmp_path):
    (tmp_path / 'out.png').write_bytes(b'old')
    assert run('out.png')[0] == 2
    assert run('out.png', '--overwrite')[0] == 0
    np.testing.assert_array_equal(read('out.png'), draw_grid(made(0, 50), 5, 10))


def test_an_artifact_of_another_kind_is_refused(artifact, load_tool, capsys, tmp_path):
    assert load_tool('generate').main([str(artifact), str(tmp_path / 'out.png')]) == 2
    assert 'is the artifact of an image classifier, no image generator' in capsys.readouterr().err
