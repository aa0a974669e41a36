"""Artifacts of any TensorFlow graph: inputs of any rank and dtype, and their own tolerance."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import ash_onnx
from ash_onnx.comparison import Tolerance, compare
from ash_onnx.kinds.classifier.agreement import count_agreeing
from ash_onnx.kinds.tensors import MAX_RANK
from ash_onnx.signature import MAX_SAMPLE
from ash_onnx.verify import Verification, format_verification
from tests.serve import miniature

pytestmark = pytest.mark.fast

INPUTS = [  # the graph has them in another order
    {'name': 'k', 'dtype': 'int64', 'shape': [], 'example': []},
    {'name': 'text', 'dtype': 'str', 'shape': [None], 'example': [2]},
    {'name': 'x', 'dtype': 'float32', 'shape': [None, 3], 'example': [4, 3]},
]
METADATA = {'kind': 'tensors', 'net': 'scaler', 'inputs': json.dumps(INPUTS),
            'versions': json.dumps({'onnx': '1.14.1'})}
OUTPUTS = ('scaled', 'next', 'is_small', 'said')
K, TEXT = np.array(2), np.array(['ash', ''], object)
X = np.array([[1, -2, 3], [0, 0, 0], [4, 5, 100], [7, 8, 9]], np.float32)
RECORDED = {'k': K, 'text': TEXT, 'x': X, 'scaled': X * np.float32(2), 'next': np.array([3, 4, 5]),
            'is_small': np.array([True, False]), 'said': TEXT}


def build_model(metadata=METADATA, x_shape=('rows', 3), outputs=OUTPUTS):
    """scaled = k x; next = k + [1, 2, 3]; is_small = k < [3, 1]; said = text."""
    constants = {'steps': np.array([1, 2, 3]), 'limits': np.array([3, 1])}
    types = {'scaled': (TensorProto.FLOAT, ['rows', 3]), 'next': (TensorProto.INT64, [3]),
             'is_small': (TensorProto.BOOL, [2]), 'said': (TensorProto.STRING, ['words'])}
    graph = helper.make_graph(
        [helper.make_node('Cast', ['k'], ['factor'], to=TensorProto.FLOAT),
         helper.make_node('Mul', ['x', 'factor'], ['scaled']),
         helper.make_node('Add', ['k', 'steps'], ['next']),
         helper.make_node('Less', ['k', 'limits'], ['is_small']),
         helper.make_node('Identity', ['text'], ['said'])],
        'scaler',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, x_shape),
         helper.make_tensor_value_info('k', TensorProto.INT64, []),
         helper.make_tensor_value_info('text', TensorProto.STRING, ['words'])],
        [helper.make_tensor_value_info(name, *types[name]) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    helper.set_model_props(model, metadata)
    return model


def write_artifact(folder, model, inputs, outputs, recorded):
    data_set = folder / 'test_data_set_0'
    data_set.mkdir(parents=True)
    onnx.save(model, folder / 'model.onnx')
    for kind, names in (('input', inputs), ('output', outputs)):
        for number, name in enumerate(names):
            tensor = numpy_helper.from_array(np.asarray(recorded[name]), name)
            (data_set / f'{kind}_{number}.pb').write_bytes(tensor.SerializeToString())
    return folder


@pytest.fixture
def scaler(tmp_path):
    """Function that writes the artifact; it takes recorded arrays and metadata to change."""
    def make(tolerance=None, changes=None, model=None, **recorded):
        metadata = {**METADATA, **(changes or {})}
        if tolerance is not None:
            metadata['tolerance'] = tolerance if isinstance(tolerance, str) else json.dumps(
                tolerance)
        return write_artifact(tmp_path / 'scaler', model or build_model(metadata),
                              [entry['name'] for entry in INPUTS], OUTPUTS,
                              {**RECORDED, **recorded})
    return make


def check(folder, **tolerance):
    """The verification, and whether each output passed."""
    result = ash_onnx.verify(ash_onnx.load_artifact(folder), **tolerance)
    return result, {row.output: row.within_tolerance for row in result.differences}


def test_it_opens_and_answers(scaler):
    model = ash_onnx.load_artifact(scaler(changes={'made_by': 'a test'}))
    assert type(model) is ash_onnx.Artifact and model.kind == 'tensors'
    assert model.input_names == ('k', 'text', 'x') and model.output_names == OUTPUTS
    assert model.metadata['inputs'] == INPUTS and model.metadata['made_by'] == 'a test'
    scaled, after, is_small, said = model.answer(3, ['ä'], np.ones([1, 3], np.float32))
    np.testing.assert_array_equal(scaled, [[3, 3, 3]])
    np.testing.assert_array_equal(after, [4, 5, 6])
    np.testing.assert_array_equal(is_small, [False, False])
    assert said.tolist() == ['ä']


def test_it_verifies(scaler):
    result, within = check(scaler())
    assert result.passed and list(within) == list(OUTPUTS)
    assert (result.images, result.classes_agree, result.tolerance) == (1, None, None)
    assert [row.dtype for row in result.differences] == ['float32', 'int64', 'bool', 'str']


def test_examples_are_counted_along_the_first_input(scaler, tmp_path):
    inputs = [INPUTS[2], *INPUTS[:2]]
    folder = write_artifact(tmp_path / 'x_first',
                            build_model({**METADATA, 'inputs': json.dumps(inputs)}),
                            ['x', 'k', 'text'], OUTPUTS, RECORDED)
    assert check(folder)[0].images == 4


def test_a_graph_without_inputs_and_with_an_empty_output(tmp_path):
    nodes = [helper.make_node('Constant', [], ['none'],
                              value=numpy_helper.from_array(np.zeros([0, 4], np.float32)))]
    model = helper.make_model(
        helper.make_graph(nodes, 'constant', [],
                          [helper.make_tensor_value_info('none', TensorProto.FLOAT, [0, 4])]),
        opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    helper.set_model_props(model, {**METADATA, 'inputs': '[]', 'tolerance': '{"relative": 0}'})
    folder = write_artifact(tmp_path / 'constant', model, [], ['none'],
                            {'none': np.zeros([0, 4], np.float32)})
    result, _ = check(folder)
    assert result.passed and result.images == 1
    assert check(folder, rtol=0)[0].passed


def test_rank_0_stays_rank_0(tmp_path):
    types = [helper.make_tensor_value_info(name, TensorProto.FLOAT, []) for name in ('x', 'y')]
    graph = helper.make_graph([helper.make_node('Identity', ['x'], ['y'])], 'same',
                              types[:1], types[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    entry = {'name': 'x', 'dtype': 'float32', 'shape': [], 'example': []}
    helper.set_model_props(model, {**METADATA, 'inputs': json.dumps([entry])})
    one = np.array(1, np.float32)
    folder = write_artifact(tmp_path / 'same', model, ['x'], ['y'], {'x': one, 'y': one})
    assert check(folder)[0].passed
    assert ash_onnx.load_artifact(folder).answer(one)[0].shape == ()


@pytest.mark.parametrize('inputs', [
    (2, TEXT, X[0]), (2, TEXT, X[:, :2]), (2, TEXT, X.astype(float)), (2.0, TEXT, X), (2, TEXT),
    (2, np.array([b'ash'], object), X), (2, np.array([b'ash']), X), (2, np.array([1], object), X)])
def test_inputs_that_do_not_fit(scaler, inputs):
    with pytest.raises(ValueError):
        ash_onnx.load_artifact(scaler()).answer(*inputs)


def test_the_probe_is_the_example(scaler, monkeypatch):
    probes = []
    monkeypatch.setattr('ash_onnx.loading.open_session',
                        lambda data, provider, probe, **options: probes.append(probe))
    ash_onnx.load_artifact(scaler())
    assert {name: (array.shape, array.dtype.kind) for name, array in probes[0].items()} == {
        'k': ((), 'i'), 'text': ((2,), 'U'), 'x': ((4, 3), 'f')}
    assert probes[0]['text'].tolist() == ['', '']


def test_onnxruntime_runs_the_probe(scaler, monkeypatch):
    answers = []

    def run_it(data, provider, probe, **options):
        session = onnxruntime.InferenceSession(data, providers=['CPUExecutionProvider'])
        answers.extend(session.run(None, probe))
        return session
    monkeypatch.setattr('ash_onnx.loading.open_session', run_it)
    ash_onnx.load_artifact(scaler())
    assert answers[0].shape == (4, 3) and answers[3].tolist() == ['', '']


def test_load_model_refuses_it(scaler):
    with pytest.raises(ValueError, match='of a TensorFlow graph, no image classifier with labels'):
        ash_onnx.load_model(scaler())


# A tolerance of the artifact's own. The largest of `scaled` is 200.

@pytest.mark.parametrize('error, relative, passes', [
    (0.19, 1e-3, True), (0.21, 1e-3, False), (1, 1e-2, True), (1e-3, 0, False), (0, 0, True),
    (199, 1, True)])
@pytest.mark.parametrize('place', [(1, 0), (2, 0)])  # one that is 0, and one of 8
def test_relative_tolerance_is_of_the_largest_value(scaler, error, relative, passes, place):
    scaled = RECORDED['scaled'].copy()
    scaled[place] += error
    result, within = check(scaler({'relative': relative}, scaled=scaled))
    assert within == {**dict.fromkeys(OUTPUTS, True), 'scaled': passes}
    assert result.passed == passes
    assert (result.rtol, result.atol) == (None, None)
    assert result.tolerance.relative == relative and result.tolerance.integer_levels == 0


@pytest.mark.parametrize('x, passes', [(0, True), (-0.0, True), (1e-30, False)])
def test_where_all_expected_values_are_0_the_answer_must_be_0(scaler, x, passes):
    folder = scaler({'relative': 1}, x=np.full([4, 3], x, np.float32), scaled=np.zeros_like(X))
    assert check(folder)[1]['scaled'] == passes


@pytest.mark.parametrize('levels, error, passes', [
    (None, 0, True), (None, 1, False), (1, 1, True), (1, -1, True), (1, 2, False),
    (10**30, -2**62, True)])
def test_integer_levels(scaler, levels, error, passes):
    tolerance = {'relative': 1} if levels is None else {'relative': 1, 'integer_levels': levels}
    _, within = check(scaler(tolerance, next=np.array([3, 4, 5 + error])))
    assert within == {**dict.fromkeys(OUTPUTS, True), 'next': passes}


@pytest.mark.parametrize('dtype', [np.int8, np.uint8, np.int64, np.uint64])
def test_integers_are_subtracted_exactly(dtype):
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    for got, expected, distance in ((low, high, int(high) - int(low)), (high, high - 1, 1)):
        row = compare('d', 'y', np.array([got], dtype), np.array([expected], dtype),
                      Tolerance(0, distance))
        assert row.within_tolerance and row.max_abs_difference == float(distance)
        assert not compare('d', 'y', np.array([got], dtype), np.array([expected], dtype),
                           Tolerance(0, distance - 1)).within_tolerance


@pytest.mark.parametrize('arguments', [{}, {'rtol': 1, 'atol': 1e9}])
@pytest.mark.parametrize('changed', [
    {'next': np.array([3, 4, 6])}, {'is_small': np.array([True, True])},
    {'said': np.array(['ash', ' '], object)}])
def test_integers_bools_and_strings_are_equal_by_rtol_and_atol(scaler, arguments, changed):
    result, within = check(scaler(**changed), **arguments)
    assert within == {**dict.fromkeys(OUTPUTS, True), **dict.fromkeys(changed, False)}
    assert not result.passed


@pytest.mark.parametrize('changed', [
    {'is_small': np.array([True, True])}, {'said': np.array(['ash', ' '], object)}])
def test_bools_and_strings_are_equal_by_the_artifacts_tolerance(scaler, changed):
    tolerance = {'relative': 1, 'integer_levels': 9}
    _, within = check(scaler(tolerance, **changed))
    assert within == {**dict.fromkeys(OUTPUTS, True), **dict.fromkeys(changed, False)}


@pytest.mark.parametrize('arguments, passes, decided', [
    ({}, True, (None, None)), ({'rtol': 0}, False, (0, 1e-4)), ({'atol': 2}, True, (1e-4, 2)),
    ({'atol': 0}, False, (1e-4, 0)), ({'rtol': 0, 'atol': 2}, True, (0, 2))])
def test_the_caller_decides_before_the_artifact(scaler, arguments, passes, decided):
    scaled = RECORDED['scaled'].copy()
    scaled[1, 0] += 1
    result, _ = check(scaler({'relative': 0.1}, scaled=scaled), **arguments)
    assert result.passed == passes and (result.rtol, result.atol) == decided
    written = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert (written['rtol'], written['atol']) == decided
    assert written['tolerance'] == (None if arguments else
                                    {'relative': 0.1, 'integer_levels': 0})


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_a_number_that_is_not_finite_fails_on_both_sides(scaler, value):
    x = X.copy()
    x[1, 1] = value
    result, within = check(scaler({'relative': 1}, x=x, scaled=x * np.float32(2)))
    assert not within['scaled'] and not result.passed


@pytest.mark.parametrize('relative, passes', [(0.2, True), (0.01, False)])
def test_a_classifier_may_have_a_tolerance_too(make_artifact, relative, passes):
    """The logits are recorded 5 percent too large, and the classes stay."""
    tolerance = json.dumps({'relative': relative})
    folder = make_artifact(metadata={**miniature.METADATA, 'tolerance': tolerance})
    path = folder / 'test_data_set_0' / 'output_0.pb'
    logits = numpy_helper.to_array(onnx.TensorProto.FromString(path.read_bytes()))
    path.write_bytes(numpy_helper.from_array(logits * np.float32(1.05), 'logits')
                     .SerializeToString())
    result = ash_onnx.verify(ash_onnx.load_model(folder))
    assert result.passed == passes and result.classes_agree == 5
    assert not ash_onnx.verify(ash_onnx.load_model(folder), rtol=1e-3).passed


@pytest.mark.parametrize('lead, agrees', [(0.05, 1), (0.5, 0)])
def test_a_tie_within_the_tolerance_is_no_disagreement(lead, agrees):
    expected = np.array([[1, 1 + lead]], np.float32)
    assert count_agreeing(expected[:, ::-1], expected, Tolerance(0.1)) == agrees


# What the command prints.

@pytest.mark.parametrize('changed, arguments, cause, remedy', [
    ({'scaled': RECORDED['scaled'] * np.float32(1.005)}, [], 'rounds otherwise', '--rtol'),
    ({'scaled': RECORDED['scaled'] * np.float32(1.5)}, [], 'conversion is wrong', '--provider cpu'),
    ({'next': np.array([3, 4, 6])}, [], 'an argmax', 'integer_levels'),
    ({'scaled': X * np.float32(np.nan)}, [], 'NaN', 'find the operation'),
    ({'scaled': RECORDED['scaled'] * np.float32(1.005), 'next': np.array([0, 0, 0])},
     ['--atol', '5'], 'an argmax', 'integer_levels'),
])
def test_a_failure_says_what_to_do(scaler, load_tool, capsys, changed, arguments, cause, remedy):
    folder = scaler({'relative': 1e-3}, **changed)
    assert load_tool('verify_onnx').main([str(folder), *arguments]) == 1
    *_, verdict, first, second = capsys.readouterr().out.splitlines()
    assert verdict == 'FAILED on cpu'
    assert first.startswith('likely cause: ') and cause in first
    assert second.startswith('what to do: ') and remedy in second


def test_classes_alone_that_fail_are_explained():
    text = format_verification(Verification('cpu', 1, 1, 5, 4, ()))
    assert 'the lead of a predicted class' in text


@pytest.mark.parametrize('arguments, heading', [
    ([], "within 0.001 of max |b|, integers 1 (the artifact's own tolerance)"),
    (['--rtol', '0.01'], 'within atol 0.0001 + rtol 0.01')])
def test_the_text_says_which_tolerance_decided(scaler, load_tool, capsys, arguments, heading):
    folder = scaler({'relative': 1e-3, 'integer_levels': 1})
    assert load_tool('verify_onnx').main([str(folder), *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(heading) and lines[-2:] == ['1 examples', 'passed on cpu']


# What is refused.

def inputs(number=2, **changes):
    """The metadata `inputs`, with one of them changed; a value of ... drops the key."""
    entries = [dict(entry) for entry in INPUTS]
    entries[number].update(changes)
    entries[number] = {key: value for key, value in entries[number].items() if value is not ...}
    return {'inputs': json.dumps(entries)}


@pytest.mark.parametrize('changes, message', [
    ({'inputs': ''}, 'its metadata lacks inputs'),
    ({'net': ''}, 'its metadata lacks net'),
    ({'versions': '[1]'}, r"'versions' must be a JSON object, got \[1\]"),
    ({'inputs': '{'}, "'inputs' is not JSON: '{'"),
    ({'inputs': '{"x": 1}'}, "'inputs' must be a JSON list of objects, got {'x': 1}"),
    ({'inputs': '["x"]'}, r"must be a JSON list of objects, got \['x'\]"),
    ({'inputs': '[]'}, r"must name each of \['k', 'text', 'x'\] once, got \[\]"),
    ({'inputs': json.dumps([*INPUTS, INPUTS[0]])}, r"once, got \['k', 'text', 'x', 'k'\]"),
    (inputs(name='y'), r"once, got \['k', 'text', 'y'\]"),
    (inputs(name=3), r"once, got \['k', 'text', 3\]"),
    (inputs(name=...), r"once, got \['k', 'text', None\]"),
    (inputs(dtype='float64'), "x is float32, expected 'float64' by its metadata"),
    (inputs(dtype=...), 'x is float32, expected None by its metadata'),
    (inputs(1, dtype='object'), "text is str, expected 'object' by its metadata"),
    (inputs(shape='N, 3'), "sizes from 0, .* got 'N, 3' as shape of x"),
    (inputs(shape=...), 'got None as shape of x'),
    (inputs(shape=[None, -3]), r'got \[None, -3\] as shape of x'),
    (inputs(shape=[None, True]), r'got \[None, True\] as shape of x'),
    (inputs(shape=[None, 3.0]), r'got \[None, 3.0\] as shape of x'),
    (inputs(shape=[None] * (MAX_RANK + 1)), rf'rank {MAX_RANK}, got \[None, .* as shape of x'),
    (inputs(example=...), 'got None as example of x'),
    (inputs(example=[None, 3]), r'got \[None, 3\] as example of x'),
    (inputs(example=[-1, 3]), r'got \[-1, 3\] as example of x'),
    (inputs(example=[MAX_SAMPLE, 3]), rf'at most {MAX_SAMPLE} elements .* as example of x'),
    (inputs(example=[0, 10**30]), 'as example of x'),
    (inputs(example=[4]), r'the example \[4\] of x, which does not fit its shape \[N, 3\]'),
    (inputs(example=[4, 2]), r'the example \[4, 2\] of x, which does not fit its shape'),
    (inputs(shape=[None, 2], example=[4, 2]),
     r'x has shape \[N, 3\], expected \[N, 2\] by its metadata'),
    (inputs(shape=[None, None]), r'x has shape \[N, 3\], expected \[N, N\] by its metadata'),
    (inputs(0, shape=[1], example=[1]), r'k has shape \[\], expected \[1\] by its metadata'),
    ({'tolerance': '1e-3'}, "'tolerance' must be a JSON object .* got 0.001"),
    ({'tolerance': '{}'}, "'tolerance' must be a JSON object .* got {}"),
    ({'tolerance': ''}, "'tolerance' is not JSON: ''"),
    ({'tolerance': '{"relative": 0, "rtol": 1}'}, "must be a JSON object .* 'rtol': 1"),
    ({'tolerance': '{"relative": -0.1}'}, 'a number from 0 to 1 as "relative", got -0.1'),
    ({'tolerance': '{"relative": 1.1}'}, '"relative", got 1.1'),
    ({'tolerance': '{"relative": NaN}'}, '"relative", got nan'),
    ({'tolerance': '{"relative": "1"}'}, "\"relative\", got '1'"),
    ({'tolerance': '{"relative": true}'}, '"relative", got True'),
    ({'tolerance': '{"relative": 0, "integer_levels": -1}'}, '"integer_levels", got -1'),
    ({'tolerance': '{"relative": 0, "integer_levels": 1.0}'}, '"integer_levels", got 1.0'),
    ({'tolerance': '{"relative": 0, "integer_levels": null}'}, '"integer_levels", got None'),
])
def test_metadata_that_break_the_contract(scaler, changes, message):
    with pytest.raises(ValueError, match=message) as error:
        ash_onnx.load_artifact(scaler(changes=changes))
    assert str(error.value).count('model.onnx: ') == 1 and len(str(error.value)) < 500


@pytest.mark.parametrize('x_shape, entry', [
    (('rows', 'columns'), {'shape': [None, 3]}), ((4, 3), {'shape': [4, 3]}),
    (('rows', 3), {'shape': [4, 3]}), (None, {'shape': [None, 3]}),
    (('rows', 3), {'shape': [None, 3], 'example': [0, 3]})])
def test_shapes_that_fit(scaler, x_shape, entry):
    model = build_model({**METADATA, **inputs(**entry)}, x_shape)
    assert check(scaler(model=model))[0].passed


@pytest.mark.parametrize('where', ['input', 'output'])
def test_a_type_that_arrays_cannot_have(scaler, where):
    model = build_model()
    value = getattr(model.graph, where)[0]
    value.type.tensor_type.elem_type = TensorProto.BFLOAT16
    with pytest.raises(ValueError, match=f'{value.name} is bfloat16, which is no type that'):
        ash_onnx.load_artifact(scaler(model=model))


def test_a_sequence_is_refused(scaler):
    model = build_model()
    model.graph.output[0].type.sequence_type.elem_type.tensor_type.elem_type = TensorProto.FLOAT
    with pytest.raises(ValueError, match='scaled is undefined, which is no type that'):
        ash_onnx.load_artifact(scaler(model=model))


def test_a_graph_without_outputs_proves_nothing(scaler):
    with pytest.raises(ValueError, match='it has no outputs'):
        ash_onnx.load_artifact(scaler(model=build_model(outputs=())))
