"""An artifact as a model of KServe."""

from ash_onnx.protocol import NAMES
from ash_onnx.serving import tensors
from ash_onnx.serving.kserve_sdk import InferOutput, InferResponse, Model
from ash_onnx.serving.messages import Signature
from ash_onnx.serving.refusals import LATE, Refused, invalid
from ash_onnx.session import TimeLimitReached

DEFAULT_VERSION = '1'  # of an artifact whose metadata have no model_version


class ArtifactModel(Model):
    """An artifact of any kind, whose inputs and outputs are those of the protocol.

    What inputs and outputs mean is in `kinds`, whose subclasses may replace `run`, `rank` and
    `make_signature`.

    Args:
      name: what the model is called.
      artifact: an `ash_onnx.Artifact`.
      max_batch: the largest first size of each input, or None where that is no batch.
      gate, metrics: the `Gate` and the `Metrics` that all models share.

    Attributes:
      name, artifact: as above.
      version: its metadata's model_version, or `DEFAULT_VERSION`.
      signature: a `messages.Signature`.
    """

    def __init__(self, name, artifact, max_batch, gate, metrics):
        super().__init__(name)
        self.artifact = artifact
        self.version = artifact.metadata.get('model_version', DEFAULT_VERSION)
        self.signature = self.make_signature(max_batch)
        self._gate, self._metrics = gate, metrics
        self.ready = True

    def make_signature(self, max_batch):
        """The `Signature` of the artifact's own inputs and outputs."""
        inputs, outputs = (tuple(tensors.Spec(value.name, NAMES[value.dtype],
                                              tuple(-1 if size is None else size
                                                    for size in value.shape))
                                 for value in values) for values in self.artifact.values)
        return Signature(inputs, outputs, max_batch)

    def get_input_types(self):
        """Returns the inputs as the protocol's metadata have them."""
        return [spec.to_dict() for spec in self.signature.inputs]

    def get_output_types(self):
        """Returns the outputs as the protocol's metadata have them."""
        return [spec.to_dict() for spec in self.signature.outputs]

    async def predict(self, payload, headers=None, response_headers=None):
        """Answers an `InferRequest` of arrays by an `InferResponse` of arrays, on a worker.

        Raises:
          Refused: the model does not take the inputs, or not in time.
        """
        if self.signature.max_batch:
            self._metrics.batch(self.name, payload.inputs[0].shape[0])
        return await self._gate.run(self._answer, payload)

    def _answer(self, request):
        try:
            answers = self.run({tensor.name: tensor.data for tensor in request.inputs})
        except TimeLimitReached as error:
            raise Refused(LATE, 'the answer takes too long') from error
        except ValueError as error:
            # The path is nobody's business but this machine's.
            raise invalid(str(error).replace(f'{self.artifact.path}: ', '')) from error
        wanted = {output.name: output.parameters for output in request.request_outputs}
        outputs = [self._output(spec, answers[spec.name], wanted.get(spec.name, {}))
                   for spec in self.signature.outputs if not wanted or spec.name in wanted]
        return InferResponse(request.id, self.name, outputs, model_version=self.version)

    def run(self, arrays):
        """Runs the model; safe to call from several threads.

        Args:
          arrays: dict input name -> array, as `tensors` makes them.

        Returns:
          Dict output name -> array.

        Raises:
          ValueError, Refused: the model does not take them.
        """
        inputs = [tensors.to_text(spec, arrays[spec.name]) if spec.datatype == 'BYTES'
                  else arrays[spec.name] for spec in self.signature.inputs]
        return dict(zip(self.artifact.output_names, self.artifact.answer(*inputs), strict=True))

    def rank(self, scores, count):
        """The answer to the parameter `classification`: an array of `bytes` [N, count]."""
        raise NotImplementedError  # `Signature.ranked` is 0

    def _output(self, spec, array, parameters):
        datatype, count = spec.datatype, parameters.get('classification')
        if count is not None:
            datatype, array = 'BYTES', self.rank(array, count)
        return InferOutput(spec.name, list(array.shape), datatype, array)
