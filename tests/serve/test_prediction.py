"""Predictions: order, batches, bad files; and the annotated picture."""

import os

import cv2
import numpy as np
import pytest

import ash_onnx
from ash_onnx.kinds.classifier import annotation, prediction
from ash_onnx.kinds.classifier.prediction import format_predictions
from tests.serve import miniature

pytestmark = pytest.mark.fast

COLOURS = {'red': (200, 10, 10), 'green': (10, 200, 10), 'blue': (10, 10, 200)}


@pytest.fixture
def model(artifact):
    return ash_onnx.load_model(artifact)


@pytest.fixture
def files(save_image):
    return [save_image(f'photos/{name}.png', colour) for name, colour in COLOURS.items()]


@pytest.mark.parametrize('batch_size', [1, 2, 32])
def test_predicts_in_the_order_of_the_paths(model, files, monkeypatch, batch_size):
    monkeypatch.setattr(prediction, 'BATCH_SIZE', batch_size)
    results = ash_onnx.predict(model, files[::-1], top=2)
    assert [result.path for result in results] == [str(path) for path in files[::-1]]
    assert [result.top[0][0] for result in results] == ['blue', 'green', 'red']
    image = np.broadcast_to(np.array(COLOURS['blue'], np.uint8), [1, 6, 8, 3])
    expected = np.sort(miniature.oracle(image)[1][0])[::-1]
    assert [p for _, p in results[0].top] == pytest.approx(expected[:2], rel=1e-5)
    assert type(results[0].top[0][1]) is float


def test_a_folder_stands_for_its_images(model, files):
    results = ash_onnx.predict(model, [files[0].parent])
    assert [os.path.basename(result.path) for result in results] == [
        'blue.png', 'green.png', 'red.png']
    assert all(len(result.top) == 3 for result in results)  # top=5 of three classes


@pytest.mark.parametrize('top', [0, -1, 1.5, '3', True])
def test_refuses_top(model, files, top):
    with pytest.raises(ValueError, match='top must be an integer >= 1'):
        ash_onnx.predict(model, files, top=top)


def test_a_bad_file_raises_or_is_reported(model, files, tmp_path):
    (tmp_path / 'bad.png').write_text('no image')
    (tmp_path / 'empty').mkdir()
    paths = [files[0], tmp_path / 'bad.png', tmp_path / 'nowhere.png', tmp_path / 'empty', files[1]]
    with pytest.raises(ValueError, match=r'bad\.png: neither'):
        ash_onnx.predict(model, paths)
    with pytest.raises(FileNotFoundError, match='nowhere'):
        ash_onnx.predict(model, paths[2:])
    with pytest.raises(ValueError, match='empty: no JPEG or PNG image'):
        ash_onnx.predict(model, paths[3:])
    seen = []
    results = ash_onnx.predict(model, paths, on_error=lambda *report: seen.append(report))
    assert [result.path for result in results] == [str(files[0]), str(files[1])]
    assert [path for path, _ in seen] == [str(path) for path in paths[1:4]]


def test_a_model_that_answers_nan_is_an_error(model, files, monkeypatch):
    monkeypatch.setattr(model, 'run', lambda images: (None, np.full([len(images), 3], np.nan)))
    with pytest.raises(ValueError, match=r'red\.png: the model answers NaN'):
        ash_onnx.predict(model, files)


def test_the_table_is_aligned(model, files):
    lines = format_predictions(ash_onnx.predict(model, files, top=2)).splitlines()
    assert len(lines) == 1 + 2 * 3
    assert len({len(line) for line in lines}) == 1
    assert lines[1].split()[:2] == [str(files[0]), 'red']
    assert format_predictions([]).split() == ['image', 'label', 'probability']


def test_the_picture_shows_each_image_with_a_bar(model, files, tmp_path):
    path = tmp_path / 'out.png'
    results = ash_onnx.predict(model, files)
    ash_onnx.annotate(results, path, model.input_shape)
    picture = cv2.imread(str(path))[..., ::-1]
    for name, colour in COLOURS.items():
        ys, xs = np.nonzero((picture == colour).all(axis=2))
        assert len(ys) == 144 * 192, name  # 6 x 8 pixels, each a square of 24 x 24
        probability = next(r.top[0][1] for r in results if name in r.path)
        bar = picture[ys.max() + 1 + annotation._TEXT_HEIGHT, xs.min():xs.max() + 1]
        filled = (bar == annotation._FILL).all(axis=1).sum()
        assert filled == round(192 * probability)
        caption = picture[ys.max() + 1:ys.max() + annotation._TEXT_HEIGHT, xs.min():xs.max() + 1]
        assert (caption < 100).any()  # some ink
    assert sorted(os.listdir(tmp_path)) == ['artifact', 'out.png', 'photos']


@pytest.mark.parametrize('size, drawn', [
    ((32, 32), (192, 192)), ((224, 224), (224, 224)), ((1000, 500), (384, 192)),
    ((1, 4096), (1, 384)), ((120, 120), (240, 240))])
def test_images_are_drawn_at_a_readable_size(size, drawn):
    image = np.zeros([*size, 3], np.uint8)
    picture = annotation.draw_grid([(image, 'a', 0.5)])
    assert ((picture == 0).all(axis=2).sum()) == pytest.approx(drawn[0] * drawn[1], rel=0.01, abs=9)


def test_a_long_label_stays_within_its_cell():
    image = np.zeros([32, 32, 3], np.uint8)
    picture = annotation.draw_grid([(image, 'a very long label indeed, wider than two images', 1.0),
                                    (image, 'b', 0.0)])
    gap = picture[:, annotation._GAP + 192:2 * annotation._GAP + 192]
    assert (gap == 255).all()


def test_many_images_are_cut_and_it_says_so(model, files, monkeypatch, tmp_path):
    monkeypatch.setattr(annotation, 'MAX_IMAGES', 2)
    texts = []
    monkeypatch.setattr(annotation, '_draw_text', lambda *arguments: texts.append(arguments[1]))
    ash_onnx.annotate(ash_onnx.predict(model, files), tmp_path / 'out.jpg', model.input_shape)
    assert texts[0::2] == ['red', 'green', 'the first 2 of 3 images']


@pytest.mark.parametrize('name, error, message', [
    ('out.gif', ValueError, r'out\.gif: .*\.png, \.jpg'),
    ('nowhere/out.png', FileNotFoundError, 'no folder'),
    ('photos/red.png', ValueError, 'one of the classified images'),
])
def test_refuses_a_picture_path(model, files, tmp_path, name, error, message):
    before = files[0].read_bytes()
    with pytest.raises(error, match=message):
        ash_onnx.annotate(ash_onnx.predict(model, files), tmp_path / name, model.input_shape)
    assert files[0].read_bytes() == before


def test_refuses_a_folder_and_no_images(model, tmp_path):
    (tmp_path / 'folder.png').mkdir()
    with pytest.raises(IsADirectoryError, match='folder.png'):
        ash_onnx.annotate([], tmp_path / 'folder.png', model.input_shape)
    with pytest.raises(ValueError, match='no classified image'):
        ash_onnx.annotate([], tmp_path / 'out.png', model.input_shape)


def test_a_failed_write_leaves_the_old_picture(model, files, tmp_path, monkeypatch):
    path = tmp_path / 'out.png'
    path.write_bytes(b'old')

    def fail(*_):
        raise OSError('disk full')
    monkeypatch.setattr('os.replace', fail)
    with pytest.raises(OSError, match='disk full'):
        ash_onnx.annotate(ash_onnx.predict(model, files), path, model.input_shape)
    assert path.read_bytes() == b'old'
    assert not list(tmp_path.glob('.*'))
