"""Re-runs an artifact's own test data: does this machine answer what TensorFlow answered?"""

from dataclasses import asdict, dataclass, replace

import numpy as np

from ash_onnx.artifact import AshForm
from ash_onnx.comparison import ATOL, RTOL, AllClose, Tolerance, compare
from ash_onnx.recorded import find_test_data, read_test_data

ROUNDING = 1e-2  # a relative difference below it may be rounding that a graph has magnified


@dataclass(frozen=True)
class Verification:
    """What `verify` found.

    Attributes:
      provider: execution provider that it ran on.
      rtol, atol: the tolerance; None where the artifact's own decided.
      images: number of examples in all test data sets: what the first input has along its first
        axis, and 1 where it has none.
      classes_agree: number of those whose predicted class, the largest logit, is the recorded
        one; a class whose recorded logit equals the largest within the tolerance counts as it.
        None where the artifact is no image classifier.
      differences: tuple of `comparison.Difference`, one for each output of each test data set.
      tolerance: the artifact's own `comparison.Tolerance` where it decided, else None.
      form: the `artifact.AshForm` that ran.
    """

    provider: str
    rtol: float | None
    atol: float | None
    images: int
    classes_agree: int | None
    differences: tuple
    tolerance: Tolerance | None = None
    form: AshForm | None = None

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


def verify(model, rtol=None, atol=None):
    """Runs every `test_data_set_K` of an artifact and compares with the recorded outputs.

    Args:
      model: an `Artifact` of any kind.
      rtol, atol: relative and absolute tolerance, >= 0, for the rule of `numpy.allclose`: see
        `comparison.AllClose`. Where one is None it is 1e-4. Where both are, the artifact's own
        tolerance decides if its metadata has one: see `comparison.Tolerance`.

    Returns:
      A `Verification`.

    Raises:
      FileNotFoundError: the artifact has no test data, or a test data set lacks a file.
      ValueError: a damaged test data set, or one that does not fit the model; a tolerance that is
        negative or no finite number; a companion of the model that contradicts it.
    """
    rule = _rule(model, rtol, atol)
    model.check_companions()
    images, agreeing, differences = 0, [], []
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
            differences.append(compare(folder.name, name, got, expected, rule))
        # A graph of constants has no input.
        first = recorded[model.input_names[0]].shape if model.input_names else ()
        images += first[0] if first else 1
        agreeing.append(model.count_agreeing(
            answers, [recorded[name] for name in model.output_names], rule))
    agree = None if None in agreeing else sum(agreeing)
    result = Verification(model.provider, None, None, images, agree, tuple(differences),
                          form=model.form)
    if isinstance(rule, Tolerance):
        return replace(result, tolerance=rule)
    return replace(result, rtol=rule.rtol, atol=rule.atol)


def _rule(model, rtol, atol):
    if rtol is None and atol is None and 'tolerance' in model.metadata:
        return Tolerance(**model.metadata['tolerance'])
    return AllClose(float(RTOL if rtol is None else rtol), float(ATOL if atol is None else atol))


# Why a verification fails, the first that applies: how to know it from the outputs that failed, the
# likely cause, and what to do.
_CAUSES = (
    (lambda rows: any(np.isnan(row.max_abs_difference) for row in rows),
     'the answer or the recorded output holds a NaN or an infinity, which never passes',
     'convert with inputs that give finite outputs, or find the operation that does not'),
    (lambda rows: any(_is_wrong(row) for row in rows),
     'the conversion is wrong, or what this machine\'s provider computes',
     'try --provider cpu; where that fails too, another onnxruntime, and then convert again'),
    (lambda rows: any(not _is_floating(row) for row in rows),
     'rounding moved a value to the other side of a cast, a comparison or an argmax; or the '
     'conversion is wrong',
     'look at the values; only the artifact\'s own tolerance ("integer_levels") lets integers '
     'differ'),
    (bool,
     'another onnxruntime or processor rounds otherwise, and the graph is badly conditioned',
     'look at the differences, and give --rtol and --atol if they do no harm'),
    (lambda rows: True,
     'every output is within the tolerance, which is wider than the lead of a predicted class',
     'give a smaller --rtol and --atol to see by how much the outputs differ'),
)


def _is_floating(row):
    return row.dtype.startswith('float')


def _is_wrong(row):
    # An index or a flag that is another one says nothing by its size.
    return _is_floating(row) and not row.max_rel_difference < ROUNDING


def _explain(result):
    """The likely cause of a failure and what to do, two lines."""
    failed = [row for row in result.differences if not row.within_tolerance]
    cause, remedy = next(texts for applies, *texts in _CAUSES if applies(failed))
    return [f'likely cause: {cause}', f'what to do: {remedy}']


def prove(artifact):
    """Verifies an artifact that is going to be served, where it has test data.

    Args:
      artifact: an `Artifact`.

    Returns:
      Whether it has any.

    Raises:
      OSError, ValueError: as `verify`; it does not answer as they say.
    """
    try:
        find_test_data(artifact.folder)
    except FileNotFoundError:
        return False
    if not verify(artifact).passed:
        raise ValueError(f'{artifact.path}: does not answer as its test data say; '
                         'tools/verify_onnx.py says by how much')
    return True


def format_verification(result):
    """Returns a `Verification` as text for people, several lines; why, where it failed."""
    rule = result.tolerance or AllClose(result.rtol, result.atol)
    width = max([14, *(len(row.output) for row in result.differences)])
    lines = [f'{"data set":<17} {"output":<{width}} {"max |a-b|":>10} {"relative":>10}  '
             f'within {rule}']
    for row in result.differences:
        lines.append(f'{row.data_set:<17} {row.output:<{width}} {row.max_abs_difference:>10.2e} '
                     f'{row.max_rel_difference:>10.2e}  {"yes" if row.within_tolerance else "NO"}')
    lines.append(f'{result.images} examples' if result.classes_agree is None else
                 f'predicted classes: {result.classes_agree} of {result.images} agree')
    form = f', {result.form}' if result.form and result.form.layers else ''
    lines.append(f'{"passed" if result.passed else "FAILED"} on {result.provider}{form}')
    return '\n'.join(lines + ([] if result.passed else _explain(result)))
