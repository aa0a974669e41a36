"""The residual nets: their end points, and their values against a NumPy re-computation."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1.nets import resnet
from ash_tf1.nets.resnet import CIFAR_STEM, IMAGENET_STEM, STRIDE_PLACEMENTS, Block

# Both kinds of unit; the shape changes by depth and stride, by depth alone, by stride alone.
BASIC = (Block(2, 16, 1, False), Block(2, 24, 2, False))
BOTTLENECK = (Block(2, 32, 1, True), Block(1, 32, 2, True))
EPSILON, DECAY = 1e-5, 0.9
SHAPE = (4, 7, 6, 3)  # an odd height: SAME padding then lies otherwise
LARGE_SHAPE = (4, 19, 34, 3)  # for a stem that divides by four


@pytest.mark.sweep(chosen=lambda name, placement: placement == 'slim' or name == 'resnet_v1_50')
@pytest.mark.parametrize('placement', STRIDE_PLACEMENTS)
@pytest.mark.parametrize('name', ['resnet_v1_50', 'resnet_v2_50'])
def test_end_points_of_resnet_50(new_graph, name, placement):
    images = tf.placeholder(tf.float32, [None, 224, 224, 3])
    _, end_points = getattr(resnet, name)(images, 1000, tf.nn.relu, is_training=False,
                                          stride_placement=placement)
    units = [('block%d/unit_%d' % (i, j), 56 >> (i - 1), 128 << i)
             for i, count in enumerate((3, 4, 6, 3), 1) for j in range(1, count + 1)]
    if placement == 'slim':  # the last unit of a block has the stride of the next one
        units = [(unit, size // 2 if unit in ('block1/unit_3', 'block2/unit_4', 'block3/unit_6')
                  else size, depth) for unit, size, depth in units]
    assert list(end_points) == (['conv1', 'pool1'] + [unit for unit, _, _ in units]
                                + (['postnorm'] if 'v2' in name else [])
                                + ['global_pool', 'logits', 'predictions'])
    assert end_points['conv1'].shape.as_list() == [None, 112, 112, 64]
    assert end_points['pool1'].shape.as_list() == [None, 56, 56, 64]
    for unit, size, depth in units:
        assert end_points[unit].shape.as_list() == [None, size, size, depth]
    assert end_points['global_pool'].shape.as_list() == [None, 2048]


@pytest.mark.parametrize('bottleneck', [False, True])
@pytest.mark.parametrize('is_training', [False, True])
def test_a_zero_residual_begins_as_the_shortcut_and_learns(new_graph, bottleneck, is_training):
    tf.set_random_seed(3)  # by chance, all channels of a bottleneck's two may be dead
    inputs = tf.random_normal((2, 8, 8, 3), seed=1)
    _, end_points = resnet.resnet_v1(inputs, [Block(3, 8, 1, bottleneck)], 10, tf.nn.relu,
                                     is_training=is_training, zero_init_residual=True)
    units = [end_points['block1/unit_%d' % i] for i in (1, 2, 3)]
    gammas = {v.op.name: v for v in tf.trainable_variables() if v.op.name.endswith('gamma')}
    last = 'conv3' if bottleneck else 'conv2'
    slopes = tf.gradients(end_points['logits'][:, 0], [
        gamma for name, gamma in sorted(gammas.items()) if last in name])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for name, value in session.run(gammas).items():
            assert np.all(value == (0.0 if last in name else 1.0)), name
        first, second, third = session.run(units)
        assert first.any()
        np.testing.assert_array_equal(second, first)  # its ReLU finds nothing below 0
        np.testing.assert_array_equal(third, first)
        assert len(slopes) == 3 and all(slope.any() for slope in session.run(slopes))


def test_an_unknown_stride_placement_raises(new_graph):
    with pytest.raises(ValueError, match="one of first, 3x3, slim, got 'second'"):
        resnet.resnet_v1_50(tf.placeholder(tf.float32, [None, 32, 32, 3]), 10, tf.nn.relu, False,
                            stride_placement='second')


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


def pad(x, kernel, strides, symmetric, value=0.0):
    """x [N, H, W, C] as a convolution or pooling of this kernel (height, width) wants it."""
    totals = [max((-(-size // stride) - 1) * stride + k - size, 0)
              for size, k, stride in zip(x.shape[1:3], kernel, strides)]
    sides = [(k // 2, k // 2) if symmetric else (total // 2, total - total // 2)
             for k, total in zip(kernel, totals)]
    return np.pad(x, [(0, 0)] + sides + [(0, 0)], mode='constant', constant_values=value)


def windows(x, kernel, stride):
    """Every (i, j) of the kernel, with the elements of the padded x that it meets."""
    height, width = ((size - k) // stride * stride + 1 for size, k in zip(x.shape[1:3], kernel))
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            yield i, j, x[:, i:i + height:stride, j:j + width:stride]


def max_pool(x):
    x = pad(x, (3, 3), (2, 2), False, -np.inf)
    return np.max([window for _, _, window in windows(x, (3, 3), 2)], axis=0)


class NumpyNet:
    """The nets of the papers in float64, over a dict of values; keeps the moments of each batch."""

    def __init__(self, values, is_training, version, stem, placement):
        self.values = {name: value.astype(np.float64) for name, value in values.items()}
        self.is_training = is_training
        self.version, self.stem, self.placement = version, stem, placement
        self.moments = {}

    def conv(self, x, scope, stride):
        kernel = self.values[scope + '/weights']
        # Only what has a stride is padded in two ways: else both are the same.
        x = pad(x, kernel.shape[:2], (stride, stride), self.stem.symmetric_padding)
        return sum(window @ kernel[i, j] for i, j, window in windows(x, kernel.shape[:2], stride))

    def norm(self, x, scope):
        v = {kind: self.values['%s/BatchNorm/%s' % (scope, kind)]
             for kind in ('gamma', 'beta', 'moving_mean', 'moving_variance')}
        mean, variance = v['moving_mean'], v['moving_variance']
        if self.is_training:
            mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        self.moments[scope] = mean, variance, x[..., 0].size
        return (x - mean) / np.sqrt(variance + EPSILON) * v['gamma'] + v['beta']

    def norm_relu(self, x, scope):
        return np.maximum(self.norm(x, scope), 0)

    def unit(self, x, scope, depth, stride, bottleneck):
        start = self.norm_relu(x, scope + '/preact') if self.version == 'v2' else x
        strides = (stride, 1)
        if bottleneck:
            strides = (stride, 1, 1) if self.placement == 'first' else (1, stride, 1)
        residual = start
        for i, conv_stride in enumerate(strides, 1):
            conv = '%s/conv%d' % (scope, i)
            residual = self.conv(residual, conv, conv_stride)
            if i < len(strides):
                residual = self.norm_relu(residual, conv)
            elif self.version == 'v1':
                residual = self.norm(residual, conv)
        if x.shape[3] == depth:
            shortcut = x[:, ::stride, ::stride]
        else:
            shortcut = self.conv(start, scope + '/shortcut', stride)
            if self.version == 'v1':
                shortcut = self.norm(shortcut, scope + '/shortcut')
        return np.maximum(shortcut + residual, 0) if self.version == 'v1' else shortcut + residual

    def __call__(self, images, blocks, scope):
        net = self.conv(images, scope + '/conv1', self.stem.stride)
        if self.version == 'v1':
            net = self.norm_relu(net, scope + '/conv1')
        if self.stem.pool:
            net = max_pool(net)
        for i, block in enumerate(blocks, 1):
            strides = [1] * block.units
            if self.placement == 'slim':
                strides[-1] = blocks[i].stride if i < len(blocks) else 1
            else:
                strides[0] = block.stride
            for j, stride in enumerate(strides, 1):
                net = self.unit(net, '%s/block%d/unit_%d' % (scope, i, j), block.depth, stride,
                                block.bottleneck)
        if self.version == 'v2':
            net = self.norm_relu(net, scope + '/postnorm')
        return net.mean((1, 2)) @ self.values[scope + '/logits/weights'] + self.values[
            scope + '/logits/biases']


CASES = [('v2', CIFAR_STEM, blocks, placement, is_training) for blocks in (BASIC, BOTTLENECK)
         for placement, is_training in (('first', True), ('first', False), ('3x3', False))]
CASES += [('v1', IMAGENET_STEM, blocks, placement, is_training) for blocks in (BASIC, BOTTLENECK)
          for placement in STRIDE_PLACEMENTS for is_training in (True, False)]
CASES += [('v2', IMAGENET_STEM, BOTTLENECK, 'slim', True), ('v1', CIFAR_STEM, BASIC, 'first', True)]


@pytest.mark.parametrize('version, stem, blocks, placement, is_training', CASES)
def test_values_match_a_numpy_recomputation(new_graph, version, stem, blocks, placement,
                                            is_training):
    images = np.random.RandomState(1).randn(*(LARGE_SHAPE if stem.pool else SHAPE))
    images = images.astype(np.float32)
    builder = {'v1': resnet.resnet_v1, 'v2': resnet.resnet_v2}[version]
    logits, end_points = builder(tf.constant(images), blocks, 5, tf.nn.relu, is_training,
                                 scope='net', stem=stem, stride_placement=placement)
    variables = tf.global_variables()
    values = random_values(variables, seed=0)
    numpy_net = NumpyNet(values, is_training, version, stem, placement)
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
    assert len(numpy_net.moments) == len([name for name in values if name.endswith('/gamma')])
    for scope, (mean, variance, count) in numpy_net.moments.items():
        for kind, moment in (('mean', mean), ('variance', variance * count / (count - 1))):
            name = '%s/BatchNorm/moving_%s' % (scope, kind)
            moved = DECAY * values[name] + (1 - DECAY) * moment if is_training else values[name]
            np.testing.assert_allclose(after[name], moved, rtol=1e-4, atol=1e-5, err_msg=name)
