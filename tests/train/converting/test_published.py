"""ASH as other people's code spells it with TensorFlow's ops, from the paper's formula.

Each spelling is recognised and replaced by portable ops with the same values. What resembles ASH
and is another function stays what it is.
"""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1.converting import lowering, onnx_model

pytestmark = pytest.mark.fast

Z_K, ALPHA = 0.3, 0.7


@pytest.fixture(autouse=True)
def new_graph():
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        yield


def oracle(x, z_k=Z_K, alpha=ALPHA):
    """ASH in float64, by another form of the logistic function."""
    x = np.asarray(x, np.float64)
    flat = x.reshape(len(x), -1)
    shape = (-1,) + (1,) * (x.ndim - 1)
    threshold = flat.mean(1) + z_k * flat.std(1)
    return x * (0.5 + 0.5 * np.tanh(alpha * (x - threshold.reshape(shape))))


def samples(shape, seed=0):
    """Samples of different mean and deviation; the last one is constant, where there are more."""
    rng = np.random.RandomState(seed)
    sizes = [size or open_size for size, open_size in zip(shape, (4, 6, 5, 3))]
    scale = np.arange(1, sizes[0] + 1).reshape([-1] + [1] * (len(sizes) - 1))
    x = rng.standard_normal(sizes) * scale + 3 - scale
    x[1:][-1:] = 0.25
    return x.astype('f')


def axes(x):
    return list(range(1, x.shape.ndims))


def moments(x, **options):
    mean, variance = tf.nn.moments(x, axes(x), **options)
    return mean, tf.sqrt(variance)


def argument(x, z_k, alpha):
    mean, deviation = moments(x, keep_dims=True)
    return 2.0 * alpha * (x - mean - z_k * deviation)


def gate(write):
    """A spelling of ASH: write(x, u), with u = 2 alpha (x - mean - z_k sigma) by tf.nn.moments."""
    return lambda x, z_k, alpha: write(x, argument(x, z_k, alpha))


def deviation(write):
    """A spelling of ASH in which write(x, mean) is the standard deviation."""
    def ash(x, z_k, alpha):
        mean = tf.reduce_mean(x, axes(x), keepdims=True)
        return x / (1.0 + tf.exp(-2.0 * alpha * (x - mean - z_k * write(x, mean))))
    return ash


def expanded(x, z_k, alpha):
    mean, sigma = moments(x, keep_dims=True)
    return x / (1.0 + tf.exp(-2.0 * alpha * x + 2.0 * alpha * tf.stop_gradient(mean)
                             + 2.0 * alpha * z_k * sigma))


def without_axes_kept(restore):
    def ash(x, z_k, alpha):
        mean, sigma = (restore(value, x) for value in moments(x))
        return x / (1.0 + tf.exp(-2.0 * alpha * (x - mean - z_k * sigma)))
    return ash


def threshold_first(x, z_k, alpha):
    mean, sigma = moments(x, keep_dims=True)
    return x / (tf.math.exp((mean + sigma * z_k - x) * (alpha * 2.0)) + 1.0)


def flattened(x, z_k, alpha):
    mean, variance = tf.nn.moments(tf.layers.flatten(x), [1])
    shape = [-1] + [1] * (x.shape.ndims - 1)
    mean, variance = tf.reshape(mean, shape), tf.reshape(variance, shape)
    return x / (1.0 + tf.exp(-2.0 * alpha * (x - mean - z_k * tf.sqrt(variance))))


def rows(x, z_k, alpha):
    """Flattened to sizes that are computed while the graph runs."""
    flat = tf.reshape(x, [-1, tf.reduce_prod(tf.shape(x)[1:])])
    mean, sigma = (expand(value, x) for value in moments(flat))
    return x / (1.0 + tf.exp(-2.0 * alpha * (x - mean - z_k * sigma)))


def placed(x, z_k, alpha):
    """With the names of nodes that TensorFlow is to put its ops beside."""
    with tf.colocate_with(z_k):
        return SPELLINGS['x / (1 + exp(-u))'](x, z_k, alpha)


def mean_square(x):
    return tf.reduce_mean(tf.square(x), axes(x), keepdims=True)


def expand(value, x):
    for axis in axes(x):
        value = tf.expand_dims(value, axis)
    return value


SPELLINGS = {
    'x / (1 + exp(-u))': gate(lambda x, u: x / (1.0 + tf.exp(-u))),
    'tf.div': gate(lambda x, u: tf.div(x, 1.0 + tf.exp(-u))),
    'tf.divide': gate(lambda x, u: tf.divide(x, tf.add(tf.exp(-u), 1.0))),
    'x * (1 / d)': gate(lambda x, u: x * (1.0 / (1.0 + tf.exp(-u)))),
    '(1 / d) * x': gate(lambda x, u: tf.multiply(1.0 / (1.0 + tf.exp(-u)), x)),
    'reciprocal': gate(lambda x, u: x * tf.math.reciprocal(1.0 + tf.exp(-u))),
    'x * (e / d)': gate(lambda x, u: x * (tf.exp(u) / (1.0 + tf.exp(u)))),
    'x * e / d': gate(lambda x, u: x * tf.exp(u) / (tf.exp(u) + 1.0)),
    'x * sigmoid': gate(lambda x, u: x * tf.sigmoid(u)),
    'sigmoid * identity': gate(lambda x, u: tf.nn.sigmoid(u) * tf.identity(x)),
    'expanded': expanded,
    'threshold first': threshold_first,
    'flattened': flattened,
    'rows': rows,
    'axes in reshape': without_axes_kept(
        lambda value, x: tf.reshape(value, [-1] + [1] * len(axes(x)))),
    'axes in expand_dims': without_axes_kept(expand),
    'axes in a slice': without_axes_kept(
        lambda value, x: value[(slice(None),) + (tf.newaxis,) * len(axes(x))]),
    'root of mean of squares': deviation(lambda x, mean: tf.sqrt(mean_square(x - mean))),
    'E[x^2] - E[x]^2': deviation(lambda x, mean: tf.sqrt(tf.nn.relu(
        mean_square(x) - tf.square(mean)))),
    'product and power': deviation(lambda x, mean: tf.pow(tf.maximum(0.0, tf.reduce_mean(
        x * x, axes(x), keepdims=True) - mean * mean), 0.5)),
    'reduce_std': deviation(lambda x, mean: tf.math.reduce_std(x, axes(x), keepdims=True)),
    'placed': placed,
    'epsilon': deviation(lambda x, mean: tf.sqrt(mean_square(x - mean) + 1e-14)),
    'epsilon outside': deviation(lambda x, mean: tf.sqrt(mean_square(x - mean)) + 1e-7),
}
SHAPES = [(None, 6, 5, 3), (None, None, None, 3), (4, 4), (1, 6, 5, 3)]


def parameter(value, name, shape=(1,), dtype=tf.float32):
    """A frozen variable, as its readers see it."""
    return tf.identity(tf.constant(np.full(shape, value), dtype), name + '/read')


def graph_of(ash, shape, dtype=tf.float32):
    """A graph from x to out with one spelling of ASH."""
    x = tf.placeholder(dtype, shape, name='x')
    tf.identity(ash(x, parameter(Z_K, 'z_k', dtype=dtype), parameter(ALPHA, 'alpha', dtype=dtype)),
                name='out')
    return tf.get_default_graph().as_graph_def()


def run(graph_def, x):
    signature = onnx_model.Signature((('x', 'x:0'),), (('out', 'out:0'),))
    return onnx_model.run_frozen(graph_def, signature, x)[0]


def ops_of(graph_def):
    """The op types that the output depends on."""
    return [node.op for node in tf.graph_util.extract_sub_graph(graph_def, ['out']).node]


@pytest.mark.parametrize('shape', SHAPES, ids=str)
@pytest.mark.parametrize('spelling', SPELLINGS)
def test_every_spelling_is_recognised(spelling, shape):
    graph_def = graph_of(SPELLINGS[spelling], shape)
    layer, = lowering.find_layers(graph_def)
    assert layer.form == ('sigmoid' if 'sigmoid' in spelling else 'exponential')
    np.testing.assert_allclose([layer.z_k, layer.alpha], [Z_K, ALPHA], rtol=1e-6)
    lowered = lowering.lower(graph_def)
    assert not set(ops_of(lowered)) & {'Exp', 'RealDiv', 'SquaredDifference', 'StopGradient'}
    x = samples(shape)
    np.testing.assert_allclose(run(lowered, x), oracle(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize('dtype, atol', [(tf.float64, 1e-12), (tf.float16, 1e-2)],
                         ids=['float64', 'float16'])
def test_other_dtypes(dtype, atol):
    graph_def = graph_of(SPELLINGS['x / (1 + exp(-u))'], (None, 6, 5, 3), dtype)
    layer, = lowering.find_layers(graph_def)
    x = samples((None, 6, 5, 3)).astype(dtype.as_numpy_dtype)
    np.testing.assert_allclose(run(lowering.lower(graph_def), x),
                               oracle(x, layer.z_k, layer.alpha), rtol=0, atol=atol)
    np.testing.assert_allclose([layer.z_k, layer.alpha], [Z_K, ALPHA], rtol=1e-3)


CONSTANTS = {
    'scalars': lambda: (tf.constant(Z_K), tf.constant(ALPHA)),
    'of rank 4': lambda: (parameter(Z_K, 'z_k', (1, 1, 1, 1)), parameter(ALPHA, 'a', (1, 1, 1, 1))),
    'numbers': lambda: (Z_K, ALPHA),
    'softplus': lambda: (Z_K, tf.nn.softplus(parameter(np.log(np.expm1(ALPHA)), 'a'))),
    'exp': lambda: (Z_K, tf.exp(parameter(np.log(ALPHA), 'a'))),
    'clipped': lambda: (tf.clip_by_value(parameter(Z_K, 'z_k'), 0.0, 3.0), tf.abs(-ALPHA)),
}


@pytest.mark.parametrize('kind', CONSTANTS)
def test_parameters_of_any_making(kind):
    graph_def = graph_of(lambda x, *unused: SPELLINGS['expanded'](x, *CONSTANTS[kind]()),
                         (None, 6, 5, 3))
    layer, = lowering.find_layers(graph_def)
    np.testing.assert_allclose([layer.z_k, layer.alpha], [Z_K, ALPHA], rtol=1e-6)


def test_equation_5_with_its_minus_sign_stays_what_it_is():
    ash = gate(lambda x, u: x / (1.0 + tf.exp(u)))
    graph_def = graph_of(ash, (None, 6, 5, 3))
    layer, = lowering.find_layers(graph_def)
    np.testing.assert_allclose([layer.z_k, layer.alpha], [Z_K, -ALPHA], rtol=1e-6)
    x = samples((None, 6, 5, 3))
    np.testing.assert_allclose(run(lowering.lower(graph_def), x), oracle(x, alpha=-ALPHA),
                               rtol=0, atol=1e-5)


def over(*given, **options):
    """x / (1 + exp(-u)) with statistics over other axes."""
    def ash(x, z_k, alpha):
        mean, variance = tf.nn.moments(x, *given, **dict(options, keep_dims=True))
        return x / (1.0 + tf.exp(-2.0 * alpha * (x - mean - z_k * tf.sqrt(variance))))
    return ash


def along_channels(x, z_k, alpha):
    """Statistics [N], which broadcasting lays along C = N."""
    mean, sigma = moments(x)
    return x / (1.0 + tf.exp(-2.0 * alpha * (x - mean - z_k * sigma)))


def of_a_convolution(x, z_k, alpha):
    u = tf.nn.conv2d(x, tf.constant(np.eye(4), tf.float32, (1, 1, 4, 4)), 1, 'SAME')
    return x * (tf.exp(u) / (1.0 + tf.exp(u)))


def of_another(x, z_k, alpha):
    return x / (1.0 + tf.exp(-argument(tf.nn.relu(x), z_k, alpha)))


def outer_product(x, z_k, alpha):
    x = tf.reshape(x, [len(axes(x)) + 1, -1, 1])
    return x / (1.0 + tf.exp(-tf.reshape(argument(x, z_k, alpha), [x.shape[0], 1, -1])))


def of_one_row(x, z_k, alpha):
    """Statistics of the batch, whose shape does not show that."""
    mean, variance = tf.nn.moments(tf.reshape(x, [1, -1]), [1])
    return x / (1.0 + tf.exp(-2.0 * alpha * (x - mean - z_k * tf.sqrt(variance))))


OTHERS = {
    'swish': lambda x, *unused: x / (1.0 + tf.exp(-x)),
    'swish with a bias': gate(lambda x, u: x / (1.0 + tf.exp(0.5 - x))),
    'of the batch': over([0, 1, 2, 3]),
    'of a channel': over([0, 1, 2]),
    'of a map': over([1, 2]),
    'of the batch as one row': of_one_row,
    'of the samples in reverse': without_axes_kept(lambda value, x: expand(value[::-1], x)),
    'of a part': lambda x, z_k, alpha: x / (1.0 + tf.exp(-2.0 * alpha * (x - sum(
        moments(x[:, 1:], keep_dims=True))))),
    'an outer product': outer_product,
    'along the channels': along_channels,
    'of another tensor': of_another,
    'a large epsilon': deviation(lambda x, mean: tf.sqrt(mean_square(x - mean) + 1e-3)),
    'a large floor': deviation(lambda x, mean: tf.sqrt(tf.maximum(mean_square(x - mean), 0.1))),
    'the variance': deviation(lambda x, mean: mean_square(x - mean)),
    'the absolute deviation': deviation(
        lambda x, mean: tf.reduce_mean(tf.abs(x - mean), axes(x), keepdims=True)),
    'the root of the mean of squares': deviation(lambda x, mean: tf.sqrt(mean_square(x))),
    'alpha for each channel': lambda x, z_k, alpha: x / (
        1.0 + tf.exp(-argument(x, z_k, tf.constant([0.5, 0.6, 0.7, 0.8])))),
    'clipped': gate(lambda x, u: x / (1.0 + tf.exp(tf.clip_by_value(-u, -1.0, 1.0)))),
    'of a convolution': of_a_convolution,
}


@pytest.mark.parametrize('kind', OTHERS)
def test_other_arguments_of_the_gate_stay_what_they_are(kind):
    graph_def = graph_of(OTHERS[kind], (4, 6, 5, 4))
    assert not lowering.find_layers(graph_def)
    lowered = lowering.lower(graph_def)
    ops = ops_of(lowered)
    assert 'Exp' not in ops and ops.count('Sigmoid') == 1
    x = samples((4, 6, 5, 4))
    np.testing.assert_allclose(run(lowered, x), run(graph_def, x), rtol=1e-5, atol=1e-6)


NO_GATES = {
    'logistic curve': gate(lambda x, u: 5.0 / (1.0 + tf.exp(-x))),
    'two': gate(lambda x, u: x / (2.0 + tf.exp(-u))),
    'power of two': gate(lambda x, u: x / (1.0 + tf.pow(2.0, -u))),
    'sigmoid': gate(lambda x, u: x * tf.sigmoid(x)),
    'of the batch': gate(lambda x, u: x * tf.sigmoid(x - tf.reduce_mean(x))),
    'different exponents': gate(lambda x, u: x * (tf.exp(u) / (1.0 + tf.exp(x)))),
    'a linear unit with a gate': gate(lambda x, u: x / (1.0 + tf.exp(-tf.sin(x)))),
    'logistic curve of exponentials': gate(lambda x, u: tf.exp(x) / (1.0 + tf.exp(x))),
    'constant': gate(lambda x, u: x / (1.0 + tf.exp(tf.constant(30.0)))),
    'tanh': gate(lambda x, u: (tf.exp(x) - 1.0) / (tf.exp(x) + 1.0)),
    'logistic function': gate(lambda x, u: tf.exp(x) * (1.0 / (1.0 + tf.exp(x)))),
    'broadcast': gate(lambda x, u: x[:, :1] / (1.0 + tf.exp(-x))),
    'a sum': gate(lambda x, u: x + 1.0 / (1.0 + tf.exp(-u))),
}


@pytest.mark.parametrize('kind', NO_GATES)
def test_what_is_no_such_gate_is_left_alone(kind):
    graph_def = graph_of(NO_GATES[kind], (None, 6, 5, 3))
    assert not lowering.find_layers(graph_def)
    assert lowering.lower(graph_def).node == graph_def.node


def gradient(graph_def, x):
    with tf.Graph().as_default(), tf.Session() as session:
        inputs, y = tf.import_graph_def(graph_def, name='', return_elements=['x:0', 'out:0'])
        return session.run(tf.gradients(y, inputs)[0], {inputs: x})


@pytest.mark.parametrize('spelling, source_has_nan', [
    ('x / (1 + exp(-u))', False), ('x * (e / d)', True), ('x * e / d', True)])
def test_what_overflowed_is_right(spelling, source_has_nan):
    """Values relative to the largest: at 1e4 float32 knows u to 1e-3, which moves no open gate."""
    graph_def = graph_of(SPELLINGS[spelling], (None, 6, 5, 3))
    x = 1e4 * samples((None, 6, 5, 3))
    lowered = lowering.lower(graph_def)
    assert np.isnan(run(graph_def, x)).any() == source_has_nan
    np.testing.assert_allclose(run(lowered, x), oracle(x), rtol=0, atol=1e-5 * np.abs(x).max())


def test_a_variance_that_rounds_below_zero_is_right():
    graph_def = graph_of(deviation(lambda x, mean: tf.sqrt(
        mean_square(x) - tf.square(mean))), (None, 16, 16, 3))
    x = np.full((8, 16, 16, 3), np.arange(8).reshape(-1, 1, 1, 1) + 100.1, 'f')
    assert np.isnan(run(graph_def, x)).any()
    np.testing.assert_allclose(run(lowering.lower(graph_def), x), oracle(x), rtol=1e-3)


@pytest.mark.parametrize('kind', ['swish', 'of the batch', 'of a convolution'])
def test_other_gates_that_overflowed_are_finite(kind):
    graph_def = graph_of(OTHERS[kind], (4, 6, 5, 4))
    x = 1e4 * samples((4, 6, 5, 4))
    assert np.isnan(gradient(graph_def, x)).any()
    lowered = lowering.lower(graph_def)
    assert np.isfinite(run(lowered, x)).all() and np.isfinite(gradient(lowered, x)).all()


def test_a_product_that_may_be_read_in_two_ways_is_one_layer():
    def ash(x, z_k, alpha):
        share = tf.exp(x) / (1.0 + tf.exp(x))
        return SPELLINGS['(1 / d) * x'](share, z_k, alpha)
    graph_def = graph_of(ash, (None, 6, 5, 3))
    assert len(lowering.find_layers(graph_def)) == 1
    x = samples((None, 6, 5, 3))
    np.testing.assert_allclose(run(lowering.lower(graph_def), x), run(graph_def, x),
                               rtol=0, atol=1e-5)


def test_complex_numbers_are_left_alone():
    graph_def = graph_of(OTHERS['swish'], (None, 7), tf.complex64)
    assert lowering.lower(graph_def).node == graph_def.node


def test_names_that_are_taken_are_left_to_their_owners():
    def ash(x, z_k, alpha):
        y = SPELLINGS['x / (1 + exp(-u))'](x, z_k, alpha)
        tf.constant(1.0, name=y.op.name + '/Sigmoid')
        return y
    graph_def = graph_of(ash, (None, 7))
    lowered = lowering.lower(graph_def)
    names = [node.name for node in lowered.node]
    assert len(set(names)) == len(names) and set(names) > {node.name for node in graph_def.node}
    x = samples((None, 7))
    np.testing.assert_allclose(run(lowered, x), oracle(x), rtol=0, atol=1e-5)


def test_what_lowering_makes_is_recognised_as_ash():
    lowered = lowering.lower(graph_of(SPELLINGS['expanded'], (None, 6, 5, 3)))
    layers = [layer for layer in lowering.find_layers(lowered) if layer.name.startswith('truediv')]
    assert [layer.form for layer in layers] == ['sigmoid']
