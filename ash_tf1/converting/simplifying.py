"""Removes what constants switch off in a graph: branches not taken, dropout that drops nothing.

Known are tensors of one element that depend on constants alone, such as a placeholder that was set.
"""
import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1.converting import definitions
from ash_tf1.converting.definitions import node_name

_KNOWN = {
    'Switch': lambda x, _: x, 'Identity': lambda x: x, 'Enter': lambda x: x,
    'StopGradient': lambda x: x,
    'Neg': np.negative, 'Reciprocal': np.reciprocal, 'LogicalNot': np.logical_not,
    'Floor': np.floor, 'Sub': np.subtract, 'Mul': np.multiply, 'Add': np.add, 'AddV2': np.add,
    'RealDiv': np.true_divide, 'Div': np.true_divide, 'Maximum': np.maximum,
    'Minimum': np.minimum, 'LogicalAnd': np.logical_and, 'LogicalOr': np.logical_or,
    'Equal': np.equal, 'NotEqual': np.not_equal, 'Greater': np.greater, 'Less': np.less,
    'GreaterEqual': np.greater_equal, 'LessEqual': np.less_equal,
}


def simplify(graph_def):
    """Takes out of a graph what its constants decide.

    A Switch whose predicate is known becomes an Identity, and what it does not take goes. Of a
    condition of control flow v2 it becomes a call of the function that is taken. Dropout of a known
    rate 0 goes, random numbers and all, by the range of random_uniform: [0, 1). What is left of it
    where its shape might be larger than that of its input are ones.

    Args:
      graph_def: a GraphDef; not changed.

    Returns:
      A GraphDef whose tensors have the names they had, with nodes that nothing needs any more.
    """
    known = _known_values(graph_def)
    taken, alive = _taken_branches(graph_def, known)
    dropout, added = _without_dropout(graph_def, known)
    changed = {**taken, **_taken_functions(graph_def, known), **dropout}
    fresh = tf.GraphDef(node=added, versions=graph_def.versions, library=graph_def.library)
    switches = {node.name for node in graph_def.node if node.op == 'Switch'} & set(taken)
    alive.update(node.name for node in added)
    for node in graph_def.node:
        if node.name not in alive:
            continue
        kept = fresh.node.add()
        kept.CopyFrom(changed.get(node.name, node))
        # A Switch that became an Identity has one output; control inputs of what is gone go.
        kept.input[:] = [
            node_name(name) if node_name(name) in switches and name[0] != '^' else name
            for name in kept.input if node_name(name) in alive]
    return fresh


def _known_values(graph_def):
    """name of a tensor -> the one element that it has, an array of any rank."""
    known, consumers = {}, {}
    for node in graph_def.node:
        for name in node.input:
            consumers.setdefault(node_name(name), []).append(node)
    waiting = [node for node in graph_def.node if node.op == 'Const']
    while waiting:
        node = waiting.pop()
        value = None if node.name in known else _value(node, known)
        if value is not None:
            known[node.name] = np.asarray(value)
            if node.op == 'Switch':  # whichever of its outputs runs has its input's value
                known[node.name + ':1'] = known[node.name]
            waiting.extend(consumers.get(node.name, ()))
    return known


def _value(node, known):
    """The one element that a node gives, or None where that is not known."""
    if node.op == 'Const':
        # An empty shape is a scalar; the size is asked for before the array is made.
        tensor = node.attr['value'].tensor
        if tensor.tensor_shape.unknown_rank or any(
                dimension.size != 1 for dimension in tensor.tensor_shape.dim):
            return None
        value = definitions.constant(node)
        return value if value.size == 1 and value.dtype.kind in 'biuf' else None
    inputs = [name for name in node.input if not name.startswith('^')]
    if not inputs or any(name not in known for name in inputs):
        return None
    values = [known[name] for name in inputs]
    with np.errstate(all='ignore'):
        try:
            if node.op == 'Cast':
                return values[0].astype(tf.as_dtype(node.attr['DstT'].type).as_numpy_dtype)
            if node.op in _KNOWN and (node.op != 'Div' or values[0].dtype.kind == 'f'):
                return _KNOWN[node.op](*values)
        except TypeError as error:
            raise ValueError('the graph is damaged: {!r}, of the type {}: {}'.format(
                node.name, node.op, error)) from None
    return None


def _taken_branches(graph_def, known):
    """(changed nodes by name, names of the nodes that run) by the Switches whose way is known."""
    dead, changed = set(), {}
    for node in graph_def.node:
        if node.op == 'Switch' and node.input[1] in known:
            taken = bool(known[node.input[1]])
            dead.update([node.name, node.name + ':0'] if taken else [node.name + ':1'])
            changed[node.name] = _identity(node, node.input[0])
    if not changed:
        return {}, {node.name for node in graph_def.node}
    alive, before = set(), -1

    def runs(name):
        return name not in dead and node_name(name) in alive

    # Forward from the nodes without inputs, so that a loop in a branch not taken never begins.
    while len(alive) > before:
        before = len(alive)
        for node in graph_def.node:
            running = [name for name in node.input if runs(name)]
            if len(running) == len(node.input) or node.op == 'Merge' and running:
                alive.add(node.name)
    for node in graph_def.node:
        read = [name for name in node.input if name[0] != '^']
        running = [name for name in read if runs(name)]
        if node.op == 'Merge' and node.name in alive and len(running) < len(read):
            changed[node.name] = _merge(node, running)
    return changed, alive


def _taken_functions(graph_def, known):
    """Changed nodes by name: calls, of those that choose a function by what is known."""
    changed = {}
    for node in graph_def.node:
        if node.op not in ('If', 'StatelessIf', 'Case') or not node.input:
            continue
        chosen_by = known.get(node.input[0])
        if chosen_by is None or chosen_by.ndim:
            continue
        if node.op == 'Case':
            branches = node.attr['branches'].list.func
            taken = branches[int(chosen_by) if 0 <= chosen_by < len(branches) else -1]
        else:
            taken = node.attr['then_branch' if chosen_by else 'else_branch'].func
        call = tf.NodeDef(name=node.name, op='PartitionedCall', input=node.input[1:])
        call.attr['f'].func.CopyFrom(taken)
        for key in ('Tin', 'Tout'):
            call.attr[key].CopyFrom(node.attr[key])
        changed[node.name] = call
    return changed


def _merge(node, running):
    """A Merge of those of its inputs that run."""
    if len(running) == 1:
        return _identity(node, running[0])
    merge = tf.NodeDef()
    merge.CopyFrom(node)
    merge.input[:] = running
    merge.attr['N'].i = len(running)
    return merge


def _identity(node, tensor):
    identity = tf.NodeDef(name=node.name, op='Identity', input=[tensor])
    identity.attr['T'].type = node.attr['T'].type
    return identity


def _without_dropout(graph_def, known):
    """Products with what is known to be 1 everywhere, and those ones themselves.

    Returns:
      (changed nodes by name, nodes that these need beside them).
    """
    # By name: (low, high, the node that draws) of random numbers; that node, of ones made of them.
    ranges, ones, changed, added = {}, {}, {}, []
    nodes = {node.name: node for node in graph_def.node}
    scalars = {name for name, value in known.items() if not value.ndim}
    going = True
    while going:
        before = len(ranges) + len(ones) + len(changed)
        for node in graph_def.node:
            inputs = [name for name in node.input if not name.startswith('^')]
            if node.op == 'RandomUniform':
                ranges[node.name] = 0.0, 1.0, node
            elif node.op == 'Identity' and inputs[0] in ranges:
                ranges[node.name] = ranges[inputs[0]]
            elif len(inputs) == 2 and node.op in ('Mul', 'Add', 'AddV2', 'Sub'):
                _move_range(node, inputs, ranges, {name: known[name] for name in scalars})
            if (node.op in ('GreaterEqual', 'Floor') and inputs[0] in ranges
                    and node.name not in ones and _gives_ones(node, inputs, ranges, known)):
                ones[node.name] = ranges[inputs[0]][2]
                changed[node.name], value = _fill(node, ones[node.name])
                added.append(value)
            elif node.op in ('Cast', 'Identity') and inputs[0] in ones:
                ones[node.name] = ones[inputs[0]]
            elif node.op in ('Mul', 'RealDiv', 'Div') and node.name not in known:
                one = [name for name in inputs if name in ones or name in scalars
                       and known[name] == 1.0]
                kept = [name for name in inputs if name not in one]
                if len(one) == 1 and (node.op == 'Mul' or one[0] == inputs[1]) and (
                        one[0] in scalars or _is_shape_of(ones[one[0]].input[0], kept[0], nodes,
                                                      scalars)):
                    changed[node.name] = _identity(node, kept[0])
        going = len(ranges) + len(ones) + len(changed) > before
    return changed, added


def _gives_ones(node, inputs, ranges, known):
    """Whether a comparison or a floor of random numbers is 1, or true, for all of their range."""
    low, high, _ = ranges[inputs[0]]
    if node.op == 'Floor':
        return (np.floor(low), np.ceil(high)) == (1, 2)
    return inputs[1] in known and not known[inputs[1]].ndim and low >= known[inputs[1]]


def _fill(node, drawing):
    """(a node that gives ones as many as are drawn in place of another, the one that it needs)."""
    dtype = tf.bool if node.op == 'GreaterEqual' else tf.as_dtype(node.attr['T'].type)
    shape = drawing.input[0]
    # A constant in a loop must wait for something of the loop's.
    value = tf.NodeDef(name=node.name + '/one', op='Const', input=['^' + node_name(shape)])
    value.attr['dtype'].type = dtype.as_datatype_enum
    value.attr['value'].tensor.CopyFrom(
        tf.make_tensor_proto(np.ones([], dtype.as_numpy_dtype)))
    fill = tf.NodeDef(name=node.name, op='Fill', input=[shape, value.name])
    fill.attr['T'].type = dtype.as_datatype_enum
    fill.attr['index_type'].type = drawing.attr['T'].type or tf.int32.as_datatype_enum
    return fill, value


def _is_shape_of(shape, tensor, nodes, scalars):
    """Whether a tensor is the shape of another, or of what has the same one."""
    def source(name):
        while node_name(name) in nodes:
            node = nodes[node_name(name)]
            inputs = [one for one in node.input if not one.startswith('^')]
            rest = [one for one in inputs if one not in scalars]
            if node.op != 'Identity' and not (
                    node.op in ('Mul', 'RealDiv', 'Div') and len(inputs) == 2 and len(rest) == 1):
                return name
            name = rest[0] if rest else inputs[0]
        return name

    asked = nodes.get(node_name(shape))
    return asked is not None and asked.op == 'Shape' and source(asked.input[0]) == source(tensor)


def _move_range(node, inputs, ranges, known):
    """The range of a sum or product of random numbers and a known element."""
    random, other = (inputs if inputs[0] in ranges else inputs[::-1])
    if random not in ranges or other not in known or node.op == 'Sub' and random != inputs[0]:
        return
    change = {'Mul': np.multiply, 'Sub': np.subtract}.get(node.op, np.add)
    if node.op != 'Mul' or known[other] > 0:
        low, high, drawing = ranges[random]
        ranges[node.name] = (float(change(low, known[other])), float(change(high, known[other])),
                             drawing)
