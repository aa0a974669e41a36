"""Only a folder that was written here, and in which nothing has changed, is ever replaced."""
import json
import os

import pytest

from ash_tf1 import marking
from ash_tf1.marking import MARK_FILE, check_replaceable, mark


@pytest.fixture
def written(tmp_path):
    folder = tmp_path / 'out'
    for name in ('x/7/1.png', 'x/2.png', 'model.onnx'):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    mark(str(folder))
    return folder


def test_what_was_written_may_be_replaced(written):
    check_replaceable(str(written), True)
    with pytest.raises(ValueError, match='out exists: give another folder, or .*--overwrite'):
        check_replaceable(str(written), False)
    (written / 'x' / '2.png').unlink()  # what is gone cannot be lost
    check_replaceable(str(written), True)
    assert sorted(json.loads((written / MARK_FILE).read_text())['files']) == [
        'model.onnx', 'x/2.png', 'x/7/1.png']


def test_so_may_what_is_not_there_or_empty(tmp_path):
    check_replaceable(str(tmp_path / 'out'), False)
    (tmp_path / 'out').mkdir()
    check_replaceable(str(tmp_path / 'out'), True)
    with pytest.raises(ValueError, match='out exists'):
        check_replaceable(str(tmp_path / 'out'), False)


@pytest.mark.parametrize('name, change', [
    ('x/7/thesis.txt', lambda path: path.write_text('mine')),
    ('notes.txt', lambda path: path.write_text('mine')),
    ('.hidden', lambda path: path.write_text('mine')),
    ('x/2.png', lambda path: path.write_text('mine')),
    ('x/7/1.png', lambda path: (path.unlink(), path.symlink_to('../2.png'))),
    ('x/other', lambda path: path.mkdir()),
    ('link', lambda path: path.symlink_to('/')),
    ('model.onnx', lambda path: (path.unlink(), path.mkdir())),
    ('x/2.png', lambda path: (path.unlink(), os.mkfifo(str(path))))])
def test_what_is_not_ours_is_named_and_stays(written, name, change):
    change(written / name)
    with pytest.raises(ValueError, match='out/{} .*out will not be replaced'.format(name)):
        check_replaceable(str(written), True)


@pytest.mark.parametrize('content', ['', 'null', '[]', '{"files": []}', '{"files": {"a": 3}}', '{',
                                     '[' * 100000])
def test_a_mark_that_is_none_replaces_nothing(written, content):
    (written / MARK_FILE).write_text(content)
    with pytest.raises(ValueError, match='MARK|json'):
        check_replaceable(str(written), True)


def test_a_folder_without_a_mark_is_somebody_else_s(written, tmp_path):
    (written / MARK_FILE).unlink()
    with pytest.raises(ValueError, match='has no {}, .*will not be replaced'.format(MARK_FILE)):
        check_replaceable(str(written), True)
    (tmp_path / 'file').write_text('mine')
    (tmp_path / 'link').symlink_to(str(tmp_path / 'elsewhere'))
    for name in ('file', 'link'):
        with pytest.raises(ValueError, match='{} is no folder'.format(name)):
            check_replaceable(str(tmp_path / name), True)


def test_the_mark_itself_is_not_listed(written):
    mark(str(written))
    assert MARK_FILE not in json.loads((written / MARK_FILE).read_text())['files']
    assert marking.MARK_FILE.startswith('.')  # hidden from what looks for images


@pytest.mark.parametrize('overwrite', [True, False])
def test_what_comes_while_a_folder_is_made_stays(written, tmp_path, overwrite):
    """Also where nothing was there when it began."""
    out = written if overwrite else tmp_path / 'new'
    with pytest.raises(ValueError, match='thesis.txt .*will not be replaced' if overwrite else
                       'new exists'):
        with marking.replacing_folder(str(out), overwrite) as folder:
            (tmp_path / folder / 'model.onnx').write_text('fresh')
            out.mkdir(exist_ok=True)
            (out / 'thesis.txt').write_text('mine')
    assert (out / 'thesis.txt').read_text() == 'mine'
    (out / 'thesis.txt').unlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({'out', out.name})
    with marking.replacing_folder(str(out), True) as folder:
        (tmp_path / folder / 'model.onnx').write_text('fresh')
    assert [path.name for path in out.iterdir()] == ['model.onnx']
