"""One source, one artifact: every byte of it, whatever the process and what it did before."""
import os
import subprocess
import sys
from collections import Counter

import onnx
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1 import ops
from ash_tf1.converting import ordered_sets, runs
from ash_tf1.keras import layers
from ash_tf1.nets import get_net
from tests.train.miniature import contents

pytestmark = pytest.mark.slow

HASH_SEEDS = ('0', '1', '4242')
SCRIPT = os.path.join(os.path.dirname(__file__), 'make_artifacts.py')


def resnet():
    x = tf.placeholder(tf.float32, (None, 16, 16, 3), 'x')
    return get_net('resnet_v2_8')(x, 4, ops.ASH, False)[0]


def concatenations():
    """Where transposes move along several branches, and a constant has two readers."""
    y = tf.placeholder(tf.float32, (None, 8, 8, 3), 'x')
    for i in range(2):
        with tf.variable_scope('layer_{}'.format(i)):
            y = tf.concat([y, tf.layers.conv2d(ops.ASH(y), 4, 3, padding='same')], 3)
    return tf.reduce_mean(tf.layers.average_pooling2d(y, 2, 2), [1, 2])


def recurrence():
    x = tf.placeholder(tf.float32, (None, 5, 3), 'x')
    cells = [tf.nn.rnn_cell.LSTMCell(4, name=name) for name in ('forward', 'backward')]
    states, _ = tf.nn.bidirectional_dynamic_rnn(*cells, inputs=x, dtype=tf.float32)
    return tf.concat(states, 2)


def condition():
    x = tf.placeholder(tf.float32, (None, 4), 'x')
    y = tf.placeholder(tf.float32, (None, 4), 'y')
    return tf.cond(tf.reduce_sum(x) > 0, lambda: tf.sin(x) * y, lambda: tf.cos(y) + tf.exp(x))


def keras_model():
    """Whose inputs never meet, but are of the same examples."""
    image = tf.keras.Input((8, 8, 3), name='image')
    hint = tf.keras.Input((2,), name='hint')
    y = layers.ASH()(tf.keras.layers.Conv2D(4, 3, name='conv')(image))
    y = tf.keras.layers.Flatten(name='flat')(y)
    return tf.keras.Model([image, hint], [y, tf.keras.layers.Dense(3, name='dense')(hint)])


@pytest.fixture(scope='module')
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp('sources')
    for make in (resnet, concatenations, recurrence, condition):
        with tf.Graph().as_default() as graph, tf.Session() as session:
            tf.set_random_seed(0)
            output = make()
            session.run(tf.global_variables_initializer())
            graph_def = tf.graph_util.convert_variables_to_constants(
                session, graph.as_graph_def(), [output.op.name])
        (folder / (make.__name__ + '.pb')).write_bytes(graph_def.SerializeToString())
    with tf.Graph().as_default(), tf.Session():
        keras_model().save(str(folder / 'keras_model.h5'))
    return folder


def use_one_core():
    os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])


@pytest.fixture(scope='module')
def artifacts(sources, tmp_path_factory):
    """A folder of artifacts for each hash seed.

    Each process begins with another source, and the first has but one core.
    """
    folders = [tmp_path_factory.mktemp('artifacts') for _ in HASH_SEEDS]
    root = os.path.abspath(os.path.join(os.path.dirname(SCRIPT), *[os.pardir] * 3))
    processes = [
        subprocess.Popen([sys.executable, SCRIPT, str(sources), str(folder), str(first)],
                         env=dict(os.environ, PYTHONHASHSEED=seed, PYTHONPATH=root),
                         preexec_fn=None if first else use_one_core,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for first, (seed, folder) in enumerate(zip(HASH_SEEDS, folders))]
    for process in processes:
        output, _ = process.communicate()
        assert process.returncode == 0, output.decode()
    return folders


def test_every_process_makes_the_same_bytes(sources, artifacts):
    first, *others = map(contents, artifacts)
    assert len(first) >= 4 * len(list(sources.iterdir()))
    for other in others:
        assert sorted(other) == sorted(first)
        assert [name for name in first if first[name] != other[name]] == []


@pytest.mark.parametrize('name, axes', [
    ('keras_model.h5', {'image': ['N', 8, 8, 3], 'hint': ['N', 2], 'flat': ['N', 144],
                        'dense': ['N', 3]}),
    ('recurrence.pb', {'x': ['N', 5, 3], 'concat': ['N', 5, 8]})])
def test_the_batch_has_one_name(artifacts, name, axes):
    graph = onnx.load(str(artifacts[0] / name / 'model.onnx')).graph
    assert {value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
            for value in list(graph.input) + list(graph.output)} == axes


def test_an_ash_is_ten_nodes(artifacts):
    nodes = onnx.load(str(artifacts[0] / 'resnet.pb' / 'model.onnx')).graph.node
    counts = Counter(node.op_type for node in nodes)
    assert {op: counts.pop(op) for op in ('ReduceMean', 'Sub', 'Mul', 'Sqrt', 'Sigmoid')} == {
        'ReduceMean': 14, 'Sub': 14, 'Mul': 28, 'Sqrt': 7, 'Sigmoid': 7}
    # What is left is the net's own.
    assert set(counts) == {'Transpose', 'Conv', 'BatchNormalization', 'Add', 'GlobalAveragePool',
                           'Squeeze', 'MatMul'}


def test_an_export_after_others_is_the_same(artifact, tiny, tiny_run, tmp_path):
    """The fixture's was another one of this process, before or after other tests."""
    with tf.Graph().as_default():
        runs.export(str(tiny_run), str(tmp_path / 'again'), samples=5, keep_graph=True)
    assert contents(tmp_path / 'again') == contents(artifact[0])


def test_ordered_sets():
    elements = ordered_sets.OrderedSet('banana')
    assert list(elements) == ['b', 'a', 'n']
    assert list(elements.union('cab')) == ['b', 'a', 'n', 'c']
    assert list(elements.intersection('na')) == ['n', 'a']
    assert list(elements - {'a'}) == ['b', 'n']
    assert elements == set('ban') and elements.issubset(set('bandit'))
    elements.update('dab')
    elements.discard('b')
    assert (elements.pop(), len(elements)) == ('a', 2)


def test_a_package_has_ordered_sets_for_a_while():
    from tf2onnx import graph
    with pytest.raises(KeyError, match='at fault'), ordered_sets.inside('tf2onnx'):
        assert graph.set is ordered_sets.OrderedSet
        raise KeyError('at fault')
    assert not hasattr(graph, 'set')
