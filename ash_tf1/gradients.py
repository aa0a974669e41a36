"""Gradients of our own for graph ops, registered under fixed names.

tf.custom_gradient keeps a gradient in a Python closure, under a number that counts up in each
process. If a graph is saved and imported by another process, TensorFlow finds no gradient under
that number, or the gradient of another op. Here each gradient has a fixed name and depends only on
its op's inputs and outputs. So every process that imports this package finds it, for any graph.
"""
import collections

import tensorflow.compat.v1 as tf

_EagerOp = collections.namedtuple('_EagerOp', ['inputs'])
_OVERRIDE = '_gradient_op_type'  # the attribute in which TensorFlow keeps an op's own gradient
# Older versions of this package kept the pass shares in this collection, their ops in this scope.
OLD_COLLECTION = 'ash_pass_share'
_OLD_SCOPE = 'pass_share'


def register(name):
    """Decorator that registers a function as the gradient of a name or op type.

    If the name is taken, this module was reloaded or imported by a second path. Then the function
    that was registered first stays. It does the same, since it depends on nothing but its op.
    """
    def decorate(function):
        try:
            tf.RegisterGradient(name)(function)
        except KeyError:
            pass
        return function
    return decorate


class Gradient:
    """A gradient of our own, and the way to attach it to a tensor.

    Args:
      name: fixed name; saved graphs refer to the gradient by it.
      function: function (op, dy, *unused) -> a list with a gradient for each of op.inputs. The
        first input is the tensor that the gradient is attached to, and gets None. The others are
        the inputs that `attach` was given.
    """

    def __init__(self, name, function):
        self.name, self.function = name, register(name)(function)

    def attach(self, y, inputs):
        """Returns y with this gradient, as a function of the inputs.

        A tf.GradientTape that records in a graph ignores gradients of this kind. It differentiates
        the ops that compute y, so these need right gradients too.

        Args:
          y: tensor of any shape.
          inputs: sequence of tensors, of any dtypes.

        Returns:
          A tensor equal to y.
        """
        if tf.executing_eagerly():
            return self._attach_eagerly(y, inputs)
        with tf.get_default_graph().gradient_override_map({'IdentityN': self.name}):
            return tf.identity_n([y, *inputs])[0]

    def _attach_eagerly(self, y, inputs):
        @tf.custom_gradient
        def same(*tensors):
            return tensors[0], lambda dy: self.function(_EagerOp(tensors), dy)
        return same(y, *inputs)


def bears(op, name):
    """Whether an op has the gradient of this name in place of its type's gradient."""
    return override(op) == name


def override(op):
    """The name of the gradient that an op has in place of its type's; None if it has none."""
    try:
        return op.get_attr(_OVERRIDE).decode()
    except ValueError:
        return None


def check_graph(graph=None):
    """Checks that every ASH in a graph has a gradient that can be found.

    Older versions of this package kept some gradients in the process that built the graph. If such
    a graph is imported, TensorFlow finds no gradient for these ops, or a wrong one.

    Args:
      graph: a `tf.Graph`; the default one by default.

    Raises:
      ValueError: the graph was imported from a file that such a version wrote, and holds an ASH in
        that form; the message names the op.
    """
    operations = (graph or tf.get_default_graph()).get_operations()
    old_scopes = set()  # those around an ASH of an old version
    for op in operations:
        parts = op.name.split('/')
        if _OLD_SCOPE in parts[1:]:
            first = parts.index(_OLD_SCOPE, 1)
            old_scopes.update('/'.join(parts[:i]) for i in range(1, first + 1))
    for op in operations:
        # The pass shares had such ops too. Nothing differentiates those.
        if (op.type == 'IdentityN' and (override(op) or '').startswith('CustomGradient-')
                and op.name.rpartition('/')[0] in old_scopes
                and _OLD_SCOPE not in op.name.split('/')):
            raise ValueError(
                'op {!r} was written by an older version of ash_tf1, whose gradient stayed in the '
                'process that wrote it: build the net by its code and restore the checkpoint, '
                'whose variables are the same'.format(op.name))
