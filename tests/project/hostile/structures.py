"""Graphs that are odd as a whole: loops, functions, sizes, names, layers of ASH, versions."""
import numpy as np
import tensorflow.compat.v1 as tf
from workplace import case, node

DAMAGED = 'the graph is damaged'


def graph(build):
    """The GraphDef of a function of x [2, 3]."""
    with tf.Graph().as_default() as made:
        tf.identity(build(tf.placeholder(tf.float32, [2, 3], name='x')), name='y')
        return made.as_graph_def()


def built(name, message=''):
    """Registers a case of a function of x."""
    return lambda build: case(name, message)(lambda place: [place.write(graph(build))])


def function(graph_def, name, op, calls=None):
    """Adds a function of one float to a library: its body is a node of a type."""
    made = graph_def.library.function.add()
    made.signature.name = name
    made.signature.input_arg.add(name='a', type=1)
    made.signature.output_arg.add(name='b', type=1)
    body = made.node_def.add(name='body', op=op, input=['a'])
    if calls:
        for attribute in ('Tin', 'Tout'):
            body.attr[attribute].list.type.append(1)
        body.attr['f'].func.name = calls
    elif op in ('Neg', 'Identity'):
        body.attr['T'].type = 1
    made.ret['b'] = 'body:{}:0'.format(
        {'Neg': 'y', 'ReadFile': 'contents', 'PartitionedCall': 'output'}.get(op, 'b'))


def calling(place, functions):
    """A graph whose y is f0(x)."""
    graph_def = graph(tf.identity)
    for one in functions:
        function(graph_def, *one)
    y = next(one for one in graph_def.node if one.name == 'y')
    y.op = 'f0'
    del y.attr['T']
    return [place.write(graph_def)]


@case('a function that calls itself', 'calls itself')
def itself(place):
    return calling(place, [('f0', 'f0')])


@case('functions that call each other', 'calls itself')
def each_other(place):
    return calling(place, [('f0', 'PartitionedCall', 'f1'), ('f1', 'PartitionedCall', 'f0')])


@case('functions 300 deep', 'more than 32 others')
def deep_functions(place):
    return calling(place, [('f{}'.format(i), 'f{}'.format(i + 1)) for i in range(300)]
                   + [('f300', 'Neg')])


@case('a function that reads a file', 'ReadFile')
def reading_function(place):
    return calling(place, [('f0', 'f1'), ('f1', 'ReadFile')])


@case('a function of the name of an op')
def disguised_function(place):
    graph_def = graph(tf.nn.relu)
    function(graph_def, 'Relu', 'Neg')
    return [place.write(graph_def)]


@case('a loop without an end', 'it took more than 4 seconds')
def endless(place):
    graph_def = graph(lambda x: tf.while_loop(
        lambda y: tf.reduce_sum(tf.abs(y)) > -1.0, lambda y: y * 0.5, (x,)))
    return [place.write(graph_def), '--time-limit', '4']




@case('a chain of 3000 nodes')
def chain(place):
    graph_def = graph(tf.nn.relu)
    relu = node(graph_def, 'Relu')
    for i in range(3000):
        copy = graph_def.node.add()
        copy.CopyFrom(relu)
        copy.name = 'r{}'.format(i)
        copy.input[0] = 'r{}'.format(i - 1) if i else relu.name
    next(one for one in graph_def.node if one.name == 'y').input[0] = 'r2999'
    return [place.write(graph_def)]


@case('a cycle without a loop', DAMAGED)
def cycle(place):
    graph_def = graph(lambda x: tf.nn.relu(tf.abs(x)))
    node(graph_def, 'Abs').input[0] = 'Relu'
    return [place.write(graph_def), '--output', 'y']


built('a fill of 2^60 elements')(lambda x: x + tf.fill([2 ** 30, 2 ** 30, 1, 1], 1.0))
built('a tile of 2^40 elements')(lambda x: tf.tile(x, [2 ** 20, 2 ** 20]))
built('a range of 2^31 elements')(lambda x: x[0, 0] + tf.cast(
    tf.reduce_sum(tf.range(2 ** 31 - 1)), tf.float32))
built('a one-hot of 2^31 elements')(lambda x: x[0, 0] + tf.one_hot(3, 2 ** 31 - 1))
built('a padding below zero')(lambda x: tf.pad(
    x, tf.cast(x[:2, :2] * 0.0, tf.int32) - [[1, 0], [0, 0]]))
built('a division by zero of integers')(lambda x: x / tf.cast(
    tf.constant(1) // (tf.size(x) - 6), tf.float32))
built('strings', 'StringJoin')(lambda x: x + tf.strings.to_number(
    tf.strings.join([tf.as_string(x), '0'])))
built('a graph of constants alone')(lambda x: tf.ones([2, 3]) * 2.0)
built('NaN', 'gives NaN or infinity')(lambda x: x + np.float32('nan'))


@case('a constant that claims 2^40 elements', DAMAGED)
def claimed(place):
    graph_def = graph(lambda x: x + tf.constant(np.ones([2, 3], 'f')))
    shape = node(graph_def, 'Const').attr['value'].tensor.tensor_shape
    shape.dim[0].size, shape.dim[1].size = 2 ** 20, 2 ** 20
    return [place.write(graph_def)]


@case('one element that claims to be 2^33', DAMAGED)
def claimed_by_one(place):
    graph_def = graph(lambda x: x + tf.constant(np.ones([1, 1], 'f')))
    tensor = node(graph_def, 'Const').attr['value'].tensor
    tensor.ClearField('tensor_content')
    tensor.ClearField('float_val')
    tensor.float_val.append(1.0)
    tensor.tensor_shape.dim[0].size = 2 ** 33
    return [place.write(graph_def)]


@case('a placeholder of 2^40 elements', 'input x .*made up')
def large_placeholder(place):
    graph_def = graph(tf.nn.relu)
    node(graph_def, 'Placeholder').attr['shape'].shape.dim[1].size = 2 ** 40
    return [place.write(graph_def)]


@case('a setting of 2^40 elements', 'too many to be set')
def large_setting(place):
    graph_def = graph(tf.nn.relu)
    node(graph_def, 'Placeholder').attr['shape'].shape.dim[1].size = 2 ** 40
    return [place.write(graph_def), '--set', 'x=1']


ARGUMENTS = {
    'an input of no elements': ['--input', 'x:0,8,8,3'],
    'an input of negative sizes': ['--input', 'x:-5,8,8,3'],
    'an input of 2^40 elements': ['--input', 'x:1048576,1048576,8,3'],
    'an input that is the output': ['--input', 'y:1,3', '--output', 'y'],
    'an input that is twice there': ['--input', 'x', '--input', 'x:0'],
    'an output of an index that is not there': ['--output', 'y:5'],
    'an output of a huge index': ['--output', 'y:99999999999999999999'],
    'an output twice': ['--output', 'y', '--output', 'y:0'],
    'an output that is the input': ['--output', 'x'],
    'a name of control characters': ['--output', 'y\x00\n\x1b[31m'],
    'a limit of memory of 0': ['--memory-limit', '1e-9'],
}
SAID = {'an input of no elements': 'with 0 elements', 'an output that is the input': 'nothing to',
        'an input that is the output': 'nothing to',
        'an input of 2^40 elements': 'input x .*made up',
        'an input of negative sizes': "'x:0' cannot have a size below 0"}
for _name, _arguments in ARGUMENTS.items():
    case(_name, SAID.get(_name, ''))(lambda place, arguments=_arguments: [
        place.write(place.base('native'))] + arguments)


def ash(name, message, change, base='native'):
    """Registers a case of a changed layer."""
    def make(place):
        graph_def = place.base(base)
        layer = node(graph_def, 'AshForward') if base == 'native' else next(
            one for one in graph_def.node if one.op == 'IdentityN')
        change(graph_def, layer)
        return [place.write(graph_def), '--output', 'y']
    case(name, message)(make)


def set_attr(key, **value):
    return lambda graph_def, layer: layer.attr[key].CopyFrom(tf.AttrValue(**value))


for _leak in ('nan', 'inf', 'x', '1e999', '', '0.5', '-3', '١'):
    ash('a leak of {!r}'.format(_leak), '' if _leak == '0.5' else 'has the leak',
        set_attr('leak', s=_leak.encode()))
ash('a leak of no text', 'has the leak', set_attr('leak', s=b'\xff\xfe'))
ash('native ASH of integers', DAMAGED, set_attr('T', type=3))
ash('native ASH of too few inputs', DAMAGED, lambda graph_def, layer: layer.input.pop())
ash('native ASH of an x of unknown rank', '', lambda graph_def, layer: node(
    graph_def, 'Placeholder').attr['shape'].shape.CopyFrom(tf.TensorShape(None).as_proto()))
ash('recomputed ASH of too few inputs', 'has 1 inputs instead', lambda graph_def, layer: (
    layer.input.__delitem__(slice(1, None)), layer.attr['T'].list.type.__delitem__(slice(1, None))),
    'recompute')
ash('recomputed ASH of another value', 'the portable ops give', lambda graph_def, layer:
    layer.input.__setitem__(0, layer.input[1]), 'recompute')
ash('recomputed ASH of z_k as x', '', lambda graph_def, layer:
    layer.input.__setitem__(1, layer.input[2]), 'recompute')
