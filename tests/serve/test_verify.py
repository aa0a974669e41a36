"""Verification: passes on a sound artifact, and notices each way of not being one."""

import json
import os

import numpy as np
import onnx
import pytest

import ash_onnx
from ash_onnx.kinds.classifier.interface import OUTPUTS
from tests.serve import miniature

pytestmark = pytest.mark.fast


def read(artifact, file):
    return onnx.TensorProto.FromString((artifact / 'test_data_set_0' / file).read_bytes())


def write(artifact, file, array, name):
    tensor = onnx.numpy_helper.from_array(array, name)
    (artifact / 'test_data_set_0' / file).write_bytes(tensor.SerializeToString())


def change(artifact, file, edit):
    """Edits an array of the recorded test data in place."""
    tensor = read(artifact, file)
    array = onnx.numpy_helper.to_array(tensor).copy()
    edit(array)
    write(artifact, file, array, tensor.name)


def test_passes_on_a_sound_artifact(artifact):
    result = ash_onnx.verify(ash_onnx.load_model(artifact))
    assert result.passed
    assert (result.images, result.classes_agree, result.provider) == (5, 5, 'cpu')
    assert [(row.data_set, row.output) for row in result.differences] == [
        ('test_data_set_0', name) for name in OUTPUTS]
    assert all(row.max_abs_difference < 1e-5 for row in result.differences)


def test_takes_every_data_set_in_the_order_of_its_number(artifact):
    images = np.full([2, 6, 8, 3], 9, np.uint8)
    outputs = [output.astype(np.float32) for output in miniature.oracle(images)]
    for k in (10, 2):
        miniature.write_test_data(artifact / f'test_data_set_{k}', images, *outputs)
    (artifact / 'test_data_set_old').mkdir()
    result = ash_onnx.verify(ash_onnx.load_model(artifact))
    assert [row.data_set for row in result.differences[::2]] == [
        f'test_data_set_{k}' for k in (0, 2, 10)]
    assert result.passed and result.images == 9


@pytest.mark.parametrize('file', ['output_0.pb', 'output_1.pb'])
def test_measures_a_difference(artifact, file):
    def edit(array):
        array[3, 1] += 0.25
    before = onnx.numpy_helper.to_array(read(artifact, file)).copy()
    change(artifact, file, edit)
    result = ash_onnx.verify(ash_onnx.load_model(artifact))
    scale = np.abs(onnx.numpy_helper.to_array(read(artifact, file))).max()
    wrong = [row for row in result.differences if not row.within_tolerance]
    assert [row.output for row in wrong] == [OUTPUTS[int(file[7])]]
    assert wrong[0].max_abs_difference == pytest.approx(0.25, abs=1e-5)
    assert wrong[0].max_rel_difference == pytest.approx(0.25 / scale, rel=1e-4)
    assert not result.passed
    assert before.shape == (5, 3)


@pytest.mark.parametrize('rtol, atol, passed', [
    (0, 0.3, True), (0, 0.2, False), (0.1, 0, True), (0.02, 0, False), (1e-4, 1e-4, False)])
def test_tolerance_is_that_of_allclose(artifact, rtol, atol, passed):
    def edit(array):
        array += np.where(np.arange(3) == array.argmax(axis=1)[:, None], 0.25, 0).astype('f')
    change(artifact, 'output_0.pb', edit)
    model = ash_onnx.load_model(artifact)
    result = ash_onnx.verify(model, rtol=rtol, atol=max(atol, 1e-5))
    got = model.run(onnx.numpy_helper.to_array(read(artifact, 'input_0.pb')))[0]
    expected = onnx.numpy_helper.to_array(read(artifact, 'output_0.pb'))
    assert result.differences[0].within_tolerance == passed
    assert passed == np.allclose(got, expected, rtol=rtol, atol=max(atol, 1e-5))


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('file', ['output_0.pb', 'output_1.pb'])
def test_a_number_that_is_not_finite_fails(artifact, value, file):
    def edit(array):
        array[0, 0] = value
    change(artifact, file, edit)
    result = ash_onnx.verify(ash_onnx.load_model(artifact), rtol=1e9, atol=1e9)
    assert not result.passed
    row = json.loads(json.dumps(result.to_dict(), allow_nan=False))['differences'][int(file[7])]
    assert row['max_abs_difference'] is None and row['within_tolerance'] is False


def test_a_model_that_answers_nan_fails(make_artifact):
    model = miniature.build_model()
    shift = next(tensor for tensor in model.graph.initializer if tensor.name == 'shift')
    shift.CopyFrom(onnx.numpy_helper.from_array(np.full(3, np.nan, np.float32), 'shift'))
    result = ash_onnx.verify(ash_onnx.load_model(make_artifact(model=model)))
    assert not result.passed and result.classes_agree == 0


@pytest.fixture
def nearly_tied(artifact):
    """Function that records other logits for an image whose own are 2, 2 and 2.03 (blue)."""
    model = ash_onnx.load_model(artifact)
    images = np.full([1, 6, 8, 3], 64, np.uint8)
    images[..., 2] = 65
    logits, probabilities = model.run(images)
    write(artifact, 'input_0.pb', images, 'images')
    write(artifact, 'output_1.pb', probabilities, 'probabilities')

    def record(*change):
        write(artifact, 'output_0.pb', logits + np.array([change], np.float32), 'logits')
        return model
    return record


def test_another_class_fails_within_the_tolerance(nearly_tied):
    """Each logit is within 1 of the recorded one, and the recorded class leads by 1.77."""
    result = ash_onnx.verify(nearly_tied(0.9, 0, -0.9), rtol=0, atol=1)
    assert result.differences[0].within_tolerance
    assert result.classes_agree == 0 and not result.passed


def test_a_tie_is_no_disagreement(nearly_tied):
    """The recorded class, red, leads by 0.02 where the model finds blue ahead by 0.03."""
    model = nearly_tied(0.05, 0, 0)
    assert ash_onnx.verify(model, rtol=0, atol=0.1).passed
    assert ash_onnx.verify(model, rtol=0, atol=0.01).classes_agree == 0


def test_all_zero_expected_values(artifact):
    write(artifact, 'output_0.pb', np.zeros([5, 3], np.float32), 'logits')
    result = ash_onnx.verify(ash_onnx.load_model(artifact))
    assert result.differences[0].max_rel_difference == float('inf')
    assert not result.passed


@pytest.mark.parametrize('rtol, atol, message', [
    (-1, 0, 'rtol must be a finite number >= 0, got -1'),
    (0, float('nan'), 'atol .* got nan'),
    (float('inf'), 0, 'rtol .* got inf')])
def test_refuses_a_tolerance(artifact, rtol, atol, message):
    with pytest.raises(ValueError, match=message):
        ash_onnx.verify(ash_onnx.load_model(artifact), rtol=rtol, atol=atol)


def test_missing_test_data_is_an_error(artifact):
    model = ash_onnx.load_model(artifact)
    (artifact / 'test_data_set_0' / 'output_1.pb').unlink()
    with pytest.raises(FileNotFoundError, match=r'output_1\.pb'):
        ash_onnx.verify(model)
    (artifact / 'test_data_set_0').rename(artifact / 'elsewhere')
    with pytest.raises(FileNotFoundError, match='no test_data_set_0'):
        ash_onnx.verify(model)


@pytest.mark.parametrize('damage, message', [
    (lambda data: b'', 'not a serialized ONNX tensor'),
    (lambda data: b'hello, world\n', 'not a serialized ONNX tensor'),
    (lambda data: data[:-7], 'not a serialized ONNX tensor'),
    (lambda data: data.replace(b'images', b'pixels'), "'pixels', expected 'images'"),
])
def test_damaged_test_data_is_an_error(artifact, damage, message):
    path = artifact / 'test_data_set_0' / 'input_0.pb'
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=rf'input_0\.pb: .*{message}'):
        ash_onnx.verify(ash_onnx.load_model(artifact))


def test_sizes_that_lie_are_an_error(artifact):
    tensor = read(artifact, 'input_0.pb')
    tensor.dims[0] = 10**12
    (artifact / 'test_data_set_0' / 'input_0.pb').write_bytes(tensor.SerializeToString())
    with pytest.raises(ValueError, match=r'input_0\.pb: not a serialized'):
        ash_onnx.verify(ash_onnx.load_model(artifact))


def test_external_data_is_refused(artifact, tmp_path):
    (tmp_path / 'secret').write_bytes(bytes(5 * 6 * 8 * 3))
    tensor = read(artifact, 'input_0.pb')
    tensor.ClearField('raw_data')
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key='location', value=str(tmp_path / 'secret'))
    (artifact / 'test_data_set_0' / 'input_0.pb').write_bytes(tensor.SerializeToString())
    with pytest.raises(ValueError, match=r'input_0\.pb: not a serialized'):
        ash_onnx.verify(ash_onnx.load_model(artifact))


@pytest.mark.parametrize('file, array, message', [
    ('input_0.pb', np.zeros([5, 6, 8, 3], np.float32), 'images must be uint8'),
    ('input_0.pb', np.zeros([0, 6, 8, 3], np.uint8), 'N >= 1'),
    ('output_0.pb', np.zeros([4, 3], np.float32), r'logits is float32 \[4, 3\], expected .*5, 3'),
    ('output_0.pb', np.zeros([5, 3], np.float64), 'logits is float64'),
])
def test_test_data_that_does_not_fit_is_an_error(artifact, file, array, message):
    write(artifact, file, array, read(artifact, file).name)
    with pytest.raises(ValueError, match=f'test_data_set_0: .*{message}'):
        ash_onnx.verify(ash_onnx.load_model(artifact))


def test_a_file_beyond_the_limit_is_an_error(artifact, monkeypatch):
    monkeypatch.setattr('ash_onnx.recorded.MAX_TENSOR_BYTES', 10)
    with pytest.raises(ValueError, match='more than 10 bytes'):
        ash_onnx.verify(ash_onnx.load_model(artifact))


@pytest.mark.timeout(20)
@pytest.mark.parametrize('name', ['model.onnx', 'labels.txt', 'test_data_set_0/input_0.pb'])
@pytest.mark.parametrize('make', [os.mkfifo, lambda path: os.symlink('/dev/zero', path)],
                         ids=['pipe', 'device'])
def test_what_is_no_regular_file_is_not_read(artifact, name, make):
    (artifact / name).unlink(missing_ok=True)
    make(artifact / name)
    with pytest.raises((ValueError, FileNotFoundError), match=name):
        ash_onnx.verify(ash_onnx.load_model(artifact))


@pytest.mark.parametrize('text', ['red\ngreen\nblue\n', 'red\ngreen\nblue',
                                  'red\r\ngreen\r\nblue\r\n'])
def test_other_files_of_the_folder_do_no_harm(artifact, text):
    (artifact / 'labels.txt').write_bytes(text.encode())
    (artifact / 'README.md').write_bytes(b'\xff a card')
    assert ash_onnx.verify(ash_onnx.load_artifact(artifact)).passed


@pytest.mark.parametrize('data, message', [
    (b'red\nblue\ngreen\n', "line 2 is 'blue', but the model's label is 'green'"),
    (b'red\ngreen\nBlue\n', "line 3 is 'Blue', but the model's label is 'blue'"),
    (b'red\ngreen\n \x1b[2J' + b'x' * 999, r"line 3 is ' \\x1b\[2Jx+, but"),
    (b'red\ngreen\n', 'has 2 lines, but the model has 3 labels'),
    (b'red\ngreen\nblue\n\n', 'has 4 lines'),
    (b'', 'has 0 lines'),
    (b'red\ngreen\nblu\xe9\n', 'is not UTF-8'),
    (b'red\n' * 30, 'more than 100 bytes'),
])
def test_labels_of_another_order_fail(artifact, monkeypatch, data, message):
    monkeypatch.setattr('ash_onnx.kinds.classifier.labels_file.MAX_LABELS_BYTES',
                        100 if 'more' in message else 2000)
    (artifact / 'labels.txt').write_bytes(data)
    model = ash_onnx.load_model(artifact)  # whose metadata are the truth
    assert model.labels == ('red', 'green', 'blue')
    with pytest.raises(ValueError, match=rf'labels\.txt: {message}') as error:
        ash_onnx.verify(model)
    assert len(str(error.value)) < 400 and '\n' not in str(error.value)
