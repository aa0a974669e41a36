"""Rules that give the variables of an old checkpoint their new names.

A rules file is plain text with one rule a line. `#` begins a comment.

    rename OLD_NAME NEW_NAME    renames the variable of exactly this name
    regex PATTERN TEMPLATE      renames where the whole name matches; \\1 to \\9 are the groups
    drop PATTERN                leaves out variables whose whole name matches

The first rule that matches a name decides. The ready rules are the .txt files beside this module.
"""
import collections
import os
import re

from ash_tf1.reading import read_text

_FIELDS = {'rename': ('OLD_NAME', 'NEW_NAME'), 'regex': ('PATTERN', 'TEMPLATE'),
           'drop': ('PATTERN',)}
_ENDING = '.txt'
_COMMENT = re.compile(r'(\A|\s)#.*')
_ESCAPE = re.compile(r'\\(.?)')
_VARIABLE_NAME = re.compile(r'[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*\Z')  # TensorFlow's own limit

Rule = collections.namedtuple('Rule', ['pattern', 'template', 'origin'])
Rule.__doc__ += """: a compiled pattern; a template of the new name, or None to drop the variable;
and for messages the origin: file, line number and text."""


def ready_rules():
    """The names of the ready rules, sorted."""
    return sorted(name[:-len(_ENDING)] for name in os.listdir(os.path.dirname(__file__))
                  if name.endswith(_ENDING))


def read_rules(source):
    """Reads a file of rules.

    Args:
      source: the name of ready rules, or the path of a rules file.

    Returns:
      A list of `Rule`, in the file's order.

    Raises:
      ValueError: there is no such file, it is not text, or a line is not a rule. The message names
        the file, the number of the line, and the line.
    """
    path = source
    if source in ready_rules():
        path = os.path.join(os.path.dirname(__file__), source + _ENDING)
    elif not os.path.exists(path):
        raise ValueError('no rules {!r}: neither a file nor one of the ready ones: {}'.format(
            source, ', '.join(ready_rules())))
    try:
        lines = read_text(path).splitlines()
    except ValueError as error:
        raise ValueError('{} is no rules file: {}'.format(path, error)) from None
    rules = []
    for number, line in enumerate(lines, 1):
        words = _COMMENT.sub('', line).split()
        if words:
            try:
                rules.append(_parse(words, '{}, line {}: {}'.format(path, number, line.strip())))
            except (ValueError, re.error) as error:
                raise ValueError('{}, line {}: {}: {}'.format(
                    path, number, error, line.strip())) from None
    return rules


def _parse(words, origin):
    word, *fields = words
    if word not in _FIELDS:
        raise ValueError('unknown word {!r}, known are {}'.format(word, ', '.join(_FIELDS)))
    if len(fields) != len(_FIELDS[word]):
        raise ValueError('{} takes {}, got {} fields'.format(
            word, ' '.join(_FIELDS[word]), len(fields)))
    pattern = re.compile(re.escape(fields[0]) if word == 'rename' else fields[0])
    template = fields[1] if len(fields) > 1 else None
    for escaped in _ESCAPE.findall(template or ''):
        if word == 'rename' or escaped not in list('123456789'):
            raise ValueError('{!r} is no reference to a group'.format('\\' + escaped))
        if int(escaped) > pattern.groups:
            raise ValueError('there is no group \\{}: the pattern has {} groups'.format(
                escaped, pattern.groups))
    return Rule(pattern, template, origin)


def apply_rules(rules, name):
    """Finds the first rule that matches a variable's name, and applies it.

    Args:
      rules: sequence of `Rule`.
      name: name of a variable.

    Returns:
      (rule, new name). If no rule matches, they are None and the old name. If the rule drops the
      variable, the new name is None.

    Raises:
      ValueError: a variable cannot have the new name.
    """
    for rule in rules:
        match = rule.pattern.fullmatch(name)
        if match and rule.template is None:
            return rule, None
        if match:
            new = _ESCAPE.sub(lambda found: match.group(int(found.group(1))) or '',  # noqa: B023
                              rule.template)
            if not _VARIABLE_NAME.match(new):
                raise ValueError('{} becomes {!r}, which is no name for a variable ({})'.format(
                    name, new, rule.origin))
            return rule, new
    return None, name
