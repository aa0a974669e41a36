"""Reads the labels, which are the names of a net's classes."""
from ash_tf1.reading import read_text


def read_labels(path):
    """Reads labels, one per line, in the order of the classes. Labels may repeat.

    Args:
      path: path of a text file in UTF-8. Spaces around a label and empty lines at the end are
        ignored.

    Returns:
      A tuple of strings.

    Raises:
      ValueError: the file cannot be read as text, or a line is empty or not printable.
    """
    try:
        labels = tuple(line.strip() for line in read_text(path).rstrip().splitlines())
    except (OSError, ValueError) as error:
        raise ValueError('{} cannot be read as labels, one a line: {}'.format(
            path, error)) from None
    if not labels:
        raise ValueError('{} holds no labels'.format(path))
    for number, label in enumerate(labels, 1):
        # Labels are printed to terminals and drawn into pictures, where control characters do harm.
        if not label or not label.isprintable():
            raise ValueError('{}, line {}: {!r} is no label'.format(path, number, label))
    return labels
