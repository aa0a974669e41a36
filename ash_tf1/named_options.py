"""Options of a net or a data set that a user gives as text, such as `dropout_rate=0.3`."""
_PARSERS = {bool: {'true': True, 'false': False}.__getitem__, int: int, float: float, str: str}


def settable(parameters):
    """Those of some parameters that text can set: a dict, name -> default value.

    Args:
      parameters: `inspect.Parameter`s, or others with a `name` and a `default`.
    """
    return {p.name: p.default for p in parameters if type(p.default) in _PARSERS}


def parse(owner, known, options):
    """Parses options.

    Args:
      owner: name of what has the options, for messages.
      known: dict, name -> default value, which is a bool, int, float or str.
      options: sequence of strings `NAME=VALUE`.

    Returns:
      A dict, name -> value of the default's type, of the given options.

    Raises:
      ValueError: an option is unknown, or its value is of another type; the message lists the known
        options.
    """
    values = {}
    for option in options:
        key, equals, text = option.partition('=')
        if not equals or key not in known:
            raise ValueError('unknown option {!r} of {}; {}'.format(
                option, owner, 'it has none' if not known else 'known are ' + ', '.join(
                    '{}={}'.format(*item) for item in known.items())))
        try:
            values[key] = _PARSERS[type(known[key])](text)
        except (KeyError, ValueError):
            raise ValueError('option {!r} of {} needs a {}'.format(
                option, owner, type(known[key]).__name__)) from None
    return values
