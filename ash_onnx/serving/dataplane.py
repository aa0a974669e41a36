"""What the server knows of its models and of itself, for both protocols."""

from ash_onnx.serving.kserve_sdk import DataPlane, ModelRepository
from ash_onnx.serving.refusals import NOT_FOUND, Refused

EXTENSIONS = ['binary_tensor_data', 'classification']


class GuardedDataPlane(DataPlane):
    """KServe's `DataPlane`, whose models are those that it was made with.

    Args:
      models: list of `ArtifactModel`.
      version: of this program, a string.

    Attributes:
      models: dict name -> `ArtifactModel`.
      stopping: whether the server is about to end, and is not ready for more.
      stuck: whether a run of a model does not stop. A worker is lost then; the server is not alive,
        so that whoever started it starts it anew.
    """

    def __init__(self, models, version):
        super().__init__(ModelRepository())
        self.models = {model.name: model for model in models}
        for model in models:
            self.model_registry.update(model)
        self._server_name, self._server_version = 'ash_onnx', version
        self.stopping = self.stuck = False

    def find(self, name, version=None):
        """Returns the model of a name, and of a version, if one is given.

        Raises:
          Refused: there is none.
        """
        model = self.models.get(name)
        if model is None:
            raise Refused(NOT_FOUND, f'there is no model {name!r:.100}')
        if version and version != model.version:
            raise Refused(NOT_FOUND, f'there is no version {version!r:.70} of {name}, but '
                                     f'{model.version}')
        return model

    async def live(self):
        """See `DataPlane.live`."""
        return {'status': 'stuck' if self.stuck else 'alive'}

    async def ready(self):
        """Whether the server takes requests."""
        return not (self.stopping or self.stuck)

    async def model_ready(self, model_name, disable_predictor_health_check=False):
        """Whether a model takes requests.

        Raises:
          Refused: there is no such model.
        """
        return self.find(model_name).ready and await self.ready()

    def metadata(self):
        """See `DataPlane.metadata`."""
        return {**super().metadata(), 'extensions': EXTENSIONS}

    async def model_metadata(self, model_name):
        """See `DataPlane.model_metadata`; with versions and platform.

        Raises:
          Refused: there is no such model.
        """
        model = self.find(model_name)
        return {**await super().model_metadata(model_name), 'versions': [model.version],
                'platform': 'onnxruntime_onnx'}
