"""What `train.py` prints about settings and about a run that has ended."""
import dataclasses
import json
import os
import textwrap

from ash_distribution.parser import shown
from ash_tf1.checkpoint import find_checkpoint
from ash_tf1.tasks.base import finite
from ash_tf1.training import checkpoints
from ash_tf1.training.log_reading import METRICS_FILE, TRAIN, VALIDATION, read_rows
from ash_tf1.training.settings import Settings

WIDTH = 80


def settings_as_text(settings, base, given):
    """A table of all settings: name, value, and where it is from if it is no default.

    Args:
      settings: the `Settings`.
      base: the `Settings` of the recipe or run.
      given: dict of those that options gave.
    """
    default = Settings()
    rows = []
    for field in dataclasses.fields(settings):
        source = ('option' if field.name in given else
                  'recipe' if getattr(base, field.name) != getattr(default, field.name) else '')
        rows.append((field.name, _in_words(getattr(settings, field.name)), source))
    name_width = max(len(name) for name, _, _ in rows)
    value_width = WIDTH - name_width - len('  ') - len('  option')
    lines = []
    for name, value, source in rows:
        first, *rest = textwrap.wrap(value, value_width, break_long_words=False,
                                     break_on_hyphens=False) or ['']
        lines.append('{:<{}}  {:<{}}  {}'.format(name, name_width, first, value_width, source))
        lines += [' ' * (name_width + 2) + line for line in rest]
    return '\n'.join(line.rstrip() for line in lines)


def _in_words(value):
    if isinstance(value, tuple):
        return ' '.join(map(_in_words, value)) or '-'
    if isinstance(value, float):
        return '{:.6g}'.format(value)
    return {'': '-', True: 'yes', False: 'no'}.get(value, shown(value)) if isinstance(
        value, (str, bool)) else str(value)


def settings_as_json(settings):
    """All settings as a recipe file holds them."""
    return json.dumps(dataclasses.asdict(settings), indent=2)


def figures(run_dir, result):
    """The figures of a run that has ended, as a dict for JSON.

    Args:
      run_dir: its folder.
      result: the `training.Result`.

    Returns:
      Dict of `run_dir`, `step`, `total_steps`, `signal` and `learning_curve`, of the prefixes of
      the latest and the best checkpoint (`checkpoint`, `best`; None if there is none), and of the
      last rows of the log: `train`, `validation` and, at the best checkpoint, `best_validation`.
    """
    rows = read_rows(os.path.join(run_dir, METRICS_FILE))
    by_split = {split: [_numbers(row) for row in rows if row['split'] == split]
                for split in (TRAIN, VALIDATION)}
    best = os.path.join(run_dir, checkpoints.BEST_FOLDER)
    best = find_checkpoint(best) if os.path.isdir(best) else None
    at_best = [row for row in by_split[VALIDATION]
               if best and row['step'] == checkpoints.step_of(best)]
    return dict(
        run_dir=run_dir, step=result.step, total_steps=result.total_steps, signal=result.signal,
        learning_curve=result.curve, checkpoint=find_checkpoint(run_dir), best=best,
        train=_last(by_split[TRAIN]), validation=_last(by_split[VALIDATION]),
        best_validation=_last(at_best))


def of_latest(run_dir, checkpoint):
    """A line for the user where the latest checkpoint of a run was taken and is not the best one.

    Args:
      run_dir: its folder.
      checkpoint: what the user gave for --checkpoint, or None.

    Returns:
      The line; None where there is nothing to say.
    """
    best = None if checkpoint else checkpoints.best_of(run_dir)
    if best is None:
        return None
    latest = checkpoints.step_of(find_checkpoint(run_dir))
    return None if best == latest else (
        'this is the latest checkpoint; that of step {} is the best one on the validation split: '
        '--checkpoint {}'.format(best, checkpoints.BEST_FOLDER))


def _last(rows):
    return rows[-1] if rows else None


def _numbers(row):
    """A row of the log with numbers in place of strings, without the empty columns."""
    return {name: int(value) if name == 'step' else finite(float(value))
            for name, value in row.items() if value and name != 'split'}
