"""How this process was started, so that messages name commands to paste."""
import os
import shlex
import sys


def to_paste(command, *arguments):
    """A line that runs a command of this project, as a user can paste it into a shell.

    It is written as the running command was started: as a script of tools/, as an installed
    command, or by `python -m ash_tf1`, which a program of another name gets too.

    Args:
      command: name of a module of `ash_tf1.commands`, such as 'train'.
      *arguments: strings.
    """
    folder, program = os.path.split(sys.argv[0] if sys.argv else '')
    if program.startswith('ash-'):
        start = [os.path.join(folder, 'ash-' + command.replace('_', '-'))]
    elif os.path.isfile(os.path.join(folder, '_train_side.py')):
        start = ['python', os.path.join(folder, command + '.py')]
    else:
        start = ['python', '-m', 'ash_tf1', command.replace('_', '-')]
    return ' '.join(map(shlex.quote, start + list(arguments)))
