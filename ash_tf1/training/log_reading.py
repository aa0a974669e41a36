"""Reads the CSV files of a run, and checks that they are whole before the run goes on."""
import csv
import io
import math
import os
import re

from ash_tf1.reading import read_bounded

METRICS_FILE = 'metrics.csv'
ACTIVATIONS_FILE = 'activations.csv'
TRAIN, VALIDATION = 'train', 'validation'  # values of the column `split`
ACTIVATIONS = ('step', 'layer', 'z_k', 'alpha', 'pass_share')
MAX_BYTES = 2 ** 31 - 1  # of a file


def metrics_columns(names):
    """The columns of `metrics.csv` for a task whose metrics have these names."""
    return ('step', 'epoch', 'split') + tuple(names) + ('learning_rate', 'images_per_second')


def read_rows(path, columns=None):
    """Reads the rows of a CSV file; none if the file is missing.

    A last line without a line end is ignored: its process ended while it wrote the line.

    Args:
      path: path of the file.
      columns: the columns that it must have; None for any.

    Returns:
      A list of dictionaries of strings.

    Raises:
      ValueError: the file is damaged. The message names it, the line and what is right.
    """
    return [row for _, row in _numbered_rows(path, columns)]


def _numbered_rows(path, columns):
    """(number of its last line, row) of each row."""
    if not os.path.lexists(path):
        return []
    data = read_bounded(path, MAX_BYTES)
    try:
        text = data[:data.rfind(b'\n') + 1].decode('utf-8')
    except UnicodeDecodeError as error:
        raise ValueError('{}: line {} is no text in UTF-8'.format(
            path, data.count(b'\n', 0, error.start) + 1)) from None
    reader = csv.reader(io.StringIO(text, newline=''), strict=True)
    rows = []
    try:
        header = next(reader, [])
        if columns is not None and header != list(columns):
            raise ValueError('{}: line 1 must be {}, got {}'.format(
                path, ','.join(columns), _short(','.join(header))))
        for fields in reader:
            if fields and len(fields) != len(header):
                raise ValueError('{}: line {} has {} fields, expected are {}: {}'.format(
                    path, reader.line_num, len(fields), len(header), ','.join(header)))
            if fields:
                rows.append((reader.line_num, dict(zip(header, fields))))
    except csv.Error as error:
        raise ValueError('{}: line {}: {}'.format(path, reader.line_num, error)) from None
    return rows


def check_log(folder, names, step, steps_per_epoch, validated, layers, open_steps):
    """Checks that the log of a run is whole up to the checkpoint that it goes on from.

    Args:
      folder: folder of the run.
      names: names of the task's metrics.
      step: step of the checkpoint.
      steps_per_epoch: number of steps in an epoch.
      validated: whether there is a validation split.
      layers: names of the ASH layers.
      open_steps: how many steps of an open interval were saved with the checkpoint.

    Raises:
      ValueError: a row is damaged, missing or doubled. The message names the file, the line or the
        step, and what is right.
    """
    path = os.path.join(folder, METRICS_FILE)
    found = _check_rows(path, metrics_columns(names), step, _check_metrics, 'split')
    trained = [at for at, split in found if split == TRAIN]
    if max(trained, default=0) + open_steps != step:
        raise _missing(path, TRAIN, step - open_steps)
    ends = range(steps_per_epoch, step, steps_per_epoch)
    for split in [TRAIN] + [VALIDATION] * validated:
        for end in ends:
            if (end, split) not in found:
                raise _missing(path, split, end)
    logged = {at for at, _ in found}
    path = os.path.join(folder, ACTIVATIONS_FILE)
    shares = {end: set() for end in ends}
    for at, layer in _check_rows(
            path, ACTIVATIONS, step, lambda row: _check_activations(row, layers), 'layer'):
        if at not in logged:
            raise ValueError('{}: has a row of step {}, of which {} has none'.format(
                path, at, METRICS_FILE))
        shares.setdefault(at, set()).add(layer)
    for end in ends:
        if shares[end] != set(layers):
            raise ValueError('{}: has rows of {} layers at step {}, expected are those of the {} '
                             'layers of the net; {}'.format(
                                 path, len(shares[end]), end, len(layers), _REMEDY))


_REMEDY = 'put it back from a copy, or evaluate and export the run as it is'


def _missing(path, split, step):
    return ValueError('{}: has no row of step {} and split {}, which the run has passed; {}'.format(
        path, step, split, _REMEDY))


def _check_rows(path, columns, step, check, key):
    """The set of (step, value of a column) of the rows of a file up to a step."""
    found, last = set(), 0
    for line, row in _numbered_rows(path, columns):
        try:
            at = _whole(row, 'step')
            check(row)
            if at < last or (at, row[key]) in found:
                raise ValueError('the row of step {} and {} {} is there before, or comes after one '
                                 'of a later step'.format(at, key, _short(row[key])))
        except ValueError as error:
            raise ValueError('{}: line {}: {}'.format(path, line, error)) from None
        last = at
        found.add((at, row[key]))
    return {one for one in found if one[0] <= step}


def _check_metrics(row):
    _number(row, 'epoch', finite=True)
    if row['split'] not in (TRAIN, VALIDATION):
        raise ValueError('split must be {} or {}, got {}'.format(
            TRAIN, VALIDATION, _short(row['split'])))
    for name in row:
        if name not in ('step', 'epoch', 'split') and (
                row[name] or (name, row['split']) == ('learning_rate', TRAIN)):
            _number(row, name)


def _check_activations(row, layers):
    if row['layer'] not in layers:
        raise ValueError('layer must be an ASH layer of the net, got {}'.format(
            _short(row['layer'])))
    for name in ACTIVATIONS[2:]:
        if row[name] or name == 'pass_share':
            _number(row, name)


def _whole(row, name):
    if not re.fullmatch(r'[0-9]{1,18}', row[name]):
        raise ValueError('{} must be a whole number, got {}'.format(name, _short(row[name])))
    return int(row[name])


def _number(row, name, finite=False):
    try:
        if re.fullmatch(r'[-+.a-zA-Z0-9]{1,40}', row[name]) and not (
                finite and not math.isfinite(float(row[name]))):
            return float(row[name])
    except ValueError:
        pass
    raise ValueError('{} must be a number, got {}'.format(name, _short(row[name])))


def _short(text):
    return '{:.80}'.format(repr(text))
