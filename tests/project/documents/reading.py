"""The commands that a document shows: those of its indented blocks, as they stand."""
import re
import shlex
from typing import NamedTuple

START = re.compile(r'(\$\w+|\.venv/\S+|\./\w+|python3?|make|docker|mkdir|export|nvidia-smi|pipx|'
                   r'pip|cat|kubectl|g\+\+)\s|\w+=\S')
# Lines that begin a list item or a table, whose continuation is indented too.
ITEM = re.compile(r'\s*([-*|]|\d+\.)\s')


class Command(NamedTuple):
    """A command of a document."""

    document: str  # path from the top of the checkout
    line: int      # number of its first line
    text: str      # with what continues it, each on a line of its own

    @property
    def words(self):
        """The words as the shell has them, without a comment; variables stay as they are."""
        return shlex.split(self.text.replace('\\\n', ' '), comments=True)


def read_commands(root, document):
    """The `Command`s of a document.

    A block of indented lines is one of commands if its first line is. All lines of it then have to
    be commands or comments.

    Raises:
      AssertionError: a line of such a block is neither.
    """
    found = []
    for block in _blocks((root / document).read_text(encoding='utf-8')):
        if not START.match(block[0][1]) and not block[0][1].startswith('# '):
            continue
        lines = iter(block)
        for number, text in lines:
            while text.endswith('\\'):
                text += '\n' + next(lines)[1]
            if START.match(text):
                found.append(Command(document, number, text))
            elif START.match(block[0][1]):
                assert text.startswith('#'), f'{document}, line {number}: no command: {text}'
    return found


def _blocks(text):
    """Lists of (number, line without indentation): indented lines outside of fences and items."""
    blocks, block, fenced, inside_item = [], [], False, False
    for number, line in enumerate(text.split('\n'), 1):
        if line.lstrip().startswith('```'):
            fenced = not fenced
        if line.startswith('    ') and not fenced and not inside_item:
            block.append((number, line[4:].rstrip()))
            continue
        if line and not line.startswith(' '):
            inside_item = bool(ITEM.match(line))
        elif not line:
            inside_item = False
        if block:
            blocks.append(block)
            block = []
    return blocks + ([block] if block else [])
