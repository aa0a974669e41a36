"""Evaluation: the counts, ties, the reading ahead, and trees that are wrong."""

import json
import threading

import numpy as np
import pytest

import ash_onnx
from ash_onnx.kinds.classifier import evaluation
from ash_onnx.kinds.classifier.evaluation import format_evaluation
from tests.serve import miniature

pytestmark = pytest.mark.fast

COLOURS = {'red': (200, 10, 10), 'green': (10, 200, 10), 'blue': (10, 10, 200)}


@pytest.fixture
def model(artifact):
    return ash_onnx.load_model(artifact)


@pytest.fixture
def tree(save_image, tmp_path):
    """7 red images, one of which looks blue; 3 green ones; no blue ones; a stray file."""
    for i in range(7):
        save_image(f'tree/red/{i}.png', COLOURS['blue' if i == 4 else 'red'], size=(6 + i, 8))
    for i in range(3):
        save_image(f'tree/green/{i}.jpg', COLOURS['green'])
    (tmp_path / 'tree' / 'red' / 'notes.txt').write_text('not an image')
    (tmp_path / 'tree' / '.cache').mkdir()
    return tmp_path / 'tree'


@pytest.mark.parametrize('batch_size', [1, 3, 5, 64])
def test_counts(model, tree, batch_size):
    result = ash_onnx.evaluate(model, tree, batch_size=batch_size)
    assert (result.n, result.correct, result.top1) == (10, 9, 0.9)
    assert result.correct_top5 is None and result.top5 is None
    assert [(row.label, row.n, row.correct) for row in result.classes] == [
        ('red', 7, 6), ('green', 3, 3), ('blue', 0, 0)]
    assert result.classes[0].accuracy == pytest.approx(6 / 7)
    assert result.classes[2].accuracy is None
    assert result.images_per_second == pytest.approx(10 / result.seconds)


def test_top5(six_class_artifact, save_image, tmp_path):
    """For a red image the logits rank red, then red2 (one lower), then the rest."""
    model = ash_onnx.load_model(six_class_artifact)
    save_image('tree/red/a.png', COLOURS['red'])     # rank 0
    save_image('tree/red2/a.png', COLOURS['red'])    # rank 1
    save_image('tree/blue2/a.png', COLOURS['red'])   # rank 5: equal to green2, after it
    save_image('tree/green2/a.png', COLOURS['red'])  # rank 4
    result = ash_onnx.evaluate(model, tmp_path / 'tree')
    assert (result.correct, result.correct_top5, result.top5) == (1, 3, 0.75)


def test_equal_logits_rank_by_index():
    logits = np.array([[1., 1., 1.], [0., 2., 2.], [0., 2., 2.], [3., 0., 3.]])
    np.testing.assert_array_equal(evaluation._ranks(logits, np.array([2, 1, 2, 1])), [2, 0, 1, 2])
    np.testing.assert_array_equal(evaluation._ranks(logits, logits.argmax(axis=1)), 0)


def test_a_folder_that_is_no_label_is_an_error(model, tree):
    (tree / 'violet').mkdir()
    with pytest.raises(ValueError, match="no label 'violet'; its labels are red, green, blue"):
        ash_onnx.evaluate(model, tree)


def test_a_label_that_stands_for_two_classes_is_an_error(make_artifact, tree):
    metadata = {**miniature.METADATA, 'labels': json.dumps(['red', 'green', 'red'])}
    model = ash_onnx.load_model(make_artifact('twice', metadata=metadata))
    with pytest.raises(ValueError, match="label 'red' 2 times"):
        ash_onnx.evaluate(model, tree)


def test_a_tree_without_images_is_an_error(model, tmp_path):
    (tmp_path / 'tree' / 'red').mkdir(parents=True)
    with pytest.raises(ValueError, match='no JPEG or PNG images'):
        ash_onnx.evaluate(model, tmp_path / 'tree')
    with pytest.raises(FileNotFoundError, match='nowhere'):
        ash_onnx.evaluate(model, tmp_path / 'nowhere')


def test_images_count_whatever_their_names_end_in(model, tree):
    for name in ('4.png', '5.png'):
        (tree / 'red' / name).rename(tree / 'red' / f'{name}.webp')
    (tree / 'green' / '0.jpg').rename(tree / 'green' / '0')
    assert [row.n for row in ash_onnx.evaluate(model, tree).classes] == [7, 3, 0]


def test_other_files_are_named(model, tree):
    for name in ('red/a.webp', 'red/b.bmp', 'loose.txt', 'green/\x1b[31m'):
        (tree / name).write_text('no image')
    (tree / 'loose.png').write_bytes((tree / 'red' / '0.png').read_bytes())
    result = ash_onnx.evaluate(model, tree)
    assert result.n == 10 and sorted(result.others) == sorted(str(tree / name) for name in (
        'loose.png', 'loose.txt', 'green/\x1b[31m', 'red/a.webp', 'red/b.bmp', 'red/notes.txt'))
    assert result.to_dict()['others'] == result.others
    line, = (line for line in format_evaluation(result).splitlines() if 'passed over' in line)
    assert line.startswith('passed over 6, ') and 'b.bmp' in line and r'\x1b[31m' in line


def test_many_other_files_are_counted(model, tree):
    for number in range(20):
        (tree / f'{number}.txt').write_text('no image')
    text = format_evaluation(ash_onnx.evaluate(model, tree))
    assert 'passed over 21, ' in text and '9.txt' not in text and 'and 11 more' in text


@pytest.mark.parametrize('name, message', [
    ('blue', r'blue: no JPEG or PNG images in this folder'),
    ('red/nested', r'nested: a folder in the folder of a label')])
def test_an_empty_or_nested_folder_is_an_error(model, tree, name, message):
    (tree / name).mkdir()
    with pytest.raises(ValueError, match=message):
        ash_onnx.evaluate(model, tree)


def test_a_bad_image_ends_the_evaluation(model, tree):
    (tree / 'green' / '1.jpg').write_bytes(b'')
    threads = threading.active_count()
    with pytest.raises(ValueError, match=r'1\.jpg: the file is empty'):
        ash_onnx.evaluate(model, tree, batch_size=1)
    assert threading.active_count() == threads


@pytest.mark.parametrize('batch_size', [0, -1, 2.0, True])
def test_refuses_a_batch_size(model, tree, batch_size):
    with pytest.raises(ValueError, match='batch_size must be an integer >= 1'):
        ash_onnx.evaluate(model, tree, batch_size=batch_size)


def test_a_model_that_answers_nan_is_an_error(model, tree, monkeypatch):
    monkeypatch.setattr(model, 'run', lambda images: (np.full([len(images), 3], np.nan), None))
    with pytest.raises(ValueError, match='NaN'):
        ash_onnx.evaluate(model, tree)


def test_reading_ahead_is_bounded(model, monkeypatch):
    """The readers are at most two batches in front of the model, whatever the tree's size."""
    read = []
    monkeypatch.setattr(evaluation, 'read_image',
                        lambda path, shape, _: read.append(path) or np.zeros(shape, np.uint8))
    files = [(i, i % 3) for i in range(100)]
    seen = []
    for images, classes in evaluation.read_batches(model, files, 4):
        assert len(read) <= len(seen) + 2 * 4
        seen += classes.tolist()
        assert images.shape == (4, 6, 8, 3)
    assert seen == [i % 3 for i in range(100)]


@pytest.mark.parametrize('quiet', [True, False])
def test_no_progress_bar_without_a_terminal(model, tree, capsys, quiet):
    ash_onnx.evaluate(model, tree, quiet=quiet)
    assert capsys.readouterr() == ('', '')


@pytest.mark.parametrize('quiet', [True, False])
def test_a_progress_bar_on_a_terminal(model, tree, capsys, monkeypatch, quiet):
    monkeypatch.setattr('sys.stderr.isatty', lambda: True, raising=False)
    ash_onnx.evaluate(model, tree, quiet=quiet)
    out, err = capsys.readouterr()
    assert out == '' and ('10/10' in err) != quiet


def test_the_report(model, six_class_artifact, tree):
    text = format_evaluation(ash_onnx.evaluate(model, tree))
    assert 'top-1   90.00% (9 correct)' in text and 'top-5' not in text
    assert 'blue         0        0         -' in text
    text = format_evaluation(ash_onnx.evaluate(ash_onnx.load_model(six_class_artifact), tree))
    assert 'top-5   100.00% (10 correct)' in text
