"""The words of Python sources, for tests of which package knows what (Python 3.7 and later)."""
import ast
import re


def identifiers(source):
    """Yields the names in a source, and each string that is one word by itself, such as a key."""
    for node in ast.walk(ast.parse(source)):
        for field in ('id', 'attr', 'arg', 'name', 'asname'):
            value = getattr(node, field, None)
            if isinstance(value, str):
                yield value
        text = getattr(node, 'value', getattr(node, 's', None))  # of a string; s in Python 3.7
        if isinstance(text, str) and re.fullmatch(r'\w+', text):
            yield text
