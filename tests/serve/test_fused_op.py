"""The fused op under onnxruntime: the oracle's cases, threads, what is not finite, what is refused.

The cases are those of TensorFlow's op, from tests/shared/ash_cases.py; this is their adapter.
ASH_TEST_PROVIDER=cuda runs them on a GPU, where onnxruntime-gpu and `make native CUDA=1` are.
"""
import functools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

import ash_cases
import ash_onnx
from ash_cases import CASES, DTYPES, PARAMETERS
from ash_onnx import fusing, native

CHECKPOINT = Path(__file__).resolve().parents[2] / 'checkpoints/resnet20-cifar10-ash'
PROVIDER = os.environ.get('ASH_TEST_PROVIDER', 'cpu')


@pytest.fixture(scope='session')
def library():
    """The library's path; skips where there is no compiler that could have built it."""
    try:
        return native.library(PROVIDER)
    except native.Unavailable as reason:
        if 'there is no C++ compiler' not in str(reason):
            raise
        pytest.skip(str(reason))


def build_model(dtype, rank=4, leak='0', extra=()):
    """A model of one op, over any sizes; z_k and alpha are inputs too. `extra` has more nodes."""
    parameter = 'float64' if dtype == 'float64' else 'float32'
    kinds = {'x': (dtype, [f'axis_{i}' for i in range(rank)]), 'z_k': (parameter, [1]),
             'alpha': (parameter, [1])}
    inputs = [helper.make_tensor_value_info(
        name, helper.np_dtype_to_tensor_dtype(np.dtype(kind)), shape)
        for name, (kind, shape) in kinds.items()]
    outputs = ['y', *(node.output[0] for node in extra)]
    op = helper.make_node(fusing.OP, list(kinds), ['y'], domain=fusing.DOMAIN, leak=leak)
    graph = helper.make_graph(
        [*extra, op], 'op', inputs,
        [helper.make_tensor_value_info(name, inputs[0].type.tensor_type.elem_type, kinds['x'][1])
         for name in outputs])
    return helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid('', 15), helper.make_opsetid(fusing.DOMAIN, 1)])


def open_model(model, library, threads=1):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.register_custom_ops_library(str(library))
    name = {'cpu': 'CPUExecutionProvider', 'cuda': 'CUDAExecutionProvider'}[PROVIDER]
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=[name])
    assert session.get_providers()[0] == name
    return session


@pytest.fixture(scope='session')
def run_ash(library):
    """Function (x, z_k, alpha, leak, threads) -> y, by the op."""
    @functools.lru_cache(maxsize=None)
    def session(dtype, rank, leak, threads):
        return open_model(build_model(dtype, rank, leak), library, threads)

    def run(x, z_k, alpha, leak=0.0, threads=1):
        parameters = {name: np.asarray([ash_cases.stored(value, x.dtype)])
                      for name, value in (('z_k', z_k), ('alpha', alpha))}
        y, = session(x.dtype.name, x.ndim, repr(leak), threads).run(None, {'x': x, **parameters})
        assert y.dtype == x.dtype and y.shape == x.shape
        return y
    return run


@pytest.mark.parametrize('z_k, alpha', PARAMETERS)
@pytest.mark.parametrize('dtype, kind', CASES)
def test_it_matches_the_oracle(run_ash, dtype, kind, z_k, alpha):
    x = ash_cases.make_input(kind, dtype)
    expected = ash_cases.ash(x, *(ash_cases.stored(value, dtype) for value in (z_k, alpha)))
    ash_cases.assert_close(run_ash(x, z_k, alpha), expected, x,
                           ash_cases.tolerance_of(dtype, kind, alpha))


@pytest.mark.parametrize('leak', [0.01, 0.5])
@pytest.mark.parametrize('dtype', DTYPES)
def test_leaky_ash_matches_the_oracle(run_ash, dtype, leak):
    x = ash_cases.make_input('random', dtype)
    error = np.abs(run_ash(x, 0.5, 2.0, leak) - ash_cases.ash(x, 0.5, 2.0, leak))
    assert np.all(error <= ash_cases.TOLERANCE[dtype] * ash_cases.largest(x))


@pytest.mark.parametrize('shape', ash_cases.SHAPES)
def test_any_rank_and_any_sizes(run_ash, shape):
    x = ash_cases.make_input('shifted', 'float64', shape)
    np.testing.assert_allclose(run_ash(x, 0.4, 0.8),
                               ash_cases.ash(x, 0.4, 0.8).astype('float64'), rtol=1e-12)


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('shape', [(0, 2, 2, 3), (2, 0, 2, 3)])
def test_nothing_gives_nothing(run_ash, shape, dtype):
    assert run_ash(np.zeros(shape, dtype), 0.4, 0.8).shape == shape


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('shape', ash_cases.THREADED_SHAPES)
def test_any_number_of_threads_gives_the_same_bits(run_ash, shape, dtype):
    """Sums are over the same chunks, whoever adds them."""
    x = np.random.RandomState(1).randn(*shape).astype(dtype)
    one = run_ash(x, 0.7, 1.3)
    for threads in (2, 8):
        assert run_ash(x, 0.7, 1.3, threads=threads).tobytes() == one.tobytes()


def test_16_threads_that_call_one_session_2000_times_get_the_same_bits(library):
    del library
    model = ash_onnx.load_model(CHECKPOINT, PROVIDER, fused=True)
    images = np.random.RandomState(0).randint(0, 256, (1, *model.input_shape)).astype(np.uint8)
    expected = model.run(images)[0].tobytes()
    with ThreadPoolExecutor(16) as pool:
        answers = pool.map(lambda _: model.run(images)[0].tobytes(), range(2000))
        assert all(answer == expected for answer in answers)


@pytest.mark.parametrize('size', [10**7, 10**7 + 1])
def test_a_large_sample(run_ash, size):
    x = (5 + 2 * np.random.RandomState(2).standard_normal(size)).astype('float32').reshape(1, size)
    wide = x.astype('float64')
    gate = 1 / (1 + np.exp(-2 * (wide - wide.mean() - 0.5 * wide.std())))
    np.testing.assert_allclose(run_ash(x, 0.5, 1.0, threads=2), wide * gate, rtol=0,
                               atol=2e-6 * np.abs(wide).max())


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_spoils_its_own_sample_and_no_other(run_ash, bad, dtype):
    x = np.random.RandomState(4).randn(3, 50).astype(dtype)
    x[1, 7] = bad
    y = run_ash(x, 0.5, 1.0)
    assert np.isfinite(y[[0, 2]]).all() and np.isnan(y[1, 7])


def test_every_half_is_read_and_rounded_as_numpy_does(run_ash):
    """With alpha = 0 the gate is 1/2: y is x / 2, rounded among the smallest halves alone."""
    x = np.arange(2**16, dtype=np.uint16).view(np.float16)
    x = x[np.isfinite(x)].reshape(-1, 1)
    np.testing.assert_array_equal(run_ash(x, 0.0, 0.0), x / np.float16(2))


def test_the_input_is_left_as_it_was_where_others_read_it(library):
    """The op may write onto its input, but only where nobody else has it."""
    twice = helper.make_node('Add', ['x', 'x'], ['twice'])
    model = build_model('float32', 2, extra=[twice])
    model.graph.node[1].input[0] = 'twice'
    x = np.random.RandomState(5).randn(4, 100).astype('float32')
    one = np.ones(1, 'float32')
    y, doubled = open_model(model, library).run(None, {'x': x, 'z_k': one, 'alpha': one})
    np.testing.assert_array_equal(doubled, 2 * x)
    expected = ash_cases.ash(2 * x, 1.0, 1.0)
    assert np.all(np.abs(y - expected) <= 2e-6 * np.abs(2 * x))


@pytest.mark.parametrize('shape, z_k, message', [
    ((3,), [0.0], r'rank 2 or more, batch first; got shape \[3\]'),
    ((2, 3), [0.0, 1.0], r'must have one element each; got shapes \[2\] and \[1\]')])
def test_shapes_are_checked_in_the_running_graph(library, shape, z_k, message):
    model = build_model('float32', len(shape))
    del model.graph.input[1].type.tensor_type.shape.dim[:]
    model.graph.input[1].type.tensor_type.shape.dim.add(dim_param='any')
    with pytest.raises(Exception, match=message):
        open_model(model, library).run(None, {'x': np.zeros(shape, 'float32'),
                                              'z_k': np.asarray(z_k, 'float32'),
                                              'alpha': np.ones(1, 'float32')})


@pytest.mark.parametrize('leak', ['1', '-0.1', 'nan', 'much', '', '0.5 or so'])
def test_an_impossible_leak_is_named(library, leak):
    with pytest.raises(Exception, match=rf"leak must be a number in \[0, 1\), got '{leak}'"):
        open_model(build_model('float32', leak=leak), library)


def test_a_leak_that_is_no_text_is_refused(library):
    model = build_model('float32')
    model.graph.node[0].ClearField('attribute')
    with pytest.raises(Exception, match='leak'):
        open_model(model, library)


def test_shapes_are_known_behind_it(library, tmp_path):
    """Without the op's shape a graph behind it could not be planned, nor its blocks kept."""
    model = build_model('float32', 2)
    model.graph.output[0].type.tensor_type.ClearField('shape')
    assert open_model(model, library).get_outputs()[0].shape == ['axis_0', 'axis_1']


def test_onnx_itself_takes_a_model_that_holds_it():
    onnx.checker.check_model(build_model('float32'))
