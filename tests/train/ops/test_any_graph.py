"""Gradients wherever a graph can have an activation, against numeric differentiation.

In conditions and loops of both control flows, in towers, with both kinds of variables, and in
graphs that were saved and are imported: alone, in another process, and beside a net that is built
anew.
"""
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1 import check_graph, ops

ROOT = Path(__file__).resolve().parents[3]
SHAPE = (3, 4)
# Steps of the central differences, and how far the slopes may be from the gradients.
DELTA = {tf.float64: 1e-5, tf.float32: 1e-2}
TOLERANCE = {tf.float64: 1e-7, tf.float32: 1e-2}
FORMS = ('native', 'recompute', 'plain')


@pytest.fixture(params=[False, True], ids=['v1', 'v2'])
def control_flow(request):
    """Both kinds of control flow; the name of the one in use."""
    before = tf.control_flow_v2_enabled()
    (tf.enable_control_flow_v2 if request.param else tf.disable_control_flow_v2)()
    with tf.Graph().as_default():
        yield 'v2' if request.param else 'v1'
    (tf.enable_control_flow_v2 if before else tf.disable_control_flow_v2)()


@pytest.fixture
def new_graph():
    with tf.Graph().as_default():
        yield


def straight(x, activation):
    with tf.variable_scope('layer'):
        return activation(x)


def condition(x, activation):
    """Taken, and inside its branch the activation makes its variables."""
    with tf.variable_scope('layer'):
        return tf.cond(tf.reduce_sum(x) > -1e9, lambda: activation(x) * 2.0, lambda: x)


def other_branch(x, activation):
    with tf.variable_scope('layer'):
        return tf.cond(tf.reduce_sum(x) > 1e9, lambda: activation(x), lambda: x * x)


def loop(x, activation):
    """Three times the same activation, on what it gave."""
    def body(i, value):
        with tf.variable_scope('layer', reuse=tf.AUTO_REUSE):
            return i + 1, value + activation(value)
    return tf.while_loop(lambda i, value: i < 3, body, [0, x])[1]


def mapped(x, activation):
    def each(row):
        with tf.variable_scope('layer', reuse=tf.AUTO_REUSE):
            return activation(tf.reshape(row, [2, 2]))
    return tf.map_fn(each, x)


def towers(x, activation):
    """The first on the first example, the second on the rest, over the same variables."""
    results = []
    for i, part in enumerate((x[:1], x[1:])):
        with tf.name_scope('tower_%d' % i), tf.variable_scope('layer', reuse=tf.AUTO_REUSE):
            results.append(activation(part))
    return tf.concat(results, 0)


CONSTRUCTS = (straight, condition, other_branch, loop, mapped, towers)


class Problem:
    """A scalar of x [3, 4] and its gradients for x and all variables, in the current graph."""

    def __init__(self, y, x, variables):
        weights = np.linspace(0.5, 1.5, 12)
        self.x, self.variables = x, variables
        self.loss = tf.reduce_sum(tf.reshape(y, [-1]) * weights, name='loss')
        self.gradients = tf.gradients(self.loss, [x] + variables)

    def check(self, session):
        """Compares the gradients with the slopes of the loss."""
        delta, tolerance = DELTA[self.x.dtype], TOLERANCE[self.x.dtype]
        value = np.random.RandomState(0).randn(*SHAPE) + 0.3
        found = session.run(self.gradients, {self.x: value})
        slope = np.zeros(SHAPE)
        for i in np.ndindex(*SHAPE):
            low, high = value.copy(), value.copy()
            low[i] -= delta
            high[i] += delta
            slope[i] = np.subtract(*(session.run(self.loss, {self.x: side})
                                     for side in (high, low))) / (2 * delta)
        np.testing.assert_allclose(found[0], slope, rtol=0, atol=tolerance)
        for variable, gradient in zip(self.variables, found[1:]):
            middle = session.run(variable)
            assert middle.shape == (1,)
            losses = []
            for side in (-1, 1):
                variable.load(middle + side * delta, session)
                losses.append(session.run(self.loss, {self.x: value}))
            variable.load(middle, session)
            np.testing.assert_allclose(gradient, [(losses[1] - losses[0]) / (2 * delta)], rtol=0,
                                       atol=tolerance, err_msg=variable.op.name)


def build(construct, activation, use_resource=False, dtype=tf.float64):
    x = tf.placeholder(dtype, SHAPE, name='x')
    with tf.variable_scope('', use_resource=use_resource):
        y = construct(x, activation)
    return Problem(y, x, tf.trainable_variables())


def start(session):
    """Initialises, and moves the parameters off values where a gradient may be right by chance."""
    session.run(tf.global_variables_initializer())
    for i, variable in enumerate(tf.trainable_variables()):
        variable.load(session.run(variable) + 0.1 * (i + 1), session)


@pytest.mark.sweep(chosen=lambda implementation, use_resource:
                   use_resource == (implementation == 'recompute'))
@pytest.mark.parametrize('use_resource', [False, True], ids=['ref', 'resource'])
@pytest.mark.parametrize('implementation', FORMS)
@pytest.mark.parametrize('construct', CONSTRUCTS, ids=lambda construct: construct.__name__)
def test_gradients_in_every_construct(control_flow, construct, implementation, use_resource):
    problem = build(construct, ops.get_activation('l_ash', implementation), use_resource)
    assert len(problem.variables) == 2
    with tf.Session() as session:
        start(session)
        problem.check(session)


@pytest.mark.parametrize('name', ['swish', 'gelu'])
@pytest.mark.parametrize('construct', CONSTRUCTS, ids=lambda construct: construct.__name__)
def test_gradients_of_the_other_activations_in_every_construct(control_flow, construct, name):
    problem = build(construct, ops.get_activation(name))
    with tf.Session() as session:
        problem.check(session)


@pytest.mark.sweep(chosen=lambda control_flow, construct, name: (
    name == 'l_ash' or construct is loop and not control_flow))
@pytest.mark.parametrize('name, implementation', [
    ('ash', 'native'), ('ash', 'recompute'), ('ash', 'plain'), ('l_ash', 'recompute'),
    ('swish', 'auto')])
@pytest.mark.parametrize('construct', CONSTRUCTS, ids=lambda construct: construct.__name__)
def test_gradients_of_an_imported_graph_beside_a_new_net(control_flow, construct, name,
                                                         implementation, tmp_path):
    """Teacher and student: the imported graph must not get the gradients of the new one."""
    activation = ops.get_activation(name, implementation)
    # TensorFlow 1.15 takes no gradient of an imported loop of float64 that reads a variable.
    dtype = tf.float32 if (control_flow, construct) == ('v2', loop) else tf.float64
    prefix = saved(build(construct, activation, dtype=dtype), tmp_path)
    with tf.Graph().as_default():
        for i in range(3):
            with tf.variable_scope('new_%d' % i):
                z = construct(tf.ones(SHAPE, tf.float64), ops.get_activation('f_ash_10',
                                                                             implementation))
                z += construct(z + 1.0, ops.get_activation('swish')) if i else 0.0
                tf.gradients(z, tf.trainable_variables())
        before = len(tf.trainable_variables())
        with tf.Session() as session:
            saver = tf.train.import_meta_graph(prefix + '.meta', import_scope='teacher')
            problem = imported('teacher/', tf.trainable_variables()[before:])
            restore(saver, session, prefix)
            problem.check(session)


@pytest.mark.sweep(chosen=lambda construct, implementation:
                   construct is loop or implementation == 'recompute')
@pytest.mark.parametrize('implementation', FORMS)
@pytest.mark.parametrize('construct', CONSTRUCTS, ids=lambda construct: construct.__name__)
def test_pass_shares_beside_every_construct(control_flow, construct, implementation, tmp_path):
    """They can be fetched, and so can those of the graph that is saved and imported."""
    problem = build(construct, ops.get_activation('ash', implementation))
    with tf.variable_scope('last'):
        ops.ASH(tf.placeholder_with_default(np.eye(3), [3, 3]))
    expected = {straight: ['layer', 'last'], towers: ['layer', 'tower_1/layer/ash', 'last']}.get(
        construct, ['last'])
    feeds = np.random.RandomState(0).randn(*SHAPE)

    def check(x, session):
        shares = ops.pass_shares()
        assert list(shares) == expected
        values = session.run(shares, {x: feeds})
        assert values['last'] == np.float32(1 / 3)

    prefix = saved(problem, tmp_path, check)
    with tf.Graph().as_default(), tf.Session() as session:
        restore(tf.train.import_meta_graph(prefix + '.meta'), session, prefix)
        check(tf.get_default_graph().get_tensor_by_name('x:0'), session)


@pytest.mark.sweep(chosen=lambda construct, implementation:
                   construct is loop or implementation == 'recompute')
@pytest.mark.parametrize('implementation', FORMS)
@pytest.mark.parametrize('construct', CONSTRUCTS, ids=lambda construct: construct.__name__)
def test_a_saved_model_can_be_loaded(control_flow, construct, implementation, tmp_path):
    problem = build(construct, ops.get_activation('ash', implementation))
    feeds = np.random.RandomState(0).randn(*SHAPE)
    with tf.Session() as session:
        start(session)
        expected = session.run(problem.loss, {problem.x: feeds})
        tf.saved_model.simple_save(session, str(tmp_path / 'model'), {'x': problem.x},
                                   {'loss': problem.loss})
    with tf.Graph().as_default(), tf.Session() as session:
        tf.saved_model.loader.load(session, ['serve'], str(tmp_path / 'model'))
        np.testing.assert_allclose(session.run('loss:0', {'x:0': feeds}), expected, rtol=1e-12)


ALONE = """
import sys
import numpy as np
import ash_tf1
import tensorflow.compat.v1 as tf
prefix = sys.argv[1]
with tf.Session() as session:
    tf.train.import_meta_graph(prefix + '.meta').restore(session, prefix)
    graph = tf.get_default_graph()
    x = graph.get_tensor_by_name('x:0')
    gradients = tf.gradients(graph.get_tensor_by_name('loss:0'), [x] + tf.trainable_variables())
    feeds = np.random.RandomState(0).randn(*x.shape.as_list()) + 0.3
    np.savez(prefix + '.npz', *session.run(gradients, {x: feeds}))
"""


@pytest.mark.sweep(chosen=lambda name, setting: (name == 'ash') == (setting == 'auto'))
@pytest.mark.parametrize('setting', ['auto', '0'])
@pytest.mark.parametrize('name, implementation', [('ash', 'native'), ('l_ash', 'recompute')])
def test_another_process_that_only_imports_the_package_has_the_gradients(
        new_graph, name, implementation, setting, tmp_path):
    """With ASH_NATIVE=0 too, which is about new layers."""
    problem = build(towers, ops.get_activation(name, implementation))
    prefix = saved(problem, tmp_path)
    with tf.Session() as session:
        tf.train.Saver().restore(session, prefix)
        feeds = np.random.RandomState(0).randn(*SHAPE) + 0.3
        expected = session.run(problem.gradients, {problem.x: feeds})
    done = subprocess.run([sys.executable, '-c', ALONE, prefix],
                          env=dict(os.environ, PYTHONPATH=str(ROOT), ASH_NATIVE=setting),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    assert done.returncode == 0, done.stdout
    with np.load(prefix + '.npz') as found:
        assert len(found.files) == len(expected)
        for i, value in enumerate(expected):
            np.testing.assert_allclose(found['arr_%d' % i], value, rtol=1e-12)


def write_old_graph(path, form):
    """A graph as older versions wrote it: gradients in closures, and a collection."""
    closure = tf.custom_gradient(lambda x: (tf.square(x), lambda dy: dy))
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [None, 3], name='x')
        with tf.name_scope('layer/ash'):
            if form == 'recompute':
                name = closure(x).op.name
            else:
                name = ops.apply_ash(x, [0.5], [1.0], implementation=form).op.name
            with tf.name_scope('pass_share'):
                tf.add_to_collection('ash_pass_share', tf.reduce_mean(closure(x), name='layer'))
        tf.train.export_meta_graph(path)
        with open(path + '.pb', 'wb') as handle:
            handle.write(graph.as_graph_def().SerializeToString())
    return name


@pytest.mark.parametrize('find_out', [
    check_graph, ops.pass_shares, lambda: straight(tf.ones(SHAPE), ops.ASH)],
    ids=['check_graph', 'pass_shares', 'ASH'])
def test_an_imported_graph_of_the_old_form_is_refused(new_graph, tmp_path, find_out):
    name = write_old_graph(str(tmp_path / 'old.meta'), 'recompute')
    tf.train.import_meta_graph(str(tmp_path / 'old.meta'), import_scope='old')
    with pytest.raises(ValueError) as error:
        find_out()
    assert str(error.value).startswith('op {!r} was written by an older version'.format(
        'old/' + name))
    assert '\n' not in str(error.value)


def test_an_old_graph_without_its_collections_is_refused_too(new_graph, tmp_path):
    name = write_old_graph(str(tmp_path / 'old.meta'), 'recompute')
    tf.import_graph_def(tf.GraphDef.FromString((tmp_path / 'old.meta.pb').read_bytes()))
    with pytest.raises(ValueError, match="op 'import/{}' was written".format(name)):
        check_graph()


@pytest.mark.parametrize('form', ['native', 'plain'])
def test_an_old_graph_whose_gradients_are_registered_is_accepted(new_graph, tmp_path, form):
    """The old pass shares in it have gradients that are missing, but nobody differentiates them."""
    write_old_graph(str(tmp_path / 'old.meta'), form)
    tf.train.import_meta_graph(str(tmp_path / 'old.meta'))
    check_graph()
    straight(tf.ones(SHAPE), ops.ASH)
    assert list(ops.pass_shares()) == ['layer']


def test_other_graphs_pass_the_check(new_graph):
    build(towers, ops.get_activation('ash', 'recompute'))
    tf.custom_gradient(lambda x: (tf.square(x), lambda dy: dy))(tf.ones(SHAPE))
    check_graph()
    check_graph(tf.get_default_graph())


def saved(problem, tmp_path, check=None):
    """Saves the current graph with moved parameters; the prefix."""
    prefix = str(tmp_path / 'model')
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        if problem.variables:
            start(session)
            tf.train.Saver().save(session, prefix)
        else:
            tf.train.export_meta_graph(prefix + '.meta')
        if check:
            check(problem.x, session)
    return prefix


def restore(saver, session, prefix):
    if saver is not None:
        session.run(tf.global_variables_initializer())
        saver.restore(session, prefix)


def imported(scope, variables):
    """The problem of an imported graph, whose gradients are taken anew."""
    graph = tf.get_default_graph()
    problem = Problem.__new__(Problem)
    problem.x = graph.get_tensor_by_name(scope + 'x:0')
    problem.loss = graph.get_tensor_by_name(scope + 'loss:0')
    problem.variables = variables
    problem.gradients = tf.gradients(problem.loss, [problem.x] + variables)
    return problem
