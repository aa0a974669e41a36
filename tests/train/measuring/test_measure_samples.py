"""tools/measure_samples.py on a run of a few steps: figures, pictures and errors."""
import csv
import json

import cv2
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1.commands import measure_samples
from ash_tf1.measuring import features, frechet, samples
from ash_tf1.preprocessing import Preprocessing
from tests.train.miniature import (
    registered_tiny,
    tiny_gan_settings,
    tiny_photos,
    train_quietly,
)

OPTIONS = ['--count', '20', '--epochs', '1', '2']


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """Folders of two GANs, which have the checkpoints of epochs 1 and 2."""
    folder = tmp_path_factory.mktemp('runs')
    with registered_tiny():
        for activation in ('ash', 'relu'):
            train_quietly(tiny_gan_settings(activation=activation, keep_every=1),
                          folder / activation)
    return [str(folder / activation) for activation in ('ash', 'relu')]


def test_a_table_and_pictures_of_runs_and_epochs(runs, tiny, tiny_run, tmp_path, capsys):
    out = tmp_path / 'out'
    assert measure_samples.main(runs + OPTIONS + [
        '--features', str(tiny_run), '--face-count', '3', '--out', str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == 'features: global_pool of tiny with ash, trained on tiny'
    assert [line.split()[:2] for line in lines[3:7]] == [
        ['ash', '1'], ['ash', '2'], ['relu', '1'], ['relu', '2']]
    with open(str(out / 'samples.csv'), newline='') as handle:
        rows = list(csv.DictReader(handle))
    assert [row['activation'] for row in rows] == ['real images'] + ['ash'] * 2 + ['relu'] * 2
    assert all(float(row['frechet']) >= 0 and float(row['nearest']) > 0 and row['faces']
               for row in rows)
    pairs = cv2.imread(str(out / 'nearest.png'))
    assert pairs.shape == (4 * 34 - 2, 340 - 2, 3)  # 20 samples in rows of 10, each with its pair
    assert cv2.imread(str(out / 'grids.png')).size

    with samples.Generator(runs[1]) as generator:
        made = generator(generator.prefix(2), 20)
    with features.of_run(str(tiny_run)) as net:
        found = frechet.distance(*(frechet.fit(net(images)) for images in (
            made, tiny_photos().train.arrays['image'])))
    assert float(rows[-1]['frechet']) == pytest.approx(found, rel=1e-4)


def test_the_figures_as_json(runs, tiny, tmp_path, capsys):
    assert measure_samples.main(runs[:1] + ['--count', '5', '--out', str(tmp_path), '--json']) == 0
    found = json.loads(capsys.readouterr().out)
    assert found['features'] is None
    assert [sorted(row) for row in found['rows']] == [
        ['activation', 'epoch', 'nearest', 'run']] * 2


@pytest.mark.parametrize('batch', [None, 1, 3])
def test_the_features_of_a_frozen_graph(tmp_path, batch):
    """A graph may take one batch size only, as that of Inception; float32 rounding."""
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [batch, 6, 6, 3], 'images')
        tf.reduce_mean(images * 2.0, [1, 2], name='pool')
    path = tmp_path / 'net.pb'
    path.write_bytes(graph.as_graph_def().SerializeToString())
    photos = np.random.RandomState(0).randint(0, 256, (7, 6, 6, 3)).astype(np.uint8)
    with features.of_graph(str(path), 'pool', Preprocessing(mean=(10.0,) * 3)) as net:
        assert net.name == 'pool of net.pb'
        np.testing.assert_allclose(net(photos), (photos - 10.0).mean(axis=(1, 2)) * 2, rtol=1e-5)


@pytest.mark.parametrize('arguments, message', [
    (['{run}', '--epochs', '7'], 'has no checkpoint of epoch 7, step 21; its steps are 3, 6'),
    (['{classifier}'], 'has a run of the task classification, which makes no images'),
    (['{run}', '--count', '1'], '--count must be 2 or more, got 1'),
    (['{run}', '--features', '{run}'], 'has a net without a layer global_pool: dcgan'),
    (['{run}', '--features', '{run}/none.pb'], 'name the tensor of its features by'),
    (['{run}', '--features', '{run}/none.pb', '--features-output', 'pool'], 'none.pb'),
    (['{run}', '--features', '{run}', '--features-output', 'pool'], 'leave --features-')])
def test_what_does_not_fit_is_one_line(runs, tiny, tiny_run, tmp_path, capsys, arguments, message):
    names = {'run': runs[0], 'classifier': str(tiny_run)}
    assert measure_samples.main([argument.format(**names) for argument in arguments]
                                + ['--out', str(tmp_path / 'out')]) == 2
    line, = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / 'out').exists()
