"""Puts sets with a fixed order into a package whose results depend on the order of its sets."""
import collections.abc
import contextlib
import sys


class OrderedSet(collections.abc.MutableSet):
    """A set that iterates, and pops, in the order in which its elements were added."""

    def __init__(self, elements=()):
        self._elements = dict.fromkeys(elements)

    def __contains__(self, element):
        return element in self._elements

    def __iter__(self):
        return iter(self._elements)

    def __len__(self):
        return len(self._elements)

    def add(self, element):
        self._elements[element] = None

    def discard(self, element):
        self._elements.pop(element, None)

    # The methods that `set` has beside its operators, as far as they are called.
    def update(self, other):
        self |= other

    def union(self, other):
        return self | other

    def intersection(self, other):
        return self & other

    def issubset(self, other):
        return self <= other


@contextlib.contextmanager
def inside(package):
    """Makes a package's modules build ordered sets wherever they call `set`.

    A `set` iterates by the hashes of its elements: those of strings differ between processes
    (PYTHONHASHSEED), those of most other objects are their addresses.

    Args:
      package: the name of a package; its modules that are imported by now are meant.
    """
    modules = [module for name, module in list(sys.modules.items())
               if name.partition('.')[0] == package]
    for module in modules:
        module.set = OrderedSet
    try:
        yield
    finally:
        for module in modules:
            del module.set
