"""What TensorFlow knows of the ops in a graph, without importing the graph.

To import a graph may run parts of it: TensorFlow evaluates what a shape depends on, a ReadFile or a
DebugIdentity, which writes, included. So a graph is checked before.
"""
import functools

import tensorflow.compat.v1 as tf


def check_inputs(graph_def):
    """Raises ValueError where a node has more or fewer inputs than its op takes."""
    for node in all_nodes(graph_def):
        definition = of(node.op)
        if definition is None:
            continue
        count = sum(not name.startswith('^') for name in node.input)
        wanted = sum(arity(argument, node) for argument in definition.input_arg)
        if count != wanted:
            raise ValueError('the graph is damaged: {!r} has {} inputs, an op of the type {} takes '
                             '{}'.format(node.name, count, node.op, wanted))


def all_nodes(graph_def):
    """The NodeDefs of a graph and of its functions."""
    return list(graph_def.node) + [node for function in graph_def.library.function
                                   for node in function.node_def]


def node_name(tensor):
    """The name of the node that gives a tensor, or that a control input names."""
    return tensor.lstrip('^').partition(':')[0]


def constant(node):
    """The array of a constant, a NodeDef; raises ValueError, naming it, where it is damaged."""
    try:
        return tf.make_ndarray(node.attr['value'].tensor)
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise ValueError('the graph is damaged: the value of {!r} cannot be read: {}'.format(
            node.name, error)) from None


def first_dtype(node):
    """The DType of a node's first output, or None where its op is not known or has no output."""
    definition = of(node.op)
    if definition is None or not definition.output_arg:
        return None
    argument = definition.output_arg[0]
    if argument.type_list_attr:
        number = next(iter(attribute(node, argument.type_list_attr).list.type), 0)
    else:
        number = argument.type or attribute(node, argument.type_attr).type
    try:
        return tf.as_dtype(number).base_dtype if number else None
    except TypeError:  # a number that stands for none
        return None


@functools.lru_cache(maxsize=None)
def of(op):
    """The OpDef of a type of ops, or None where TensorFlow in Python does not know it."""
    node = tf.NodeDef(name='node', op=op)
    with tf.Graph().as_default():  # whose collections would be exported too
        try:
            meta_graph = tf.train.export_meta_graph(graph_def=tf.GraphDef(node=[node]))
        except ValueError:
            return None
    return next(iter(meta_graph.meta_info_def.stripped_op_list.op), None)


def arity(argument, node):
    """How many tensors an argument of an op's definition stands for."""
    if argument.number_attr:
        return attribute(node, argument.number_attr).i
    if argument.type_list_attr:
        return len(attribute(node, argument.type_list_attr).list.type)
    return 1


def attribute(node, name):
    """An attribute as it is, or an empty one: to read a missing one off a node would make it."""
    return node.attr[name] if name in node.attr else tf.AttrValue()
