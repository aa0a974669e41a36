"""Graphs with ops that read, write, run or draw something: what must be refused, and never run."""
import tensorflow.compat.v1 as tf
from workplace import case


def after(operation, x):
    with tf.control_dependencies([operation]):
        return tf.identity(x)


def text(value):
    return tf.AttrValue(s=value.encode())


def shaped(x, sizes):
    """x in a shape that TensorFlow has to know while it imports the graph."""
    return tf.reshape(x, tf.cast(sizes, tf.int32) * 0 + [2, 3])


def table(place, x):
    initializer = tf.lookup.TextFileInitializer(place.precious, tf.string, 0, tf.int64, 1)
    values = tf.lookup.StaticHashTable(initializer, -1).lookup(tf.constant('a'))
    return x + tf.cast(values, tf.float32)


def debugged(place, x):
    names = dict(tensor_name=text('a:0'), device_name=text(
        '/job:localhost/replica:0/task:0/device:CPU:0'))
    urls = tf.AttrValue(list=tf.AttrValue.ListValue(s=[b'file://' + place.path('harm').encode()]))
    graph_def = tf.GraphDef()
    with tf.Graph().as_default() as graph:
        tf.identity(tf.constant([3, 2]), name='sizes')
        graph_def.CopyFrom(graph.as_graph_def())
    for node in graph_def.node:
        if node.op == 'Identity':
            node.op = 'DebugIdentity'
            for key, value in dict(names, debug_urls=urls).items():
                node.attr[key].CopyFrom(value)
    place.later.append(graph_def)
    return tf.reshape(x, tf.placeholder(tf.int32, [2], name='sizes'))


DEEDS = {
    'ReadFile': lambda p, x: shaped(x, tf.decode_raw(tf.read_file(p.precious), tf.uint8)[:2]),
    'MatchingFiles': lambda p, x: shaped(x, tf.shape(tf.io.matching_files(p.folder + '/*'))),
    'WriteFile': lambda p, x: after(tf.write_file(p.precious, 'harm'), x),
    'SaveV2': lambda p, x: after(tf.raw_ops.SaveV2(
        prefix=p.precious, tensor_names=['w'], shape_and_slices=[''], tensors=[x]), x),
    'RestoreV2': lambda p, x: x + tf.raw_ops.RestoreV2(
        prefix=p.precious, tensor_names=['w'], shape_and_slices=[''], dtypes=[tf.float32])[0],
    'MergeV2Checkpoints': lambda p, x: after(tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=[p.precious], destination_prefix=p.path('harm')), x),
    'PrintV2': lambda p, x: after(tf.print('harm', output_stream='file://' + p.precious), x),
    'CreateSummaryFileWriter': lambda p, x: after(tf.raw_ops.CreateSummaryFileWriter(
        writer=tf.raw_ops.SummaryWriter(), logdir=p.path('harm'), max_queue=1, flush_millis=1,
        filename_suffix=''), x),
    'ImmutableConst': lambda p, x: shaped(x, tf.raw_ops.ImmutableConst(
        dtype=tf.int32, shape=[2], memory_region_name=p.precious)),
    'DebugIdentity': debugged,
    'PyFunc': lambda p, x: tf.py_func(lambda x: x, [x], tf.float32),
    'EagerPyFunc': lambda p, x: tf.py_function(lambda x: x, [x], tf.float32),
    'RandomStandardNormal': lambda p, x: x + tf.random.normal([2, 3]),
    'StatelessRandomUniform': lambda p, x: x + tf.random.stateless_uniform([2, 3], [1, 2]),
    'SampleDistortedBoundingBoxV2': lambda p, x: x + tf.image.sample_distorted_bounding_box(
        [8, 8, 3], [[[0.0, 0.0, 1.0, 1.0]]])[2][0, 0, 0],
    'Dropout': lambda p, x: tf.nn.dropout(x, rate=0.5),
    'QueueDequeue': lambda p, x: x + tf.FIFOQueue(2, [tf.float32], [[]]).dequeue(),
    'Iterator': lambda p, x: x + tf.data.make_one_shot_iterator(
        tf.data.TextLineDataset(p.precious).map(tf.strings.to_number)).get_next(),
    'Table': table,
    'VarHandleOp': lambda p, x: x + tf.get_variable('v', [], use_resource=True),
    'Stage': lambda p, x: x + tf.raw_ops.Unstage(dtypes=[tf.float32])[0],
    'Barrier': lambda p, x: after(tf.raw_ops.BarrierClose(handle=tf.raw_ops.Barrier(
        component_types=[tf.float32])), x),
}
_SAID = {'RandomStandardNormal': 'draws random numbers', 'Dropout': 'draws random numbers',
         'SampleDistortedBoundingBoxV2': 'draws random numbers',
         'VarHandleOp': "holds the variable 'v'"}


def deed(name):
    def make(place):
        place.later = []
        with tf.Graph().as_default() as graph:
            tf.identity(DEEDS[name](place, tf.placeholder(tf.float32, [2, 3], name='x')), name='y')
            graph_def = graph.as_graph_def()
        for other in place.later:  # what must not be imported here either
            kept = [node for node in graph_def.node if node.name != 'sizes'] + list(other.node)
            graph_def = tf.GraphDef(node=kept, versions=graph_def.versions)
        return [place.write(graph_def), '--output', 'y']
    return make


for _name in DEEDS:
    case('op ' + _name, _SAID.get(_name, "op '.*' is of the type "))(deed(_name))
