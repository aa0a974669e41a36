"""Which nodes are ASH: every age and form that an artifact may hold, and what is almost it."""
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import ash_cases
import ash_onnx
from ash_onnx import fusing
from ash_onnx.artifact import AshForm
from ash_onnx.verify import format_verification

ROOT = Path(__file__).resolve().parents[2]
CHECKPOINT = ROOT / 'checkpoints/resnet20-cifar10-ash'
Z_K, ALPHA, LEAK = 0.4, 1.25, 0.125
SHAPE = ('N', 3, 4, 5)

pytestmark = pytest.mark.usefixtures('library')


class Nodes:
    """Collects nodes; each is given by its type, inputs and attributes, and returns its output."""

    def __init__(self, dtype, prefix=''):
        self.nodes, self.constants, self.dtype = [], {}, np.dtype(dtype)
        self.prefix = prefix

    def constant(self, value, dtype=None):
        name = f'{self.prefix}constant_{len(self.constants)}'
        self.constants[name] = np.asarray(value, dtype or self.dtype)
        return name

    def __call__(self, op_type, *inputs, output=None, **attributes):
        output = output or f'{self.prefix}{op_type}_{len(self.nodes)}'
        self.nodes.append(helper.make_node(op_type, inputs, [output], **attributes))
        return output


def ash(add, x, y, rank=4, opset=15, floor=None, reshaped=False, swapped=False, power=False,
        keep=True, leak=0.0, axes=None, z_k=Z_K, slope=2 * ALPHA, square_of=None, gated=None,
        share=None, ones=0):
    """ASH as nodes: from `floor` on, what differs between ages, sources, and what is not ASH."""
    def mean(value):
        over = list(range(1, rank)) if axes is None else axes
        if opset < 18:
            return flat(add('ReduceMean', value, axes=over, keepdims=int(keep)))
        return flat(add('ReduceMean', value, add.constant(over, np.int64), keepdims=int(keep)))

    def flat(value):
        if not reshaped and keep:
            return value
        shape = add.constant([-1] + [1] * (rank - 1), np.int64)
        return add('Reshape', value, shape)

    def times(value, factor):
        factor = add.constant(np.reshape(factor, [1] * ones) if ones else factor)
        return add('Mul', *((value, factor) if swapped else (factor, value)))

    centred = add('Sub', x, mean(x))
    square_of = square_of or centred
    square = (add('Pow', square_of, add.constant(2)) if power else
              add('Mul', square_of, square_of))
    variance = mean(square)
    if floor is not None:
        variance = add('Max', variance, add.constant(np.full([1] * rank, floor)))
    offset = flat(times(add('Sqrt', variance), z_k))
    gate = add('Sigmoid', times(add('Sub', centred, offset), slope))
    if leak:
        gate = add('Add', times(gate, 1 - leak if share is None else share),
                   add.constant(np.reshape(leak, [1] * ones)))
    add('Mul', *((gated or x, gate) if not swapped else (gate, gated or x)), output=y)


def build(write, dtype='float32', shape=SHAPE, opset=15, outputs=('y',)):
    """A model of the nodes that a function writes, from x to y."""
    add = Nodes(dtype)
    write(add)
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        add.nodes, 'ash', [helper.make_tensor_value_info('x', element, shape)],
        [helper.make_tensor_value_info(name, element, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in add.constants.items()])
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid('', opset)])


def run(model, x, library=None):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if library:
        options.register_custom_ops_library(str(library))
    session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                           providers=['CPUExecutionProvider'])
    return session.run(None, {'x': x})


def ops(model):
    return Counter(node.op_type for node in model.graph.node)


FORMS = {
    'today\'s': {},
    'with the floor of its variance': dict(floor=np.finfo(np.float32).tiny),
    'as between convolutions': dict(floor=np.finfo(np.float32).tiny, reshaped=True),
    'operands the other way round': dict(swapped=True),
    'square as a power': dict(power=True),
    'means that lose their axes': dict(keep=False),
    'leaky': dict(leak=LEAK),
    'leaky, the other way round': dict(leak=LEAK, swapped=True),
    'leaky, with constants of the rank of a map': dict(leak=LEAK, ones=4),
    'opset 18': dict(opset=18),
    'axes from the end': dict(axes=[-1, -3, -2]),
    'a gate turned around': dict(slope=-2 * ALPHA),
    'z_k = 0': dict(z_k=0.0),
}


@pytest.mark.parametrize('dtype', ['float32', 'float64'])
@pytest.mark.parametrize('form', FORMS)
def test_every_form_becomes_one_op_that_answers_the_same(library, form, dtype):
    settings = FORMS[form]
    opset = settings.get('opset', 15)
    model = build(lambda add: ash(add, 'x', 'y', **settings), dtype, opset=opset)
    x = np.random.RandomState(0).randn(6, 3, 4, 5).astype(dtype)
    portable, = run(model, x)
    assert len(fusing.fuse(model)) == 1
    assert ops(model) == {'Ash': 1}
    fused, = run(model, x, library)
    expected = ash_cases.ash(x, settings.get('z_k', Z_K), settings.get('slope', 2 * ALPHA) / 2,
                             settings.get('leak', 0.0))
    tolerance = {'float32': 2e-6, 'float64': 1e-14}[dtype] * np.abs(x).max()
    assert np.all(np.abs(portable - expected) <= tolerance)
    assert np.all(np.abs(fused - expected) <= tolerance)


@pytest.mark.parametrize('rank', [2, 3, 5])
def test_any_rank(library, rank):
    shape = ['N', 3, 4, 5, 2][:rank]
    model = build(lambda add: ash(add, 'x', 'y', rank), shape=shape)
    assert len(fusing.fuse(model)) == 1
    x = np.random.RandomState(0).randn(6, *shape[1:]).astype('float32')
    np.testing.assert_allclose(run(model, x, library)[0], ash_cases.ash(x, Z_K, ALPHA), rtol=2e-6)


def test_open_sizes_are_fine_and_an_unknown_rank_is_not():
    assert len(fusing.fuse(build(lambda add: ash(add, 'x', 'y'), shape=('N', 'H', 'W', None)))) == 1
    assert len(fusing.fuse(build(lambda add: ash(add, 'x', 'y'), shape=None))) == 0


ALMOST = {
    'statistics of a part': dict(axes=[1, 2]),
    'statistics over the batch too': dict(axes=[0, 1, 2, 3]),
    'a floor that matters': dict(floor=1e-3),
    'a square of x': dict(square_of='x'),
    'a gate for another tensor': dict(gated='other'),
    'a leak and a share that do not add up': dict(leak=LEAK, share=0.5),
    'a leak above 1': dict(leak=1.5),
    'z_k for each channel': dict(z_k=np.full((3, 1, 1), Z_K)),
    'alpha for each channel': dict(slope=np.full((3, 1, 1), 2 * ALPHA)),
    'z_k that is no number': dict(z_k=np.nan),
    'constants that raise the rank': dict(ones=5),
}


@pytest.mark.parametrize('case', ALMOST)
def test_what_is_almost_ash_stays_as_it_is(case):
    def write(add):
        add('Neg', 'x', output='other')
        ash(add, 'x', 'y', **ALMOST[case])
    model = build(write)
    before = model.SerializeToString()
    assert len(fusing.fuse(model)) == 0
    assert model.SerializeToString() == before


def test_parameters_that_the_caller_may_change_are_no_constants():
    model = build(lambda add: ash(add, 'x', 'y'))
    scalars = [tensor for tensor in model.graph.initializer if not tensor.dims]
    for tensor in scalars:  # as models before IR version 4 have it
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, []))
    assert len(scalars) == 2 and len(fusing.fuse(model)) == 0


def test_what_others_read_is_left(library):
    """The mean of an ASH that is an output too, and two layers that share their statistics."""
    def write(add):
        ash(add, 'x', 'y')
        add('Identity', add.nodes[0].output[0], output='mean')
    model = build(write, outputs=('y', 'mean'))
    x = np.random.RandomState(0).randn(2, 3, 4, 5).astype('float32')
    before = run(model, x)
    assert len(fusing.fuse(model)) == 1
    assert ops(model) == {'ReduceMean': 1, 'Identity': 1, 'Ash': 1}
    for one, other in zip(before, run(model, x, library), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_one_after_the_other(library):
    def write(add):
        ash(add, 'x', 'between')
        ash(add, 'between', 'y', leak=LEAK)
    model = build(write)
    assert len(fusing.fuse(model)) == 2 and ops(model) == {'Ash': 2}
    x = np.random.RandomState(0).randn(2, 3, 4, 5).astype('float32')
    expected = ash_cases.ash(ash_cases.ash(x, Z_K, ALPHA), Z_K, ALPHA, LEAK)
    np.testing.assert_allclose(run(model, x, library)[0], expected, atol=1e-5)


@pytest.mark.parametrize('only', [True, False])
def test_a_half_goes_in_and_out_as_it_is(library, only):
    """float16 is computed in float, between casts; the op does that itself, where nobody looks."""
    def write(add):
        add.dtype = np.dtype('float32')
        add('Cast', 'x', output='wide', to=TensorProto.FLOAT)
        ash(add, 'wide', 'wide_y')
        add('Cast', 'wide_y', output='y', to=TensorProto.FLOAT16)
        if not only:
            add('Cast', 'wide_y', output='more', to=TensorProto.FLOAT16)
    model = build(write, 'float16', outputs=('y',) if only else ('y', 'more'))
    assert len(fusing.fuse(model)) == 1
    assert ops(model) == ({'Ash': 1} if only else {'Cast': 3, 'Ash': 1})
    x = np.random.RandomState(0).randn(2, 3, 4, 5).astype('float16')
    for y in run(model, x, library):
        assert np.all(np.abs(y - ash_cases.ash(x, Z_K, ALPHA)) <= 2e-3 * np.abs(x))


def test_branches_are_fused_too(library):
    """With constants from outside; both branches read the x outside."""
    inner = Nodes('float32', 'then_')
    ash(inner, 'x', 'then')
    constants = [numpy_helper.from_array(value, name) for name, value in inner.constants.items()]
    branch = helper.make_graph(inner.nodes, 'branch', [], [
        helper.make_tensor_value_info('then', TensorProto.FLOAT, SHAPE)])
    other = helper.make_graph([helper.make_node('Neg', ['x'], ['otherwise'])], 'other', [], [
        helper.make_tensor_value_info('otherwise', TensorProto.FLOAT, SHAPE)])

    def write(add):
        some = add('Greater', add('Size', 'x'), add.constant(1, np.int64))
        add('If', some, output='y', then_branch=branch, else_branch=other)
    model = build(write)
    model.graph.initializer.extend(constants)
    assert len(fusing.fuse(model)) == 1
    x = np.random.RandomState(0).randn(2, 3, 4, 5).astype('float32')
    np.testing.assert_allclose(run(model, x, library)[0], ash_cases.ash(x, Z_K, ALPHA), rtol=2e-6)


@pytest.mark.parametrize('damage', ['circle', 'no inputs', 'no output'])
def test_damaged_graphs_are_left_to_onnxruntime(damage):
    model = build(lambda add: ash(add, 'x', 'y', reshaped=True))
    for node in model.graph.node:
        if damage == 'circle' and node.op_type == 'Reshape':
            node.input[0] = node.output[0]
        if damage == 'no inputs' and node.op_type in ('Sqrt', 'Reshape'):
            del node.input[:]
        if damage == 'no output' and node.op_type == 'Sigmoid':
            del node.output[:]
    assert len(fusing.fuse(model)) == 0


@pytest.mark.parametrize('deviations', [1, 1e2, 1e4, 1e6])
@pytest.mark.parametrize('evaluator', ['onnxruntime', 'reference'])
def test_the_portable_form_loses_what_float32_loses_and_no_more(evaluator, deviations):
    """A mean of so many deviations is known to float32's rounding of it, and so is the threshold.

    |y - y*| <= |x| * 2 alpha * |error of the threshold| / 4, the error being 2 roundings of the
    mean and what the sums lose; beside it 2e-6 of |x|.
    """
    x = (deviations + np.random.RandomState(0).randn(4, 3, 16, 16)).astype('float32')
    model = build(lambda add: ash(add, 'x', 'y'), shape=('N', 3, 16, 16))
    y = (run(model, x) if evaluator == 'onnxruntime'
         else ReferenceEvaluator(model).run(None, {'x': x}))[0]
    blur = 4 * np.finfo(np.float32).eps * deviations
    error = np.abs(y - ash_cases.ash(x, Z_K, ALPHA)) / np.abs(x)
    assert error.max() <= 2e-6 + min(1, 2 * ALPHA * blur / 4)


def answers(path, fused):
    model = ash_onnx.load_model(path, fused=fused)
    images = np.random.RandomState(0).randint(0, 256, (4, *model.input_shape)).astype(np.uint8)
    return model.form, model.run(images)[0]


def test_the_shipped_artifact_answers_the_same_in_both_forms():
    """It is of the age of the floor and the Reshapes."""
    (fused, one), (portable, other) = answers(CHECKPOINT, True), answers(CHECKPOINT, False)
    assert (fused, portable) == (AshForm(19, True), AshForm(19, False))
    assert answers(CHECKPOINT, 'auto')[0] == fused
    assert np.abs(one - other).max() <= 2e-6 * np.abs(other).max()


@pytest.mark.parametrize('fused', [True, False, 'auto'])
def test_verification_says_which_form_ran(fused):
    result = ash_onnx.verify(ash_onnx.load_model(CHECKPOINT, fused=fused))
    assert result.passed
    assert result.to_dict()['form'] == {'layers': 19, 'fused': fused is not False}
    said = '19 ASH fused' if fused else '19 ASH as portable nodes'
    assert format_verification(result).endswith(f'passed on cpu, {said}')


def test_a_model_may_hold_fused_ops_itself(tmp_path):
    model = onnx.load(CHECKPOINT / 'model.onnx')
    assert len(fusing.fuse(model)) == 19
    onnx.save(model, tmp_path / 'model.onnx')
    assert answers(tmp_path, 'auto')[0] == AshForm(19, True)
    with pytest.raises(ValueError, match='19 ASH of this model are fused ops'):
        ash_onnx.load_model(tmp_path, fused=False)


def test_names_that_are_taken_are_left():
    """The names of the parameters come from that of y."""
    def write(add):
        ash(add, 'x', 'y')
        add.constants['y/z_k'] = np.float32(1)
        add('Add', 'y', 'y/z_k', output='sum')
    model = build(write, outputs=('sum',))
    assert len(fusing.fuse(model)) == 1
    names = [tensor.name for tensor in model.graph.initializer]
    assert len(names) == len(set(names)) and 'y/z_k_' in names
