"""Models that answer nonsense, fail, never end or take too much: a clear error, in time."""

import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import ash_onnx
from ash_onnx import limits, session
from tests.serve import miniature

ROOT = Path(__file__).resolve().parents[2]
IMAGES = np.zeros([2, 6, 8, 3], np.uint8)


def constant(name, *values, dtype=np.int64):
    return numpy_helper.from_array(np.array(values, dtype), name)


def add(model, nodes, tensors=()):
    """Puts nodes behind the logits of the miniature model; the last one's output are the new."""
    gemm = next(node for node in model.graph.node if node.op_type == 'Gemm')
    gemm.output[0] = 'scores'
    index = list(model.graph.node).index(gemm) + 1
    for node in reversed(nodes):
        model.graph.node.insert(index, node)
    model.graph.initializer.extend(tensors)
    return model


def endless_loop(model):
    """Halves the scores for ever."""
    body = helper.make_graph(
        [helper.make_node('Identity', ['go'], ['on']),
         helper.make_node('Mul', ['v', 'half'], ['w'])], 'body',
        [helper.make_tensor_value_info('i', TensorProto.INT64, []),
         helper.make_tensor_value_info('go', TensorProto.BOOL, []),
         helper.make_tensor_value_info('v', TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info('on', TensorProto.BOOL, []),
         helper.make_tensor_value_info('w', TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.float32(0.5), 'half')])
    return add(model, [helper.make_node('Loop', ['', 'yes', 'scores'], ['logits'], body=body)],
               [numpy_helper.from_array(np.array(True), 'yes')])


def growing_loop(model):
    """Doubles a tensor in each of 60 rounds, whose size no inference knows."""
    body = helper.make_graph(
        [helper.make_node('Identity', ['go'], ['on']),
         helper.make_node('Concat', ['v', 'v'], ['w'], axis=0)], 'body',
        [helper.make_tensor_value_info('i', TensorProto.INT64, []),
         helper.make_tensor_value_info('go', TensorProto.BOOL, []),
         helper.make_tensor_value_info('v', TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info('on', TensorProto.BOOL, []),
         helper.make_tensor_value_info('w', TensorProto.FLOAT, None)])
    return add(model, [helper.make_node('Loop', ['rounds', '', 'scores'], ['many'], body=body),
                       helper.make_node('ReduceMax', ['many'], ['most'], axes=[0], keepdims=1),
                       helper.make_node('Add', ['scores', 'most'], ['logits'])],
               [numpy_helper.from_array(np.int64(60), 'rounds')])


def large(op, rows=100000):
    """200 kB a row, out of a few numbers."""
    def make(model):
        made = {
            'ConstantOfShape': [helper.make_node('ConstantOfShape', ['sizes'], ['many'])],
            'Expand': [helper.make_node('Expand', ['scale', 'sizes'], ['many'])],
            'Tile': [helper.make_node('Tile', ['square', 'sizes'], ['many'])]}[op]
        return add(model, [*made, helper.make_node('ReduceMax', ['many'], ['most'], keepdims=0),
                           helper.make_node('Add', ['scores', 'most'], ['logits'])],
                   [constant('sizes', rows, 50000), constant('scale', 1, dtype=np.float32),
                    numpy_helper.from_array(np.zeros([1, 1], np.float32), 'square')])
    return make


@pytest.fixture
def hostile(make_artifact):
    """Function that writes an artifact of the miniature model, changed by a function."""
    def make(change, **arguments):
        return make_artifact('hostile', model=change(miniature.build_model(**arguments)))
    return make


@pytest.mark.timeout(60)
def test_a_model_that_never_ends_is_stopped(hostile):
    model = ash_onnx.load_model(hostile(endless_loop))
    model.time_limit = 0.5
    start = time.monotonic()
    with pytest.raises(ValueError, match=r'model\.onnx: a run takes more than 0\.5 seconds'):
        model.run(IMAGES)
    assert time.monotonic() - start < 20


def test_one_that_ends_in_time_answers_as_without_a_limit(artifact):
    model = ash_onnx.load_model(artifact)
    expected = model.run(IMAGES)
    model.time_limit = 60
    np.testing.assert_array_equal(model.run(IMAGES), expected)


@pytest.mark.timeout(60)
def test_what_cannot_be_stopped_is_told(monkeypatch):
    class Stuck:
        def run(self, *_):
            time.sleep(1)
            return ['done']
    told = []
    assert session.run_session(Stuck(), [], {}, 0.1, lambda: told.append(1)) == ['done']
    assert told == [1]
    assert session.run_session(Stuck(), [], {}, 0.7, lambda: told.append(2)) == ['done']
    assert told == [1]


@pytest.mark.parametrize('op', ['ConstantOfShape', 'Expand', 'Tile'])
def test_declared_sizes_are_added_up_first(hostile, op):
    with pytest.raises(ValueError, match=r"model\.onnx: its values take \d+ bytes .* 'many' alone "
                                         r'20000000000; at most 8589934592'):
        ash_onnx.load_model(hostile(large(op)))


def test_weights_are_no_reason_to_copy_a_model():
    model = miniature.build_model()
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(10**6, np.float32), 'weights'))
    before = model.SerializeToString()
    assert len(limits._inferred(model).SerializeToString()) < 10000
    assert model.SerializeToString() == before


@pytest.mark.parametrize('value, sums', [(-35.0, 'add up to'), (0.5, 'add up to 1.5')])
def test_probabilities_that_are_none_are_refused(hostile, value, sums):
    def change(model):
        model.graph.node[-1].CopyFrom(helper.make_node(
            'ConstantOfShape', ['shape'], ['probabilities'],
            value=helper.make_tensor('v', TensorProto.FLOAT, [1], [value])))
        model.graph.node.append(helper.make_node('Shape', ['logits'], ['shape']))
        model.graph.node.insert(3, model.graph.node.pop())
        return model
    with pytest.raises(ValueError, match=f'model.onnx: its probabilities are .*{sums}'):
        ash_onnx.load_model(hostile(change)).run(IMAGES)


@pytest.mark.parametrize('method', ['run', 'answer'])
def test_an_error_of_onnxruntime_is_one_line(hostile, method):
    def change(model):
        return add(model, [helper.make_node('Reshape', ['scores', 'sizes'], ['logits'])],
                   [constant('sizes', 7, 13)])
    model = ash_onnx.load_model(hostile(change))
    with pytest.raises(ValueError, match=r'model\.onnx: .*Reshape') as error:
        getattr(model, method)(IMAGES)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('threads', [1025, 100000, 2**40])
def test_refuses_any_number_of_threads(artifact, threads):
    with pytest.raises(ValueError, match='threads must be an integer from 1 to 1024'):
        ash_onnx.load_model(artifact, threads=threads)


def _predict_in_another_process(model):
    return model.run(IMAGES)[0], model.time_limit, model.provider


def test_a_model_is_pickled_by_its_path(artifact, monkeypatch):
    monkeypatch.chdir(artifact.parent)
    model = ash_onnx.load_model(artifact.name, threads=1)
    model.time_limit = 30
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        logits, *options = pool.apply(_predict_in_another_process, [model])
    np.testing.assert_array_equal(logits, model.run(IMAGES)[0])
    assert options == [30, 'cpu']
    assert len(pickle.dumps(model)) < 1000


def test_a_model_that_is_gone_cannot_be_unpickled(artifact):
    data = pickle.dumps(ash_onnx.load_model(artifact))
    (artifact / 'model.onnx').unlink()
    with pytest.raises(FileNotFoundError, match=r'model\.onnx'):
        pickle.loads(data)


def command(name, *arguments, **options):
    return subprocess.run([sys.executable, str(ROOT / 'tools' / f'{name}.py'),
                           *map(str, arguments)], capture_output=True, text=True, **options)


@pytest.mark.timeout(120)
@pytest.mark.parametrize('name', ['verify_onnx', 'predict'])
@pytest.mark.parametrize('change, limit, message', [
    (endless_loop, ['--time-limit', '0.5'], 'takes more than 0.5 seconds'),
    (growing_loop, ['--memory-limit', '1'], 'model.onnx: '),
    (large('ConstantOfShape', 8000), ['--memory-limit', '1'], 'model.onnx: '),
    (growing_loop, ['--memory-limit', '-1'], 'gigabytes, 0.5 or more, got -1'),
    (endless_loop, ['--memory-limit', '1e-9'], 'gigabytes, 0.5 or more, got 1e-09'),
    (endless_loop, ['--time-limit', 'nan'], '--time-limit must be a number above 0')])
def test_a_command_says_it_in_a_line(hostile, save_image, name, change, limit, message):
    paths = [save_image('a.png')] if name == 'predict' else []
    done = command(name, hostile(change), *paths, *limit)
    assert (done.returncode, done.stdout) == (2, '')
    assert done.stderr.startswith(f'{name}.py: error: ') and done.stderr.count('\n') == 1
    assert message in done.stderr


@pytest.mark.timeout(60)
@pytest.mark.parametrize('name', sorted(
    path.stem for path in (ROOT / 'tools').glob('*.py')
    if 'import _serve_side' in path.read_text()))
def test_ctrl_c_while_packages_are_imported_is_one_line(tmp_path, name):
    """An onnxruntime that waits stands for the real one; one that catches anything, too."""
    (tmp_path / 'onnxruntime.py').write_text(
        'import time\nprint("importing", flush=True)\n'
        'try:\n    time.sleep(30)\nexcept BaseException as error:\n    raise ImportError(error)\n')
    process = subprocess.Popen(
        [sys.executable, str(ROOT / 'tools' / f'{name}.py'), '--help'], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env={**os.environ, 'PYTHONPATH': str(tmp_path)})
    assert process.stdout.readline() == 'importing\n'
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out, err) == (130, '', f'{name}.py: interrupted\n')


def test_a_picture_replaces_nothing_unasked(artifact, save_image, tmp_path):
    photo, notes = save_image('photos/a.png'), tmp_path / 'notes.png'
    notes.write_text('no image at all')
    for name, given, words in (
            (notes, [photo], 'this file exists; give another name, or --overwrite'),
            (notes, [photo, notes, '--overwrite'], 'one of the images to classify'),
            (photo, [photo.parent, '--overwrite'], 'one of the images to classify'),
            (photo.parent / 'b.png', [photo.parent], None),
            (photo.parent / 'b.png', [photo], 'this file exists'),
            (photo.parent / 'b.png', [photo, '--overwrite'], None)):
        before = name.read_bytes() if name.exists() else None
        done = command('predict', artifact, *given, '--save', name)
        if words is None:
            assert done.returncode == 0 and name.read_bytes() != b''
        else:
            assert done.returncode == 2 and words in done.stderr and done.stdout == ''
            assert name.read_bytes() == before
    os.symlink('nowhere', tmp_path / 'link.png')
    assert 'this file exists' in command('predict', artifact, photo, '--save',
                                         tmp_path / 'link.png').stderr


def test_deep_json_in_the_metadata_is_an_error(make_artifact):
    metadata = {**miniature.METADATA, 'labels': '[' * 10**5}
    with pytest.raises(ValueError, match="metadata 'labels' is not JSON"):
        ash_onnx.load_model(make_artifact('deep', metadata=metadata))
    metadata = {**miniature.METADATA, 'input_shape': f'[6, 8, {"9" * 10**5}]'}
    with pytest.raises(ValueError, match="metadata 'input_shape'"):
        ash_onnx.load_model(make_artifact('digits', metadata=metadata))


def test_an_artifact_of_another_kind_is_not_unpickled_as_a_classifier(artifact):
    data = pickle.dumps(ash_onnx.load_model(artifact))
    model = onnx.load(artifact / 'model.onnx')
    helper.set_model_props(model, {
        **miniature.METADATA, 'kind': 'tensors', 'inputs': json.dumps([
            {'name': 'images', 'dtype': 'uint8', 'shape': [None, 6, 8, 3],
             'example': [1, 6, 8, 3]}])})
    onnx.save(model, artifact / 'model.onnx')
    with pytest.raises(ValueError, match='is another artifact'):
        pickle.loads(data)
