"""Seeded mutations of what TensorFlow 1 left: of graphs, of their bytes, of checkpoints.

Each is a function (thing, rng) that changes a GraphDef or gives other bytes, for hostile_graphs.py.
"""
import tensorflow.compat.v1 as tf

ODD_NAMES = ['', '/', '../x', 'a\nb', 'a\x00b', 'naïve ☃', '^x', 'x:0', '_x', 'a' * 70000,
             '\x1b[31m']
ODD_OPS = ['Nonsense', '', 'PyFunc', 'ReadFile', 'VariableV2', 'RandomUniform', 'Neg', 'Add',
           'Const', 'Placeholder', 'NoOp', 'Switch', 'IdentityN', 'AshForward', 'While',
           'QueueDequeueV2', 'Mean', 'TensorArrayV3', 'Exit', 'Enter', 'HashTableV2', 'StringJoin',
           'ParseExample', '../x\n']
ODD_NUMBERS = [-2 ** 63, -2 ** 31, -2, -1, 0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 40, 2 ** 63 - 1]
ODD_FLOATS = [float('nan'), float('inf'), -1.0, 0.0, 1e308]
ODD_TYPES = [0, 1, 2, 3, 7, 9, 10, 14, 19, 20, 21, 101, 103, 999]


def _pick(rng, things):
    return things[rng.randint(len(things))]


def _node(graph_def, rng, *ops):
    nodes = [node for node in graph_def.node if node.op in ops] or list(graph_def.node)
    return _pick(rng, nodes)


def _with_inputs(graph_def, rng):
    return _pick(rng, [node for node in graph_def.node if node.input])


def drop_node(graph_def, rng):
    del graph_def.node[rng.randint(len(graph_def.node))]


def rename_node(graph_def, rng):
    _node(graph_def, rng).name = _pick(rng, ODD_NAMES)


def rename_everywhere(graph_def, rng):
    node, new = _node(graph_def, rng, 'Placeholder', 'Identity', 'Relu'), _pick(rng, ODD_NAMES)
    old, node.name = node.name, new
    for other in graph_def.node:
        other.input[:] = [new if name == old else name for name in other.input]


def duplicate_name(graph_def, rng):
    _node(graph_def, rng).name = _node(graph_def, rng).name
    graph_def.node.add().CopyFrom(_node(graph_def, rng))


def change_op(graph_def, rng):
    _node(graph_def, rng).op = _pick(rng, ODD_OPS)


def exchange_ops(graph_def, rng):
    one, other = _with_inputs(graph_def, rng), _with_inputs(graph_def, rng)
    one.op, other.op = other.op, one.op


def remove_attribute(graph_def, rng):
    node = _pick(rng, [node for node in graph_def.node if node.attr])
    del node.attr[_pick(rng, sorted(node.attr))]


def change_attribute(graph_def, rng):
    node = _pick(rng, [node for node in graph_def.node if node.attr])
    value = node.attr[_pick(rng, sorted(node.attr))]
    kind = value.WhichOneof('value')
    if kind == 'type':
        value.type = _pick(rng, ODD_TYPES)
    elif kind == 'i':
        value.i = _pick(rng, ODD_NUMBERS)
    elif kind == 'f':
        value.f = _pick(rng, ODD_FLOATS)
    elif kind == 'b':
        value.b = not value.b
    elif kind == 's':
        value.s = _pick(rng, [b'', b'nan', b'\xff\x00', b'SAME', b'NCHW', b'a' * 10000])
    elif kind == 'shape':
        value.shape.dim.add(size=_pick(rng, ODD_NUMBERS))
    elif kind == 'tensor':
        change_tensor(graph_def, rng)
    elif kind == 'list':
        value.list.i.append(_pick(rng, ODD_NUMBERS))
    else:
        value.s = b'x'


def change_kind_of_attribute(graph_def, rng):
    node = _pick(rng, [node for node in graph_def.node if node.attr])
    value = node.attr[_pick(rng, sorted(node.attr))]
    _pick(rng, [lambda: setattr(value, 'i', 3), lambda: setattr(value, 's', b'x'),
                lambda: setattr(value, 'placeholder', 'T'), value.list.SetInParent,
                value.func.SetInParent, value.Clear])()


def change_dtype(graph_def, rng):
    old, new = 1, _pick(rng, ODD_TYPES)
    for node in graph_def.node:
        for value in node.attr.values():
            if value.type == old and rng.rand() < 0.7:
                value.type = new


def change_tensor(graph_def, rng):
    """Claimed shapes and contents of a constant."""
    tensor = _node(graph_def, rng, 'Const').attr['value'].tensor
    sizes = tensor.tensor_shape.dim
    _pick(rng, [lambda: sizes.add(size=2 ** 40), lambda: sizes.add(size=-3),
                lambda: sizes.add(size=0),
                lambda: sizes.extend([tf.TensorShape([2]).as_proto().dim[0]] * 300),
                lambda: setattr(tensor, 'tensor_content', tensor.tensor_content[:-1]),
                lambda: setattr(tensor, 'tensor_content', tensor.tensor_content * 3),
                lambda: setattr(tensor, 'dtype', _pick(rng, ODD_TYPES)),
                lambda: setattr(tensor.tensor_shape, 'unknown_rank', True),
                lambda: tensor.string_val.append(b'x'),
                lambda: setattr(tensor, 'version_number', 9)])()


def change_constants(graph_def, rng):
    """Other integers in all small constants: axes, sizes, paddings."""
    for node in graph_def.node:
        tensor = node.attr['value'].tensor if node.op == 'Const' else None
        if tensor is not None and tensor.dtype == 3 and rng.rand() < 0.5:
            count = max(1, len(tensor.tensor_content) // 4)
            tensor.ClearField('tensor_content')
            del tensor.int_val[:]
            tensor.int_val.extend(int(rng.choice([-2 ** 31, -1, 0, 1, 3, 2 ** 31 - 1]))
                                  for _ in range(count))


def change_placeholder(graph_def, rng):
    node = _node(graph_def, rng, 'Placeholder')
    shape = node.attr['shape'].shape
    if rng.rand() < 0.5 or not shape.dim:
        shape.dim.add(size=_pick(rng, ODD_NUMBERS))
    else:
        _pick(rng, list(shape.dim)).size = _pick(rng, ODD_NUMBERS)


def rewire(graph_def, rng):
    node = _with_inputs(graph_def, rng)
    node.input[rng.randint(len(node.input))] = _node(graph_def, rng).name


def wrong_index(graph_def, rng):
    node = _with_inputs(graph_def, rng)
    place = rng.randint(len(node.input))
    node.input[place] = node.input[place].partition(':')[0].lstrip('^') + _pick(
        rng, [':1', ':7', ':-1', ':99999999999999999999', ':x', ':', ':0:0'])


def self_loop(graph_def, rng):
    node = _with_inputs(graph_def, rng)
    node.input[rng.randint(len(node.input))] = _pick(rng, ['', '^']) + node.name


def cycle(graph_def, rng):
    """A node early on reads one late on."""
    nodes = [node for node in graph_def.node if node.input]
    nodes[0].input[0] = nodes[-1].name


def control_input(graph_def, rng):
    node = _with_inputs(graph_def, rng)
    _pick(rng, [lambda: node.input.insert(0, '^' + _node(graph_def, rng).name),
                lambda: node.input.append('^' + _node(graph_def, rng).name),
                lambda: node.input.append('^nowhere'), lambda: node.input.append('^'),
                lambda: node.input.append('')])()


def drop_input(graph_def, rng):
    node = _with_inputs(graph_def, rng)
    del node.input[rng.randint(len(node.input))]


def add_input(graph_def, rng):
    node = _with_inputs(graph_def, rng)
    node.input.extend([node.input[0]] * int(rng.choice([1, 2, 1000])))


def exchange_inputs(graph_def, rng):
    node = _pick(rng, [node for node in graph_def.node if len(node.input) > 1])
    node.input[:] = list(node.input)[::-1]


def change_versions(graph_def, rng):
    _pick(rng, [lambda: setattr(graph_def.versions, 'producer', 10 ** 6),
                lambda: setattr(graph_def.versions, 'min_consumer', 10 ** 6),
                lambda: setattr(graph_def.versions, 'producer', 1),
                lambda: setattr(graph_def.versions, 'producer', -5),
                lambda: graph_def.versions.bad_consumers.append(134)])()


def change_device(graph_def, rng):
    for node in graph_def.node:
        node.device = _pick(rng, ['/job:worker/task:99', '/gpu:7', 'nonsense', '/job:ps\n'])
        node.attr['_class'].list.s.append(b'loc:@nowhere')
        node.attr['_output_shapes'].list.shape.add().dim.add(size=-7)


GRAPH_MUTATIONS = (
    drop_node, rename_node, rename_everywhere, duplicate_name, change_op, exchange_ops,
    remove_attribute, change_attribute, change_kind_of_attribute, change_dtype, change_tensor,
    change_constants, change_placeholder, rewire, wrong_index, self_loop, cycle, control_input,
    drop_input, add_input, exchange_inputs, change_versions, change_device)


def flip_bytes(data, rng):
    changed = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        changed[rng.randint(len(changed))] ^= 1 << rng.randint(8)
    return bytes(changed)


def truncate(data, rng):
    return data[:rng.randint(len(data))]


def lengthen(data, rng):
    return data + data[:rng.randint(len(data))]


def overwrite(data, rng):
    start = rng.randint(len(data))
    noise = bytes(rng.randint(0, 256, 64, 'u1'))[:len(data) - start]
    return data[:start] + noise + data[start + 64:]


BYTE_MUTATIONS = (flip_bytes, truncate, lengthen, overwrite)
