"""Where a case is made: a folder of its own, and the graphs that it may begin from."""
import os
import shutil

import tensorflow.compat.v1 as tf

META, SAVED = 'net.ckpt.meta', 'saved/saved_model.pb'
CASES, MESSAGES = {}, {}


class Workplace:
    """The folder that a case is made in, and the graphs that it may begin from.

    Attributes:
      bases: folder that `bases.make` filled.
      folder: the case's own.
      precious: path of a file that must stay as it is.
    """

    def __init__(self, bases, folder):
        self.bases, self.folder = bases, folder
        self.precious = os.path.join(folder, 'other', 'precious.txt')

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, content, name='graph.pb'):
        """Writes bytes or a message to a file, and returns its path."""
        if not isinstance(content, bytes):
            content = content.SerializeToString()
        with open(self.path(name), 'wb') as handle:
            handle.write(content)
        return self.path(name)

    def read(self, name, message=None):
        with open(self.path(name), 'rb') as handle:
            return message.FromString(handle.read()) if message else handle.read()

    def base(self, name):
        """The GraphDef of a frozen graph."""
        with open(os.path.join(self.bases, name + '.pb'), 'rb') as handle:
            return tf.GraphDef.FromString(handle.read())

    def copy(self, name):
        """Copies the MetaGraph with its checkpoint, or the SavedModel, and returns its path."""
        if name == 'saved':
            return shutil.copytree(os.path.join(self.bases, name), self.path(name))
        for file in os.listdir(os.path.join(self.bases, 'meta')):
            shutil.copy(os.path.join(self.bases, 'meta', file), self.path(file))
        return self.path('net.ckpt')


def case(name, message=''):
    """Registers a function of a `Workplace` that gives the arguments of tools/convert.py.

    The source is the first. `message` is a pattern of what the tool must say; '' where the graph
    may also convert.
    """
    def register(function):
        CASES[name], MESSAGES[name] = function, message
        return function
    return register


def node(graph_def, op):
    """The first node of a type."""
    return next(node for node in graph_def.node if node.op == op)
