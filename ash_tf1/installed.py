"""Plugins that installed distributions offer, by entry points of the group `ash_tf1.plugins`."""
import importlib.util
from typing import NamedTuple

try:
    from importlib import metadata
except ImportError:  # Python 3.7
    import importlib_metadata as metadata

GROUP = 'ash_tf1.plugins'


class EntryPoint(NamedTuple):
    """What a distribution says about its plugin."""

    name: str
    module: str        # is imported to register the parts
    distribution: str  # that brings it
    version: str       # of the distribution


def entry_points():
    """The `EntryPoint`s of all distributions, by name; the first one found of each name."""
    found = {}
    for distribution in metadata.distributions():
        for point in distribution.entry_points:
            if point.group == GROUP and point.name not in found:
                found[point.name] = EntryPoint(
                    point.name, point.value.partition(':')[0].strip(),
                    distribution.metadata['Name'], distribution.version)
    return found


def path_of(point):
    """The path of the file of an entry point's module.

    Raises:
      ValueError: there is no such module, or it is no Python file.
    """
    try:
        spec = importlib.util.find_spec(point.module)
    except ImportError:
        spec = None
    if spec is None or not (spec.origin or '').endswith('.py'):
        raise ValueError('plugin {} of {} {}: there is no Python file of the module {}'.format(
            point.name, point.distribution, point.version, point.module))
    return spec.origin
