"""The residual nets: their end points, and their values against a NumPy re-computation."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1.nets import resnet
from ash_tf1.nets.resnet import Block

# Both kinds of unit; the shape changes by depth and stride, by depth alone, by stride alone.
BASIC = (Block(2, 16, 1, False), Block(2, 24, 2, False))
BOTTLENECK = (Block(2, 32, 1, True), Block(1, 32, 2, True))
PROJECTED = {BASIC: {'block2/unit_1'}, BOTTLENECK: {'block1/unit_1', 'block2/unit_1'}}
EPSILON, DECAY = 1e-5, 0.9
SHAPE = (4, 7, 6, 3)  # an odd height: SAME padding then lies otherwise


def test_end_points_of_resnet_20(built):
    end_points = built('resnet_v2_20').end_points
    units = ['block%d/unit_%d' % (i, j) for i in (1, 2, 3) for j in (1, 2, 3)]
    assert list(end_points) == (['conv1'] + units
                                + ['postnorm', 'global_pool', 'logits', 'predictions'])
    assert end_points['conv1'].shape.as_list() == [None, 32, 32, 16]
    for unit, shape in zip(units, 3 * [[None, 32, 32, 16]] + 3 * [[None, 16, 16, 32]]
                           + 3 * [[None, 8, 8, 64]]):
        assert end_points[unit].shape.as_list() == shape
    assert end_points['postnorm'].shape.as_list() == [None, 8, 8, 64]
    assert end_points['global_pool'].shape.as_list() == [None, 64]


@pytest.mark.parametrize('name, units, depths', [
    ('resnet_v2_8', 1, (16, 32, 64)), ('resnet_v2_56', 9, (16, 32, 64)),
    ('resnet_v2_110', 18, (16, 32, 64)), ('resnet_v2_164', 18, (64, 128, 256))])
def test_units_of_the_family(built, name, units, depths):
    end_points = built(name).end_points
    for i, depth in enumerate(depths, 1):
        names = [n for n in end_points if n.startswith('block%d/' % i)]
        assert len(names) == units
        assert all(end_points[n].shape[3].value == depth for n in names)


def random_values(variables, seed):
    """Value of each variable, by what its name says it is."""
    rng = np.random.RandomState(seed)
    values = {}
    for variable in variables:
        kind = variable.op.name.split('/')[-1]
        shape = variable.shape.as_list()
        if kind in ('gamma', 'moving_variance'):
            value = rng.uniform(0.5, 1.5, shape)
        elif kind == 'weights':
            value = rng.randn(*shape) / np.sqrt(np.prod(shape[:-1]))
        else:
            value = 0.3 * rng.randn(*shape)
        values[variable.op.name] = value.astype(np.float32)
    return values


def convolve(x, kernel, stride):
    """SAME convolution of x [N, H, W, C] with a kernel [h, w, C, D]."""
    sizes = [-(-size // stride) for size in x.shape[1:3]]
    totals = [max((out - 1) * stride + k - size, 0)
              for out, k, size in zip(sizes, kernel.shape, x.shape[1:3])]
    x = np.pad(x, [(0, 0)] + [(total // 2, total - total // 2) for total in totals] + [(0, 0)],
               mode='constant')
    height, width = ((size - 1) * stride + 1 for size in sizes)
    return sum(x[:, i:i + height:stride, j:j + width:stride] @ kernel[i, j]
               for i in range(kernel.shape[0]) for j in range(kernel.shape[1]))


class NumpyNet:
    """The net of the paper in float64, over a dict of values; keeps the moments of each batch."""

    def __init__(self, values, is_training):
        self.values = {name: value.astype(np.float64) for name, value in values.items()}
        self.is_training = is_training
        self.moments = {}

    def norm_relu(self, x, scope):
        v = {kind: self.values['%s/BatchNorm/%s' % (scope, kind)]
             for kind in ('gamma', 'beta', 'moving_mean', 'moving_variance')}
        mean, variance = v['moving_mean'], v['moving_variance']
        if self.is_training:
            mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        self.moments[scope] = mean, variance, x[..., 0].size
        return np.maximum((x - mean) / np.sqrt(variance + EPSILON) * v['gamma'] + v['beta'], 0)

    def unit(self, x, scope, stride, bottleneck, projected):
        preact = residual = self.norm_relu(x, scope + '/preact')
        strides = (1, stride, 1) if bottleneck else (stride, 1)
        for i, conv_stride in enumerate(strides, 1):
            conv = '%s/conv%d' % (scope, i)
            residual = convolve(residual, self.values[conv + '/weights'], conv_stride)
            if i < len(strides):
                residual = self.norm_relu(residual, conv)
        if projected:
            return convolve(preact, self.values[scope + '/shortcut/weights'], stride) + residual
        return x + residual

    def __call__(self, images, blocks, scope):
        net = convolve(images, self.values[scope + '/conv1/weights'], 1)
        for i, block in enumerate(blocks, 1):
            for j in range(1, block.units + 1):
                unit = 'block%d/unit_%d' % (i, j)
                net = self.unit(net, scope + '/' + unit, block.stride if j == 1 else 1,
                                block.bottleneck, unit in PROJECTED[blocks])
        pooled = self.norm_relu(net, scope + '/postnorm').mean((1, 2))
        return pooled @ self.values[scope + '/logits/weights'] + self.values[
            scope + '/logits/biases']


@pytest.mark.parametrize('is_training', [True, False])
@pytest.mark.parametrize('blocks', [BASIC, BOTTLENECK], ids=['basic', 'bottleneck'])
def test_values_match_a_numpy_recomputation(new_graph, blocks, is_training):
    images = np.random.RandomState(1).randn(*SHAPE).astype(np.float32)
    logits, end_points = resnet.resnet_v2(tf.constant(images), blocks, 5, tf.nn.relu, is_training,
                                          scope='net')
    variables = tf.global_variables()
    values = random_values(variables, seed=0)
    numpy_net = NumpyNet(values, is_training)
    expected = numpy_net(images.astype(np.float64), blocks, 'net')
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    with tf.Session() as session:
        for variable in variables:
            variable.load(values[variable.op.name], session)
        result, predictions, _ = session.run([logits, end_points['predictions'], updates])
        after = dict(zip(values, session.run(variables)))
    # 1e-5 of the largest: float32 through ten layers.
    assert np.abs(result - expected).max() <= 1e-5 * np.abs(expected).max()
    powers = np.exp(expected - expected.max(1, keepdims=True))
    np.testing.assert_allclose(predictions, powers / powers.sum(1, keepdims=True), atol=1e-5)
    for scope, (mean, variance, count) in numpy_net.moments.items():
        for kind, moment in (('mean', mean), ('variance', variance * count / (count - 1))):
            name = '%s/BatchNorm/moving_%s' % (scope, kind)
            moved = DECAY * values[name] + (1 - DECAY) * moment if is_training else values[name]
            np.testing.assert_allclose(after[name], moved, rtol=1e-4, atol=1e-5, err_msg=name)
