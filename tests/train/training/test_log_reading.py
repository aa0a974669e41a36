"""The CSV files of a run that is resumed: what is damaged is named before a step is done."""
import os
from pathlib import Path

import pytest

from ash_tf1.training import loop
from ash_tf1.training.log_reading import (
    ACTIVATIONS,
    ACTIVATIONS_FILE,
    METRICS_FILE,
    check_log,
    metrics_columns,
    read_rows,
)
from tests.train.miniature import contents, tiny_settings, train_quietly

pytestmark = pytest.mark.fast

HEADER = 'step,epoch,split,loss,top1,learning_rate,images_per_second'
# Epochs of 3 steps, a row every 2; at step 7, two layers.
METRICS = [HEADER, '2,0.67,train,1.5,0.5,0.1,9', '3,1.0,train,1.4,0.5,0.1,9',
           '3,1.0,validation,1.3,0.6,,', '4,1.33,train,nan,0.5,0.1,9',
           '6,2.0,train,1.2,0.5,1e-05,9', '6,2.0,validation,1.1,0.7,,',
           '7,2.33,train,1.0,0.5,0.1,9']
SHARES = [','.join(ACTIVATIONS), '3,a,0.1,1.0,0.5', '3,b,,,0.5', '6,a,0.1,1.0,0.5', '6,b,,,0.5']


def check(folder, metrics=METRICS, shares=SHARES, step=7, **changes):
    for name, lines in ((METRICS_FILE, metrics), (ACTIVATIONS_FILE, shares)):
        path = Path(str(folder), name)
        if isinstance(lines, bytes):
            path.write_bytes(lines)
        elif lines is not None:
            path.write_text('\r\n'.join(lines) + '\r\n')
    check_log(str(folder), ['loss', 'top1'], step, 3, **dict(
        dict(validated=True, layers=['a', 'b'], open_steps=0), **changes))


def with_line(lines, number, text):
    """The lines with another in place of one, counted from 1; without it where `text` is None."""
    return lines[:number - 1] + [text] * (text is not None) + lines[number:]


def test_a_whole_log_is_taken(tmp_path):
    assert ','.join(metrics_columns(['loss', 'top1'])) == HEADER
    check(tmp_path)
    check(tmp_path, METRICS[:-1], step=7, open_steps=1)
    check(tmp_path, METRICS[:-1], SHARES, step=6)
    check(tmp_path, METRICS[:6], SHARES[:4], step=6)  # its last evaluation is done again
    check(tmp_path, [line for line in METRICS if 'validation' not in line], validated=False)
    check(tmp_path, METRICS, SHARES[:1], layers=[])
    check(tmp_path, '\n'.join(METRICS).encode() + b'\n9,3.0,tra')  # a line that was being written
    check(tmp_path, METRICS[:1], SHARES[:1], step=0)
    for name in (METRICS_FILE, ACTIVATIONS_FILE):
        (tmp_path / name).unlink()
    check(tmp_path, None, None, step=0)
    assert read_rows(str(tmp_path / METRICS_FILE)) == []


@pytest.mark.parametrize('text, message', [
    ('x,0.67,train,1.5,0.5,0.1,9', 'line 2: step must be a whole number, got \'x\''),
    ('-2,0.67,train,1.5,0.5,0.1,9', 'line 2: step must be a whole number'),
    (' 2,0.67,train,1.5,0.5,0.1,9', 'line 2: step must be a whole number'),
    ('2_0,0.67,train,1.5,0.5,0.1,9', 'line 2: step must be a whole number'),
    ('9' * 30 + ',0.67,train,1.5,0.5,0.1,9', 'line 2: step must be a whole number'),
    ('2,,train,1.5,0.5,0.1,9', 'line 2: epoch must be a number, got \'\''),
    ('2,nan,train,1.5,0.5,0.1,9', 'line 2: epoch must be a number'),
    ('2,1e999,train,1.5,0.5,0.1,9', 'line 2: epoch must be a number'),
    ('2,0.67,test,1.5,0.5,0.1,9', 'line 2: split must be train or validation, got \'test\''),
    ('2,0.67,train,1_5,0.5,0.1,9', 'line 2: loss must be a number'),
    ('2,0.67,train,1.5,x,0.1,9', 'line 2: top1 must be a number, got \'x\''),
    ('2,0.67,train,1.5,0.5,,9', 'line 2: learning_rate must be a number, got \'\''),
    ('2,0.67,train,1.5,0.5,0.1', 'line 2 has 6 fields, expected are 7: step,epoch'),
    ('2,0.67,train,1.5,0.5,0.1,9,9', 'line 2 has 8 fields, expected are 7'),
    ('2,0.67,train,1.5,0.5,0.1,"9', 'line 8: unexpected end of data'),
    ('2,0.67,train,1.5,0.5,0.1,' + 'x' * 140000, r'line 2: field larger than field limit'),
    ('2,0.67,train,1.5,0.5,0.1,\0', 'line 2: line contains NUL'),
    ('3,1.0,train,1.5,0.5,0.1,9', 'line 3: the row of step 3 and split \'train\' is there before'),
    ('5,1.0,train,1.5,0.5,0.1,9', 'line 3: the row of step 3 .* comes after one of a later step'),
    (HEADER, "line 2: step must be a whole number, got 'step'")])
def test_a_damaged_row_is_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=r'metrics\.csv: ' + message):
        check(tmp_path, with_line(METRICS, 2, text))


@pytest.mark.parametrize('text, message', [
    ('3,a,0.1,1.0,', 'line 2: pass_share must be a number'),
    ('3,a,x,1.0,0.5', 'line 2: z_k must be a number'),
    ('3,b,0.1,1.0,0.5', 'line 3: the row of step 3 and layer \'b\' is there before'),
    ('1,a,0.1,1.0,0.5', 'has a row of step 1, of which metrics.csv has none'),
    (None, 'has rows of 1 layers at step 3, expected are those of the 2 layers of the net; put'),
    ('3,c,0.1,1.0,0.5', "line 2: layer must be an ASH layer of the net, got 'c'")])
def test_so_is_one_of_the_layers(tmp_path, text, message):
    with pytest.raises(ValueError, match=r'activations\.csv: ' + message):
        check(tmp_path, shares=with_line(SHARES, 2, text))


def test_a_layer_of_the_last_evaluation_is_checked_too(tmp_path):
    """Where the run goes on, the rows of the evaluation at that step are counted and kept."""
    with pytest.raises(ValueError, match=r"activations\.csv: line 5: layer must be .*, got 'c'"):
        check(tmp_path, METRICS[:7], with_line(SHARES, 5, '6,c,,,0.5'), step=6)


@pytest.mark.parametrize('lines', [None, b'', METRICS[:1], METRICS[:5]],
                         ids=['no file', 'empty', 'header', 'cut'])
def test_rows_that_are_missing_are_named(tmp_path, lines):
    message = r'metrics\.csv: (has no row of step 7 and split train|line 1 must be step,epoch)'
    with pytest.raises(ValueError, match=message):
        check(tmp_path, lines)


@pytest.mark.parametrize('number, message', [
    (3, 'of step 3 and split train'), (4, 'of step 3 and split validation'),
    (8, 'of step 7 and split train')])
def test_a_row_that_is_missing_is_named(tmp_path, number, message):
    with pytest.raises(ValueError, match=r'metrics\.csv: has no row ' + message):
        check(tmp_path, with_line(METRICS, number, None))
    if number == 8:  # nor may there be one too many
        with pytest.raises(ValueError, match=r'metrics\.csv: has no row of step 6 '):
            check(tmp_path, open_steps=1)


@pytest.mark.timeout(60)
@pytest.mark.parametrize('make, message', [
    (lambda path: path.write_bytes(path.read_bytes().replace(b'1.4', b'1\xff4')),
     'line 3 is no text in UTF-8'),
    (lambda path: path.write_bytes(path.read_text().encode('utf-16')), 'line 1 is no text'),
    (lambda path: path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes()), 'line 1 must be step,'),
    (lambda path: path.write_bytes(path.read_bytes().replace(b'top1', b'top5', 1)),
     'line 1 must be step,epoch,split,loss,top1,'),
    (lambda path: (path.unlink(), os.mkfifo(str(path))), 'not a regular file'),
    (lambda path: (path.unlink(), os.symlink('/dev/zero', str(path))), 'not a regular file'),
    (lambda path: (path.unlink(), path.mkdir()), 'Is a directory'),
    (lambda path: os.truncate(str(path), 2 ** 41), 'has 2199023255552 bytes, expected are'),
], ids=['byte', 'utf-16', 'mark', 'columns', 'pipe', 'device', 'folder', 'huge'])
def test_a_file_that_is_no_csv_is_named(tmp_path, make, message):
    check(tmp_path)
    make(tmp_path / METRICS_FILE)
    with pytest.raises((ValueError, OSError), match=message) as error:
        check(tmp_path, None, None)
    assert 'metrics.csv' in str(error.value) and '\n' not in str(error.value)


def test_a_damaged_log_ends_a_resume_before_anything_is_changed(
        tiny, tmp_path, before_step, monkeypatch):
    settings = tiny_settings(activation='relu', log_every=4)
    before_step(7, lambda: os.kill(os.getpid(), 15))
    train_quietly(settings, tmp_path)
    before_step()
    begun = contents(tmp_path)
    monkeypatch.setattr(loop, '_step', lambda *args: pytest.fail('a step was done'))
    rows = begun['metrics.csv'].splitlines(True)
    damages = [('metrics.csv', begun['metrics.csv'][:-9] + b'x\r\n'),
               ('metrics.csv', b''.join(rows[:-1]))] + [
        ('model.ckpt-7.interval.json', content) for content in (
            b'', b'[', b'{}', b'[1]', b'[{"loss": 1}]', b'\xff',
            b'[{"loss": "1", "top1": 1}, {"loss": 1, "top1": 1}]')]
    for name, damage in damages:
        (tmp_path / name).write_bytes(damage)
        with pytest.raises(ValueError, match=name.replace('.', r'\.')):
            train_quietly(settings, tmp_path, resume=True)
        assert contents(tmp_path) == dict(begun, **{name: damage})
        (tmp_path / name).write_bytes(begun[name])
    monkeypatch.undo()
    assert train_quietly(settings, tmp_path, resume=True).step == 15  # whole again
