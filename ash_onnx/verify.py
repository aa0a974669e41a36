"""Re-runs an artifact's own test data: does this machine answer what TensorFlow answered?"""

import re
from dataclasses import asdict, dataclass

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from ash_onnx.artifact import OUTPUTS, Model

RTOL = 1e-4
ATOL = 1e-4
MAX_TENSOR_BYTES = 2**30


@dataclass(frozen=True)
class Difference:
    """How far one output of one test data set is from the recorded one.

    With `got` and `expected` in float64:

    Attributes:
      data_set: name of the folder, `test_data_set_0`.
      output: name of the output, `logits` or `probabilities` for a classifier.
      max_abs_difference: max |got - expected|; NaN where either holds a NaN or an infinity.
      max_rel_difference: max |got - expected| / max |expected|, one number for the whole output:
        element by element, a probability of 1e-12 would decide it. NaN as above; infinite where
        all expected values are 0 and the answer is not.
      within_tolerance: |got - expected| <= atol + rtol * |expected| for every element, as
        `numpy.allclose`; False where either holds a NaN or an infinity.
    """

    data_set: str
    output: str
    max_abs_difference: float
    max_rel_difference: float
    within_tolerance: bool


@dataclass(frozen=True)
class Verification:
    """What `verify` found.

    Attributes:
      provider: execution provider that it ran on.
      rtol, atol: the tolerance.
      images: number of examples in all test data sets.
      classes_agree: number of those whose predicted class, the largest logit, is the recorded
        one; a class whose recorded logit equals the largest within the tolerance counts as it.
        None where the artifact is no image classifier.
      differences: tuple of `Difference`, one for each output of each test data set.
    """

    provider: str
    rtol: float
    atol: float
    images: int
    classes_agree: int | None
    differences: tuple

    @property
    def passed(self):
        """True where every output is within the tolerance and every class agrees."""
        return (self.classes_agree in (None, self.images)
                and all(difference.within_tolerance for difference in self.differences))

    def to_dict(self):
        """Returns it as JSON values; a difference that is no finite number becomes None."""
        result = {'passed': self.passed, **asdict(self)}
        result['differences'] = [
            {key: value if not isinstance(value, float) or np.isfinite(value) else None
             for key, value in difference.items()}
            for difference in result['differences']]
        return result


def verify(model, rtol=RTOL, atol=ATOL):
    """Runs every `test_data_set_K` of an artifact and compares with the recorded outputs.

    Args:
      model: a `Model` or another `Artifact`.
      rtol: relative tolerance, >= 0.
      atol: absolute tolerance, >= 0; added to the relative one, as in `numpy.allclose`.

    Returns:
      A `Verification`.

    Raises:
      FileNotFoundError: the artifact has no test data, or a test data set lacks a file.
      ValueError: a damaged test data set, or one that does not fit the model; a tolerance that is
        negative or no finite number.
    """
    for name, value in (('rtol', rtol), ('atol', atol)):
        if not (np.isfinite(value) and value >= 0):
            raise ValueError(f'{name} must be a finite number >= 0, got {value}')
    images, agree = 0, 0 if isinstance(model, Model) else None
    differences = []
    for folder in find_test_data(model.folder):
        recorded = read_test_data(folder, model.input_names, model.output_names)
        try:
            answers = model.answer(*(recorded[name] for name in model.input_names))
        except ValueError as error:
            raise ValueError(f'{folder}: {error}') from error
        for name, got in zip(model.output_names, answers, strict=True):
            expected = recorded[name]
            if expected.shape != got.shape or expected.dtype != got.dtype:
                raise ValueError(f'{folder}: {name} is {expected.dtype} {list(expected.shape)}, '
                                 f'expected {got.dtype} {list(got.shape)}')
            differences.append(_compare(folder.name, name, got, expected, rtol, atol))
        images += len(recorded[model.input_names[0]])
        if agree is not None:
            agree += _count_agreeing(answers[0], recorded[OUTPUTS[0]], rtol, atol)
    return Verification(model.provider, float(rtol), float(atol), images, agree,
                        tuple(differences))


def find_test_data(folder):
    """Returns the `test_data_set_K` folders of an artifact, by K.

    Raises:
      FileNotFoundError: there is none.
    """
    found = [path for path in folder.glob('test_data_set_*')
             if path.is_dir() and re.fullmatch(r'test_data_set_\d+', path.name)]
    if not found:
        raise FileNotFoundError(f'{folder}: no test_data_set_0 folder to verify with')
    return sorted(found, key=lambda path: (int(path.name.rpartition('_')[2]), path.name))


def read_test_data(folder, inputs, outputs):
    """Reads the tensors of a test data set.

    Args:
      folder: a `test_data_set_K` folder, a `pathlib.Path`.
      inputs, outputs: the names of the tensors in input_0.pb, input_1.pb, ... and output_0.pb, ...

    Returns:
      Dict of all names to arrays.

    Raises:
      FileNotFoundError: a file is missing.
      ValueError: a damaged file, or a tensor of another name.
    """
    return {name: _read_tensor(folder / f'{kind}_{number}.pb', name)
            for kind, names in (('input', inputs), ('output', outputs))
            for number, name in enumerate(names)}


def _read_tensor(path, name):
    if not path.is_file():
        raise FileNotFoundError(f'{path}: this file of the test data is missing')
    with path.open('rb') as stream:
        data = stream.read(MAX_TENSOR_BYTES + 1)
    if len(data) > MAX_TENSOR_BYTES:
        raise ValueError(f'{path}: more than {MAX_TENSOR_BYTES} bytes')
    try:
        tensor = onnx.TensorProto.FromString(data)
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise ValueError('external data')  # its location is a path that the file chose
        array = numpy_helper.to_array(tensor)
    except (DecodeError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f'{path}: not a serialized ONNX tensor') from error
    if tensor.name != name:
        raise ValueError(f'{path}: holds the tensor {tensor.name!r}, expected {name!r}')
    return array


def _compare(data_set, output, got, expected, rtol, atol):
    got, expected = got.astype(np.float64), expected.astype(np.float64)
    if not (np.isfinite(got).all() and np.isfinite(expected).all()):
        return Difference(data_set, output, float('nan'), float('nan'), False)
    distance = np.abs(got - expected)
    largest, scale = float(distance.max()), float(np.abs(expected).max())
    relative = largest / scale if scale else (float('inf') if largest else 0.0)
    within = bool((distance <= atol + rtol * np.abs(expected)).all())
    return Difference(data_set, output, largest, relative, within)


def _count_agreeing(got, expected, rtol, atol):
    # Nets with a ReLU on the logits answer exactly 0 for many classes; which of them comes first
    # is up to the last bit, and no disagreement.
    chosen = np.take_along_axis(expected, got.argmax(axis=1)[:, None], axis=1)[:, 0]
    agree = np.isclose(chosen, expected.max(axis=1), rtol=rtol, atol=atol)
    return int((agree & np.isfinite(got).all(axis=1) & np.isfinite(expected).all(axis=1)).sum())


def format_verification(result):
    """Returns a `Verification` as text for people, several lines."""
    lines = [f'{"data set":<17} {"output":<14} {"max |a-b|":>10} {"relative":>10}  '
             f'within atol {result.atol:g} + rtol {result.rtol:g}']
    for row in result.differences:
        lines.append(f'{row.data_set:<17} {row.output:<14} {row.max_abs_difference:>10.2e} '
                     f'{row.max_rel_difference:>10.2e}  {"yes" if row.within_tolerance else "NO"}')
    lines.append(f'{result.images} examples' if result.classes_agree is None else
                 f'predicted classes: {result.classes_agree} of {result.images} agree')
    lines.append(f'{"passed" if result.passed else "FAILED"} on {result.provider}')
    return '\n'.join(lines)
