"""Every registered net as it is built, by name: once for all tests of this file.

The tests of test_nets.py build small nets of their own.
"""
import re

import pytest
import tensorflow.compat.v1 as tf

from ash_tf1 import ops
from ash_tf1.nets import NETS
from tests.train.nets.built_nets import Recorder, build_net

pytestmark = pytest.mark.fast

NON_LINEAR = {'Relu', 'Relu6', 'LeakyRelu', 'Elu', 'Selu', 'Softplus', 'Softsign', 'Sigmoid',
              'Tanh', 'Exp', 'Erf', 'Maximum', 'Minimum', 'PartitionedCall',
              'StatefulPartitionedCall'}
# A deep net takes seconds to build. What it is made of is in a shallower one of its family, too.
shallow = pytest.mark.sweep(chosen=lambda name: name in (
    'densenet_bc_100_12', 'resnet_v1_50') or not re.search(r'_\d\d\d|_[3-5]\d|_28', name))


def describe(variables):
    """A line for each variable: 'name shape', and 'untrained' where it is."""
    return ['{} {}{}'.format(v.op.name, 'x'.join(map(str, v.shape.as_list())),
                             '' if v.trainable else ' untrained') for v in variables]


@shallow
@pytest.mark.parametrize('name', sorted(NETS))
def test_shapes_of_logits_and_predictions(name):
    net = build_net(name)
    assert net.logits.shape.as_list() == [None, 10]
    assert net.logits.dtype == tf.float32
    predictions = net.end_points['predictions']
    assert predictions.shape.as_list() == [None, 10]
    assert predictions.op.type == 'Softmax'
    assert predictions.op.inputs[0] is net.logits
    assert net.logits.op.type == 'BiasAdd'  # no activation on them


@shallow
@pytest.mark.parametrize('name', sorted(NETS))
def test_names_and_shapes_of_the_variables(golden, name):
    with build_net(name).graph.as_default():
        golden(name, describe(tf.global_variables()))


@pytest.mark.parametrize('name', ['resnet_v2_8', 'resnet_v2_20', 'vgg_11'])
def test_ash_makes_these_variables_and_one_pass_share_a_layer(new_graph, golden, name):
    # The other nets are built with a stand-in for ASH: hundreds of layers of it take their time.
    NETS[name](tf.placeholder(tf.float32, [None, 32, 32, 3]), 10, ops.ASH, is_training=False)
    golden(name, describe(tf.global_variables()))
    assert list(ops.pass_shares()) == build_net(name).layers


@shallow
@pytest.mark.parametrize('name', sorted(NETS))
def test_each_call_of_the_activation_has_a_scope_of_its_own(name):
    net = build_net(name)
    assert len(set(net.layers)) == len(net.layers)
    with net.graph.as_default():
        variables = {v.op.name for v in tf.trainable_variables()}
    assert {v for v in variables if v.endswith('/z_k')} == {v + '/z_k' for v in net.layers}


@shallow
@pytest.mark.parametrize('name', sorted(NETS))
def test_no_other_non_linearity_is_hidden_in_the_net(name):
    others = [op for op in build_net(name).graph.get_operations() if Recorder.MARK not in op.name]
    assert [op.name for op in others if op.type in NON_LINEAR] == []
    assert sum(op.type == 'Softmax' for op in others) == 1


@shallow
@pytest.mark.parametrize('name', sorted(name for name in NETS if not name.startswith('vgg')))
def test_batch_norm_has_a_trained_scale(name):
    with build_net(name).graph.as_default():
        names = {v.op.name for v in tf.trainable_variables()}
    beta = {name for name in names if name.endswith('/beta')}
    layers = set(build_net(name).layers)
    if name.startswith('resnet_v1'):  # after each convolution; the sum has none of its own
        layers = {v.rsplit('/', 1)[0] for v in names if v.endswith('/weights')}
        layers.remove(name + '/logits')
    assert beta == {layer + '/BatchNorm/beta' for layer in layers}
    assert {name for name in names if name.endswith('/gamma')} == {
        name.replace('/beta', '/gamma') for name in beta}


@shallow
@pytest.mark.parametrize('name', sorted(NETS))
def test_a_net_works_from_32x32_up(name):
    shapes = [tensor.shape for tensor in build_net(name).end_points.values()]
    assert all(size is None or size > 0 for shape in shapes for size in shape.as_list())


def test_end_points_of_resnet_20():
    end_points = build_net('resnet_v2_20').end_points
    units = ['block%d/unit_%d' % (i, j) for i in (1, 2, 3) for j in (1, 2, 3)]
    assert list(end_points) == (['conv1'] + units
                                + ['postnorm', 'global_pool', 'logits', 'predictions'])
    assert end_points['conv1'].shape.as_list() == [None, 32, 32, 16]
    for unit, shape in zip(units, 3 * [[None, 32, 32, 16]] + 3 * [[None, 16, 16, 32]]
                           + 3 * [[None, 8, 8, 64]]):
        assert end_points[unit].shape.as_list() == shape
    assert end_points['postnorm'].shape.as_list() == [None, 8, 8, 64]
    assert end_points['global_pool'].shape.as_list() == [None, 64]


@shallow
@pytest.mark.parametrize('name, units, depths', [
    ('resnet_v2_8', 1, (16, 32, 64)), ('resnet_v2_56', 9, (16, 32, 64)),
    ('resnet_v2_110', 18, (16, 32, 64)), ('resnet_v2_164', 18, (64, 128, 256))])
def test_units_of_the_cifar_family(name, units, depths):
    end_points = build_net(name).end_points
    for i, depth in enumerate(depths, 1):
        names = [n for n in end_points if n.startswith('block%d/' % i)]
        assert len(names) == units
        assert all(end_points[n].shape[3].value == depth for n in names)


@pytest.mark.sweep(chosen=lambda version, layers: layers == 18 or (version, layers) == ('v1', 50))
@pytest.mark.parametrize('version', ['v1', 'v2'])
@pytest.mark.parametrize('layers, units', [(18, (2, 2, 2, 2)), (34, (3, 4, 6, 3)),
                                           (50, (3, 4, 6, 3)), (101, (3, 4, 23, 3)),
                                           (152, (3, 8, 36, 3))])
def test_units_of_the_imagenet_family(version, layers, units):
    end_points = build_net('resnet_{}_{}'.format(version, layers)).end_points
    for i, count in enumerate(units, 1):
        names = [n for n in end_points if n.startswith('block%d/' % i)]
        assert len(names) == count
        depth = (64 if layers < 50 else 256) << (i - 1)
        assert all(end_points[n].shape[3].value == depth for n in names)


@shallow
@pytest.mark.parametrize('name, depths', [('densenet_100_12', (400, 784, 1168)),
                                          ('densenet_bc_100_12', (216, 300, 342))])
def test_end_points_of_the_densenets(name, depths):
    end_points = build_net(name).end_points
    assert list(end_points) == ['conv1', 'block1', 'transition1', 'block2', 'transition2',
                                'block3', 'postnorm', 'global_pool', 'logits', 'predictions']
    for i, (size, depth) in enumerate(zip((32, 16, 8), depths), 1):
        assert end_points['block%d' % i].shape.as_list() == [None, size, size, depth]
    kept = 0.5 if 'bc' in name else 1.0
    assert end_points['transition1'].shape.as_list() == [None, 16, 16, int(depths[0] * kept)]
