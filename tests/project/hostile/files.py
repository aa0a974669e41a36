"""Sources that are odd as files: SavedModels, MetaGraphs and checkpoints; and files of options."""
import os

import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.core.protobuf import saved_model_pb2
from workplace import META, SAVED, case


def saved(name, message='', arguments=()):
    """Registers a case of a changed SavedModel: of a function of the message and its MetaGraph."""
    def register(change):
        def make(place):
            path = place.copy('saved')
            model = place.read(SAVED, saved_model_pb2.SavedModel)
            change(model, model.meta_graphs[0])
            place.write(model, SAVED)
            return [path, *arguments]
        return case(name, message)(make)
    return register


def signature(graph):
    return graph.signature_def['serving_default']


saved('a SavedModel without graphs', 'no graph tagged serve')(
    lambda model, graph: model.ClearField('meta_graphs'))
saved('a SavedModel without nodes', 'holds no graph')(
    lambda model, graph: graph.graph_def.ClearField('node'))
saved('an asset in another folder', 'outside its folder')(
    lambda model, graph: graph.asset_file_def.add(filename='../../other/precious.txt'))
saved('an asset with a NUL', 'names the asset')(
    lambda model, graph: graph.asset_file_def.add(filename='a\x00b'))
saved('a signature of nothing', '')(lambda model, graph: signature(graph).Clear())
saved('a signature without names', '')(
    lambda model, graph: signature(graph).outputs['scores'].ClearField('name'))
saved('an output that is not there', "no tensor 'nowhere:0'")(
    lambda model, graph: setattr(signature(graph).outputs['scores'], 'name', 'nowhere:0'))
saved('an output that names no tensor', 'no tensor')(
    lambda model, graph: setattr(signature(graph).outputs['scores'], 'name', ':0\n'))
saved('an input that is not there', "no tensor 'nowhere:0'")(
    lambda model, graph: setattr(signature(graph).inputs['images'], 'name', 'nowhere:0'))
saved('two inputs of one tensor', '')(
    lambda model, graph: signature(graph).inputs['again'].CopyFrom(
        signature(graph).inputs['images']))
saved('a sparse output', 'no dense tensor')(
    lambda model, graph: setattr(signature(graph).outputs['scores'].coo_sparse,
                                 'values_tensor_name', 'y:0'))
saved('a composite output', 'no dense tensor')(
    lambda model, graph: signature(graph).outputs['scores'].composite_tensor.components.add(
        name='y:0'))
saved('odd keys in a signature', '')(
    lambda model, graph: signature(graph).outputs['../\n\x00☃'].CopyFrom(
        signature(graph).outputs['scores']))
saved('odd tags', '')(lambda model, graph: graph.meta_info_def.tags.append('\n../\x00'))
saved('a tag that is not there', 'no graph tagged', ['--tag', '\n,x'])(lambda model, graph: None)
saved('two graphs of the same tags', '')(
    lambda model, graph: model.meta_graphs.add().CopyFrom(graph))


@case('a SavedModel whose variables are gone', 'not frozen')
def without_variables(place):
    path = place.copy('saved')
    os.remove(os.path.join(path, 'variables', 'variables.index'))
    return [path]


@case('a SavedModel whose data are gone', 'has lost its .data file')
def without_data(place):
    path = place.copy('saved')
    os.remove(os.path.join(path, 'variables', 'variables.data-00000-of-00001'))
    return [path]


@case('a SavedModel of nonsense as text', 'is no SavedModel')
def nonsense_text(place):
    os.mkdir(place.path('saved'))
    place.write('meta_graphs { graph_def { ☃'.encode(), 'saved/saved_model.pbtxt')
    return [place.path('saved')]


def text_graph(name, message, text):
    case(name, message)(lambda place: [place.write(text.encode(), 'graph.pbtxt')])


text_graph('text that is nested 3000 deep', 'is no GraphDef', 'node { attr { value { list { func { '
           * 3000)
text_graph('text with a function in a function in a function', 'is no GraphDef', 'node { attr { '
           'key: "f" value { func { ' + 'attr { key: "f" value { func { ' * 300)
text_graph('text of another field', 'is no GraphDef', 'nodes { }')
text_graph('text of a type that is none', 'is no GraphDef',
           'node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_NONE } } }')
case('bytes that are nested 300 deep', '')(lambda place: [place.write(_nested(300))])


def _nested(depth):
    """A GraphDef with a function as an attribute of an attribute, and so on."""
    data = tf.AttrValue(i=1).SerializeToString()
    for _ in range(depth):
        entry = b'\x0a\x01f\x12' + _length(data) + data  # key f, and the value
        function = b'\x12' + _length(entry) + entry
        data = b'\x52' + _length(function) + function
    entry = b'\x0a\x01f\x12' + _length(data) + data
    node = b'\x0a\x01x\x12\x0bPlaceholder\x2a' + _length(entry) + entry
    return b'\x0a' + _length(node) + node


def _length(data):
    number, varint = len(data), b''
    while number > 127:
        varint += bytes([number & 127 | 128])
        number >>= 7
    return varint + bytes([number])


def meta(name, message=''):
    """Registers a case of a changed MetaGraph: of a function of it and the `Workplace`."""
    def register(change):
        def make(place):
            path = place.copy('meta')
            graph = place.read(META, tf.MetaGraphDef)
            change(graph, place)
            place.write(graph, META)
            return [path, '--output', 'scaled']
        return case(name, message)(make)
    return register


def _constants(graph, part):
    """The constants of strings that a saver's restore op reads."""
    return next(node for node in graph.graph_def.node
                if node.op == 'Const' and node.name.endswith('RestoreV2/' + part))


@meta('names in a checkpoint that are not there', 'lacks nowhere')
def other_names(graph, place):
    tensor = _constants(graph, 'tensor_names').attr['value'].tensor
    tensor.string_val[0] = b'nowhere'


@meta('variables that take each other\'s values')
def exchanged_names(graph, place):
    tensor = _constants(graph, 'tensor_names').attr['value'].tensor
    names = list(tensor.string_val)[::-1]
    tensor.string_val[:] = names


for _part in ('3 0,9', '3 0,1:', '8 9,9', '-1 -', '3 0,' + '9' * 30, '\xff', '4 4 4 0,1:-:-:-'):
    def _odd_slice(graph, place, part=_part):
        _constants(graph, 'shape_and_slices').attr['value'].tensor.string_val[:] = [
            part.encode('latin1')] * len(_constants(graph, 'shape_and_slices').attr[
                'value'].tensor.string_val)
    meta('a slice of {!r}'.format(_part))(_odd_slice)


@meta('a restore op that is not there')
def other_restore_op(graph, place):
    graph.saver_def.restore_op_name = 'nowhere\n'


@meta('a variable that claims 2^40 elements', 'the graph is damaged')
def large_variable(graph, place):
    variable = next(node for node in graph.graph_def.node if node.op == 'VariableV2')
    variable.attr['shape'].shape.dim[0].size = 2 ** 40


@meta('a variable of a negative size', '')
def negative_variable(graph, place):
    variable = next(node for node in graph.graph_def.node if node.op == 'VariableV2')
    variable.attr['shape'].shape.dim[0].size = -9


@meta('a variable of another dtype', '')
def other_dtype(graph, place):
    variable = next(node for node in graph.graph_def.node if node.op == 'VarHandleOp')
    variable.attr['dtype'].type = 9


@meta('a restored value that depends on itself', 'depends on itself')
def cycle(graph, place):
    nodes = {node.name: node for node in graph.graph_def.node}
    restored, = [node.input[1] for node in nodes.values()
                 if node.op == 'AssignVariableOp' and node.name.startswith('save/')]
    nodes[restored].input[0] = restored


@meta('a checkpoint that lies elsewhere', '')
def elsewhere(graph, place):
    place.write(b'model_checkpoint_path: "/etc/passwd"\n', 'checkpoint')


def classifier(name, labels, *preprocessing, message=''):
    def make(place):
        place.write(labels, 'labels.txt')
        return [place.write(place.base('native')), '--labels', place.path('labels.txt'),
                *(['--preprocess', *preprocessing] if preprocessing else [])]
    case(name, message)(make)


classifier('labels', 'a\nb\nüber\n'.encode(), 'vgg')
classifier('labels of no text', b'\xff\xfe\x00', message='cannot be read as labels')
classifier('labels of control characters', b'a\nb\x1b[31m\nc\n', message='line 2')
classifier('too many labels', b'x\n' * 100000, message='100000 labels')
classifier('the same label three times', b'a\na\na\n')
for _option in ('std=0', 'mean=nan', 'mean=1e999', 'scale=1/0', 'scale=0', 'crop=2', 'channels=XYZ',
                'mean=1,2', 'nonsense', 'std=1e-300', 'mean=1e300'):
    classifier('preprocess ' + _option.replace('/', ' by '), b'a\nb\nc\n', _option)


def samples(name, message, content):
    def make(place):
        path = place.path('samples.npy')
        if isinstance(content, bytes):
            place.write(content, 'samples.npy')
        else:
            np.save(path, content, allow_pickle=True)
        return [place.write(place.base('native')), '--samples', path]
    case(name, message)(make)


def _claims(shape):
    return (b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': "
            + shape.encode()).ljust(127) + b'\n'


samples('samples of no numbers', 'NaN or infinity', np.full([1, 8, 8, 3], np.nan, 'f'))
samples('no samples', 'tests nothing', np.zeros([0, 8, 8, 3], 'f'))
samples('samples of objects', 'cannot be read', np.full([1, 8, 8, 3], None))
samples('samples that claim 2^40 elements', 'more than fits the memory',
        _claims('(1048576, 1048576), }'))
samples('samples that are cut short', '', _claims('(1, 8, 8, 3), }') + b'\0' * 9)
samples('samples of nonsense', 'cannot be read', b'\x93NUMPY\x01\x00\xff\xffnonsense')
