"""The functions in the library of a graph, which nodes call as their op or name as an attribute."""
import tensorflow.compat.v1 as tf

MAX_DEPTH = 32  # TensorFlow recurses over calls, and crashes where they have no end


def with_called(graph_def):
    """The graph with those functions of its library that its nodes call, directly or not.

    Raises:
      ValueError: one calls itself, or the calls are nested too deep; the message names it.
    """
    functions = {function.signature.name: function for function in graph_def.library.function}
    called, level = set(), _names(graph_def.node) & set(functions)
    for _ in range(MAX_DEPTH):
        called |= level
        level = set().union(*(_names(functions[name].node_def) for name in level)) & set(functions)
    if level:
        raise ValueError('the function {!r} calls itself, or is called through more than {} others'
                         .format(min(level), MAX_DEPTH))
    kept = tf.GraphDef(node=graph_def.node, versions=graph_def.versions)
    kept.library.function.extend(functions[name] for name in sorted(called))
    return kept


def _names(nodes):
    """What could be the name of a function in NodeDefs."""
    return {name for node in nodes for name in [node.op] + [
        function.name for value in node.attr.values() for function in [value.func,
                                                                       *value.list.func]]}
