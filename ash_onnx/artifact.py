"""An open artifact of any kind: runs the model, and says what it is and how it runs.

`loading` opens artifacts. What the inputs and outputs mean is in `kinds`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ash_onnx.session import TimeLimitReached, run_session, session_values

MODEL_FILE = 'model.onnx'


@dataclass(frozen=True)
class AshForm:
    """How the ASH layers of a model are computed.

    Attributes:
      layers: how many ASH there are, as far as they are recognised.
      fused: whether each is the fused op; portable nodes make them up otherwise.
    """

    layers: int
    fused: bool

    def __str__(self):
        if not self.layers:
            return 'no ASH'
        return f'{self.layers} ASH {"fused" if self.fused else "as portable nodes"}'


class Artifact:
    """An artifact of any kind, open on one execution provider; made by `load_artifact`.

    Attributes:
      path: the `model.onnx` file, a `pathlib.Path`.
      kind: the metadata `kind`, a key of `kinds.KINDS`.
      metadata: dict of everything the file says about itself; what is JSON is parsed, the rest are
        strings.
      provider: `cpu`, `cuda` or `tensorrt`, the one that it really runs on.
      form: an `AshForm`: how ASH is computed.
      input_names, output_names: tuples of strings, in the order of the test data sets.
      time_limit: seconds for one run; None, the default, for none.
      overdue: called, from another thread, where a run goes on for as long again; or None.
      companions: names of files beside the model that belong to an artifact of this kind.

    `time_limit` and `overdue` may be set. It is pickled by its path, provider and options, and
    opened anew from them.
    """

    companions = ()

    def __init__(self, path, session, kind, metadata, provider, form, input_names, output_names,
                 reopen):
        self.path = path
        self.form = form
        self.kind = kind
        self.metadata = metadata
        self.provider = provider
        self.input_names = tuple(input_names)
        self.output_names = tuple(output_names)
        self._session = session
        self._reopen = reopen  # function without arguments that opens the same file; is pickled
        self.time_limit = self.overdue = None

    def __reduce__(self):
        # A session cannot be pickled. The file is read and checked again where this arrives.
        return _unpickle, (type(self), self.path.absolute(), self._reopen, self.time_limit)

    @property
    def folder(self):
        """The artifact's folder, in which the `test_data_set_K` lie."""
        return self.path.parent

    @cached_property
    def values(self):
        """(inputs, outputs): tuples of `session.Value`, in the order of their names here."""
        return session_values(self._session, (self.input_names, self.output_names))

    def answer(self, *inputs):
        """Runs the model; safe to call from several threads.

        Args:
          *inputs: an array for each of `input_names`, in order, of the dtype and the shape that
            the model takes: [N, ...] with N >= 1 for a Keras model; of any rank, 0 included, and
            with or without a batch axis for a TensorFlow graph, as `metadata['inputs']` says.
            Strings are an array of `str`.

        Returns:
          A tuple of arrays, one for each of `output_names`.

        Raises:
          ValueError: inputs of another number, type, dtype or shape; or onnxruntime cannot run
            the model, or, as a `session.TimeLimitReached`, not in `time_limit`.
        """
        # Not ascontiguousarray, which makes rank 1 of rank 0.
        feeds = {name: np.asarray(value, order='C')
                 for name, value in zip(self.input_names, inputs, strict=True)}
        for name, value in feeds.items():
            _check_text(name, value)
        return tuple(self._run(self.output_names, feeds))

    def count_agreeing(self, answers, recorded, rule):
        """How many examples of a test data set have the recorded decision, such as a class.

        Args:
          answers, recorded: an array for each of `output_names`, in order.
          rule: a `comparison.AllClose` or `comparison.Tolerance`.

        Returns:
          An integer; None if the outputs of this kind decide nothing.
        """
        del answers, recorded, rule

    def check_companions(self):
        """Raises ValueError, naming the file, if one of `companions` contradicts the metadata."""

    def calibration_feeds(self, images):
        """Yields dicts, input name -> array of one example, by which int8 chooses its ranges.

        Args:
          images: uint8 array [N, height, width, 3], or None.

        Raises:
          ValueError: models of this kind take no images, or none are given.
        """
        raise ValueError(f'{self.path}: int8 is for image classifiers')

    def _run(self, outputs, feeds):
        try:
            return run_session(self._session, outputs, feeds, self.time_limit, self.overdue)
        except TimeLimitReached as error:
            raise TimeLimitReached(f'{self.path}: {error}') from error
        except ValueError as error:
            raise ValueError(f'{self.path}: {error}') from error


def _unpickle(expected, path, reopen, time_limit):
    artifact = reopen()
    if type(artifact) is not expected:
        raise ValueError(f'{path}: is another artifact than the one that was pickled')
    artifact.time_limit = time_limit
    return artifact


def _check_text(name, value):
    # onnxruntime calls str() on what is no str: b'a' would become the text "b'a'".
    if value.dtype.kind == 'S' or value.dtype == object and not all(
            isinstance(item, str) for item in value.flat):
        raise ValueError(f'{name} must hold str, got an array of {value.dtype} with bytes or other '
                         'objects')
