"""The parser of a command's arguments: its help has examples, and its messages are safe to show."""
import argparse
import re
import textwrap

from ash_distribution.commands import to_paste

WIDTH = 80
SHELLS = ('bash', 'zsh', 'tcsh')
# What is completed for a value, by its name in the help or in the parsed arguments.
_FOLDERS = ('DIR', 'RUN_DIR', 'OUT_DIR', 'CHECKPOINT_DIR', 'artifact', 'out', 'image_dir')
_FILES = ('PATH', 'FILE', 'FILE|NAME', 'SOURCE', 'OLD', 'NEW', 'RULES', 'image', 'data_dir',
          'init_from')


def shown(text):
    """Text for a terminal: what is not printable, as in a file's name, is escaped."""
    return ''.join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in str(text))


class Parser(argparse.ArgumentParser):
    """An argument parser whose help ends with the commonest uses of the command.

    Its messages show no control characters of what it was given. `--print-completion` prints a
    script that completes the installed command in a shell. Values can be completed by names: the
    action's attribute `names` has them.

    Args:
      command: name of the command, as in `commands.Side`.
      description: text; an empty line begins another paragraph. A paragraph with an indented line
        is shown as it stands.
      examples: a string for each of the commonest uses, the arguments of the command.
      notes: text like the description, below the examples.
    """

    def __init__(self, command, description, examples, notes=''):
        super().__init__(description=description, formatter_class=_Formatter,
                         epilog=_in_words(command, examples) + ('\n\n' + notes if notes else ''))
        self.command = command
        self.add_argument('--print-completion', action=_PrintCompletion, choices=SHELLS,
                          metavar='SHELL', default=argparse.SUPPRESS,
                          help='print a script that completes ash-{} in {}'.format(
                              command, ', '.join(SHELLS)))

    def error(self, message):
        super().error(shown(message))

    def format_usage(self):
        self.usage = self._short_usage()
        return super().format_usage()

    def format_help(self):
        self.usage = self._short_usage()
        return super().format_help()

    def _short_usage(self):
        """The usage without the options, which the help lists below."""
        parts = ['%(prog)s', '[options]']
        parts += ['({})'.format(' | '.join(action.option_strings[0]
                                           for action in group._group_actions))
                  for group in self._mutually_exclusive_groups if group.required]
        for action in self._actions:
            if not action.option_strings:
                name = action.metavar or action.dest
                parts.append({'?': '[{}]', '+': '{0} [{0} ...]'}.get(action.nargs, '{}').format(
                    name))
        return ' '.join(parts)


def _in_words(command, examples):
    lines = ['examples:']
    for arguments in examples:
        # An option and its first value stay on one line.
        arguments = re.sub(r'(?<!\S)(--\S+) (?!-)', '\\1\0', arguments)
        parts = textwrap.wrap('{} {}'.format(to_paste(command), arguments), WIDTH - 2,
                              initial_indent='  ', subsequent_indent='      ',
                              break_long_words=False, break_on_hyphens=False)
        lines.append(' \\\n'.join(parts).replace('\0', ' '))
    return '\n'.join(lines)


class _Formatter(argparse.HelpFormatter):
    """Fills paragraphs, but shows one with an indented line as it stands."""

    def _fill_text(self, text, width, indent):
        return '\n\n'.join(
            paragraph if re.search('^  ', paragraph, re.MULTILINE) else
            super(_Formatter, self)._fill_text(paragraph, width, indent)
            for paragraph in text.strip().split('\n\n'))


class _PrintCompletion(argparse.Action):
    """Prints the script by shtab. That reads the parser now, so that TAB need not start Python."""

    def __call__(self, parser, namespace, shell, option_string=None):
        try:
            import shtab
        except ImportError:
            parser.error('--print-completion needs the package shtab: python -m pip install shtab')
        parser.prog = 'ash-' + parser.command
        for action in parser._actions:
            if getattr(action, 'names', None):
                action.choices = list(action.names)
            elif action.metavar in _FOLDERS or action.dest in _FOLDERS:
                action.complete = shtab.DIRECTORY
            elif action.metavar in _FILES or action.dest in _FILES:
                action.complete = shtab.FILE
        print(shtab.complete(parser, shell))
        parser.exit()
