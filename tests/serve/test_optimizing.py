"""Other forms of an artifact: what they answer, what they say of themselves, what is refused."""
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, numpy_helper

import ash_onnx
from ash_onnx import fusing
from ash_onnx.artifact import AshForm
from ash_onnx.kinds.classifier import side_by_side
from ash_onnx.optimizing import FLOAT16, FUSED, INT8, optimize

ROOT = Path(__file__).resolve().parents[2]
CHECKPOINT = ROOT / 'checkpoints/resnet20-cifar10-ash'


@pytest.fixture(scope='module')
def images():
    """The 16 test images of the shipped artifact, uint8 [16, 32, 32, 3]."""
    tensor = onnx.load_tensor(CHECKPOINT / 'test_data_set_0/input_0.pb')
    return numpy_helper.to_array(tensor)


@pytest.fixture(scope='module')
def forms(tmp_path_factory, images):
    """Form -> (folder, the verification), of the shipped artifact."""
    folder = tmp_path_factory.mktemp('forms')
    made = {FLOAT16: optimize(CHECKPOINT, folder / FLOAT16, FLOAT16),
            INT8: optimize(CHECKPOINT, folder / INT8, INT8, images)}
    return {form: (folder / form, result) for form, result in made.items()}


def test_any_number_of_images_calibrates(images, tmp_path):
    optimize(CHECKPOINT, tmp_path / 'int8', INT8, np.concatenate([images, images[:3]]))


@pytest.mark.parametrize('form, most', [(FLOAT16, 1e-2), (INT8, 0.25)])
def test_it_verifies_within_a_tolerance_that_was_measured(forms, form, most):
    """Twice the difference that was seen: about 2e-3 for float16, 4e-2 for int8."""
    folder, result = forms[form]
    assert result.passed and result.images == 16
    seen = max(row.max_rel_difference for row in result.differences)
    assert 1e-4 < seen < result.tolerance.relative < most
    assert ash_onnx.verify(ash_onnx.load_model(folder, fused=False)).passed
    assert not ash_onnx.verify(ash_onnx.load_model(folder), rtol=1e-5, atol=1e-5).passed


@pytest.mark.parametrize('form', [FLOAT16, INT8])
def test_every_ash_is_recognised_in_it(forms, form, library):
    folder, _ = forms[form]
    assert ash_onnx.load_model(folder, fused=True).form == AshForm(19, True)
    assert ash_onnx.load_model(folder, fused=False).form == AshForm(19, False)


@pytest.mark.parametrize('form, share', [(FLOAT16, 0.6), (INT8, 0.4)])
def test_it_is_smaller_and_says_what_was_done(forms, form, share):
    folder, _ = forms[form]
    sizes = [(path / 'model.onnx').stat().st_size for path in (folder, CHECKPOINT)]
    assert sizes[0] < share * sizes[1]
    model = ash_onnx.load_model(folder)
    done = json.loads(model.metadata['optimized'])
    assert done['form'] == form and done['onnxruntime'] == onnxruntime.__version__
    assert done['processor'].endswith('VNNI') or not Path('/proc/cpuinfo').exists()
    if form == INT8:
        assert (done['images'], done['reduce_range']) == (16, False)
    source = ash_onnx.load_model(CHECKPOINT)
    for key in ('net', 'labels', 'checkpoint_sha256', 'versions'):
        assert model.metadata[key] == source.metadata[key]


def test_a_float16_ash_is_float32_inside(forms):
    """The sums of squares of a layer are beyond float16's 65,504."""
    model = onnx.load(forms[FLOAT16][0] / 'model.onnx')
    types = fusing.infer_types(model)
    inside = {types[node.output[0]][0] for node in model.graph.node
              if node.op_type in ('ReduceMean', 'Sqrt', 'Sigmoid')}
    assert inside == {TensorProto.FLOAT}
    weights = [tensor for tensor in model.graph.initializer if len(tensor.dims) == 4
               and min(tensor.dims[:2]) > 1]
    assert len(weights) == 21
    assert {tensor.data_type for tensor in weights} == {TensorProto.FLOAT16}


def test_8_bits_are_those_of_convolutions_and_matrix_products(forms):
    model = onnx.load(forms[INT8][0] / 'model.onnx')
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    kinds = {}
    for node in model.graph.node:
        if node.op_type == 'DequantizeLinear' and node.input[0] in weights:
            tensor = weights[node.input[0]]
            kinds.setdefault(tensor.data_type, []).append(len(tensor.dims))
    assert kinds[TensorProto.INT8].count(4) == 21
    assert [node.op_type for node in model.graph.node].count('QuantizeLinear') > 21


def test_reduced_range_takes_7_bits(tmp_path, images):
    optimize(CHECKPOINT, tmp_path / 'out', INT8, images, reduce_range=True)
    model = onnx.load(tmp_path / 'out/model.onnx')
    largest = max(np.abs(numpy_helper.to_array(tensor).astype(int)).max()
                  for tensor in model.graph.initializer if tensor.data_type == TensorProto.INT8
                  and len(tensor.dims) == 4)
    assert largest <= 64


def test_fused_is_for_any_program_that_registers_the_library(tmp_path, images, library):
    assert optimize(CHECKPOINT, tmp_path / 'out', FUSED).form == AshForm(19, True)
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(str(tmp_path / 'out/libash_onnx.so'))
    session = onnxruntime.InferenceSession(tmp_path / 'out/model.onnx', options,
                                           providers=['CPUExecutionProvider'])
    logits, _ = session.run(['logits', 'probabilities'], {'images': images})
    expected, _ = ash_onnx.load_model(CHECKPOINT, fused=False).run(images)
    assert np.abs(logits - expected).max() <= 2e-6 * np.abs(expected).max()


def test_restoring_takes_fusing_back(images):
    model = onnx.load(CHECKPOINT / 'model.onnx')
    bodies = fusing.fuse(model)
    assert len(bodies) == 19
    fusing.restore(model, bodies)
    assert not fusing.count_fused(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(),
                                           providers=['CPUExecutionProvider'])
    expected, _ = ash_onnx.load_model(CHECKPOINT, fused=False).run(images)
    np.testing.assert_array_equal(session.run(['logits'], {'images': images})[0], expected)


@pytest.mark.parametrize('form, given, message', [
    ('float8', None, 'must be float16, int8 or fused'),
    (INT8, None, 'int8 needs images'),
    (INT8, np.zeros((2, 8, 8, 3), np.uint8), r'images must be \[N, 32, 32, 3\]')])
def test_what_is_refused_leaves_nothing(tmp_path, form, given, message):
    with pytest.raises(ValueError, match=message):
        optimize(CHECKPOINT, tmp_path / 'out', form, given)
    assert not list(tmp_path.iterdir())


def test_what_is_there_stays(tmp_path):
    (tmp_path / 'mine').write_text('text')
    with pytest.raises(ValueError, match='exists: give another folder'):
        optimize(CHECKPOINT, tmp_path, FLOAT16)
    assert [path.name for path in tmp_path.iterdir()] == ['mine']


def test_a_model_without_ash_has_nothing_to_fuse(artifact, tmp_path):
    with pytest.raises(ValueError, match='has no ASH to fuse'):
        optimize(artifact, tmp_path / 'out', FUSED)


@pytest.fixture
def photos(tmp_path, images):
    """A folder with the images in folders named by what the net says of each."""
    model = ash_onnx.load_model(CHECKPOINT)
    for i, (image, label) in enumerate(zip(images, model.run(images)[0].argmax(axis=1),
                                           strict=True)):
        path = tmp_path / 'photos' / model.labels[label] / f'{i}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image[..., ::-1])
    return tmp_path / 'photos'


def test_sides_are_measured_on_the_same_images(forms, photos):
    models = {'float32': ash_onnx.load_model(CHECKPOINT, threads=1),
              'float16': ash_onnx.load_model(forms[FLOAT16][0], threads=1)}
    one, other = side_by_side.compare(models, photos, batch_size=5)
    assert (one.top1, one.agreement, other.top1, other.agreement) == (1, 1, 1, 1)
    assert other.size < one.size
    assert set(one.milliseconds) == {1, 32} and one.milliseconds[32] > one.milliseconds[1] > 0


def test_a_file_that_is_no_image_is_not_passed_over(photos):
    next(photos.iterdir()).joinpath('notes.txt').write_text('no image')
    with pytest.raises(ValueError, match='no JPEG or PNG files: .*notes.txt'):
        side_by_side.compare({'float32': ash_onnx.load_model(CHECKPOINT)}, photos)


def run_tool(*arguments):
    return subprocess.run([sys.executable, str(ROOT / 'tools/optimize.py'), *map(str, arguments)],
                          capture_output=True, text=True)


def test_the_command_writes_and_compares(tmp_path, photos):
    done = run_tool(CHECKPOINT, tmp_path / 'out', '--int8', '--images', photos, '--compare', photos,
                    '--threads', '1')
    assert done.returncode == 0 and not done.stderr, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1].split()[:5] == ['int8', '100.00', '%', '100.00', '%']
    assert json.loads(ash_onnx.load_model(tmp_path / 'out').metadata['optimized'])['images'] == 16


def test_the_command_writes_json(tmp_path, photos):
    done = run_tool(CHECKPOINT, tmp_path / 'out', '--float16', '--compare', photos, '--json',
                    '--threads', '1')
    assert done.returncode == 0 and not done.stderr, done.stderr
    result = json.loads(done.stdout)
    assert result['artifact'] == str(tmp_path / 'out') and result['passed']
    assert [side['name'] for side in result['compared']] == ['float32', 'float16']
    assert result['compared'][1]['agreement'] == 1.0


@pytest.mark.parametrize('options, message', [
    (('--float16', '--reduce-range'), '--images and --reduce-range are for --int8'),
    (('--int8',), 'int8 needs images'),
    (('--int8', '--images', 'nowhere'), 'nowhere')])
def test_the_command_refuses_in_a_line(tmp_path, options, message):
    done = run_tool(CHECKPOINT, tmp_path / 'out', *options)
    assert done.returncode == 2 and done.stderr.count('\n') == 1
    assert done.stderr.startswith('optimize.py: error: ') and message in done.stderr
