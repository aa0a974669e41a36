"""Dataclasses from JSON, whose values are of the very types that the fields have."""
import sys
import typing

_TITLES = {bool: 'true or false', int: 'an integer', float: 'a number', str: 'a text'}


def make_record(record_type, values):
    """A dataclass from a dict of JSON values.

    Args:
      record_type: the dataclass. Fields of bool, int, float, str and tuples of these are checked.
      values: the fields' values by name; a list stands for a tuple.

    Raises:
      ValueError: the values are no dict, name a field that is not there, lack one, or one is of
        another type; or what the dataclass raises.
    """
    if not isinstance(values, dict):
        raise ValueError('it must be a JSON object, got {:.80}'.format(repr(values)))
    values = {name: tuple(value) if isinstance(value, list) else value
              for name, value in values.items()}
    hints = typing.get_type_hints(record_type)
    for name, value in values.items():
        if name in hints and not _is_of(value, hints[name]):
            raise ValueError('{} must be {}, got {:.80}'.format(
                name, _title(hints[name]), repr(value)))
    try:
        return record_type(**values)
    except TypeError as error:  # an argument that is missing, or one too many
        raise ValueError(str(error).replace('__init__() ', '')) from None


def _is_of(value, hint):
    if hint is float:  # a bool is an int, and an int of JSON may be larger than any float
        return type(value) is float or type(value) is int and abs(value) <= sys.float_info.max
    if hint is int:
        return type(value) is int and abs(value) < 2 ** 63
    if hint in _TITLES:
        return type(value) is hint
    kinds = _elements(hint)
    if kinds is None:
        return True
    if not isinstance(value, tuple):
        return False
    if Ellipsis in kinds:
        return all(_is_of(item, kinds[0]) for item in value)
    return len(value) == len(kinds) and all(map(_is_of, value, kinds))


def _elements(hint):
    return getattr(hint, '__args__', None) if getattr(hint, '__origin__', None) is tuple else None


def _title(hint):
    if hint in _TITLES:
        return _TITLES[hint]
    kinds = _elements(hint)
    if Ellipsis in kinds:
        return 'a list, each of it ' + _TITLES.get(kinds[0], str(kinds[0]))
    return 'a list of {}, each of it {}'.format(len(kinds), _TITLES.get(kinds[0], str(kinds[0])))
