"""Hostile command lines of the TensorFlow side: each option of a command with odd values."""
import argparse
import os
import shutil
from pathlib import Path

from ash_tf1.commands import (
    convert,
    evaluate,
    export_onnx,
    import_checkpoint,
    save_images,
    summarize,
    train,
)
from tests.hostile import mutations
from tests.hostile.graph_cases import sources
from tests.hostile.judging import Case, made
from tests.hostile.log_cases import command, finished_run
from tests.hostile.old_checkpoint_cases import originals

TINY = ['--net', 'tiny', '--activation', 'relu']
# What a command is given beside the odd options; {} is the folder. In it are run/, the checkpoints
# one/input and two/input, frozen.pb, rules, labels, pipe and precious.txt.
PLAIN = {
    train: ['--run-dir', '{}/out', '--dataset', 'tiny', *TINY, '--batch-size', '8', '--quiet'],
    evaluate: ['{}/run', '--quiet'], export_onnx: ['{}/run', '{}/out'],
    convert: ['{}/frozen.pb', '{}/out'],
    import_checkpoint: ['{}/one/input', '{}/out/new', '--map', '{}/rules'],
    summarize: ['tiny'], save_images: ['tiny', '{}/out']}
# After the odd ones, which would otherwise take hours.
LAST = {train: ['--epochs', '0', '--steps', '1']}
NUMBERS = {int: ('-1', '0', '1', '2', '3', '8', '13', '100', '100000000', '2147483648', '9' * 25),
           float: ('-1', '0', '0.5', '1', '2', '1e-9', '1e30', '1e308', 'nan', 'inf', '-inf')}
VALUES = ('', '0', '-1', '1', '0.5', 'x', 'nan', '9' * 25, '../x', '/nowhere/x', '/dev/zero', '{}',
          '{}/pipe', '{}/precious.txt', '{}/run', '{}/one/input', '{}/two', '{}/frozen.pb',
          '{}/out', '{}/labels', 'ü', '\udcff', 'a' * 5000, '[', '*', '=', 'a=b', 'dropout_rate=2',
          'tiny', 'digits', 'folder', 'ash', 'relu', 'true', 'vgg', '-', '--', 'best', 'test',
          'mean=1', 'scale=0', 'y', 'x:?,8,8,3', 'x=1', '/')


# Of these, those that name something new in the current folder, if they stand for an output.
NEW = tuple(value for value in VALUES if value and '/' not in value and '{}' not in value)


class _FoundError(Exception):
    """A parser that a command was about to parse arguments with."""


def _parser(module):
    kept = module.run

    def found(parser, function, argv):
        raise _FoundError(parser)
    module.run = found
    try:
        module.main([])
    except _FoundError as one:
        return one.args[0]
    finally:
        module.run = kept


def _option(parser, rng):
    """An option and what it may be given: too few values, as many as it takes, or too many."""
    action = mutations.pick([one for one in parser._actions if one.option_strings and
                             not isinstance(one, argparse._HelpAction)], rng)
    most = 0 if action.nargs == 0 else action.nargs if isinstance(action.nargs, int) else 1
    count = max(0, most + int(rng.choice([-1, 1]) if rng.randint(16) == 0 else 0))
    likely = NUMBERS.get(action.type) or list(action.choices or ()) or VALUES
    return [action.option_strings[-1]] + [
        str(mutations.pick(VALUES if rng.randint(12) == 0 else likely, rng)) for _ in range(count)]


def arguments(module):
    def case(number):
        def make(folder, rng):
            home = Path(folder)
            for name, made_by in (('run', finished_run), ('one', originals), ('two', originals)):
                shutil.copytree(os.path.join(made(made_by), name), folder + '/' + name)
            shutil.copy(os.path.join(made(sources), 'published.pb'), folder + '/frozen.pb')
            (home / 'rules').write_text('regex (.*) new/\\1\n')
            (home / 'labels').write_text('a\nb\nc\n')
            os.mkfifo(folder + '/pipe')
            parser = _parser(module)
            plain, odd = list(PLAIN[module]), []
            if rng.randint(8) == 0:
                plain[rng.randint(len(plain))] = mutations.pick(VALUES, rng)
            for _ in range(rng.randint(1, 3)):
                odd += _option(parser, rng)
            argv = plain + odd + LAST.get(module, [])
            return [word.replace('{}', folder) for word in argv], None
        name = module.__name__.rpartition('.')[2]
        return Case('arguments of ' + name, number, make, command(module.main), names=('',),
                    writes=('out',) + NEW, leaves=('out',) if module is train else ())
    return case


MAKERS = [(arguments(module), 40) for module in PLAIN]
