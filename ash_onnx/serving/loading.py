"""Opens the artifacts that are served, and proves each by its own test data."""

import logging
import re
from pathlib import Path

from ash_onnx.loading import load_artifact
from ash_onnx.serving.kinds import models_of
from ash_onnx.verify import prove

_log = logging.getLogger(__name__)


def load_models(paths, settings, gate, metrics, on_stuck, **opening):
    """Opens artifacts, each once, as models that are called by their folder.

    Args:
      paths: of artifact folders, or of the model.onnx in them.
      settings: the `Settings`.
      gate, metrics: what the models share.
      on_stuck: called with a message where a run does not stop at its time limit.
      **opening: arguments of `load_artifact`.

    Returns:
      A list of `ArtifactModel`.

    Raises:
      OSError, ValueError: as `load_artifact`; two models of one name; a name that is no part of a
        URL; an artifact that does not answer as its test data say.
    """
    models = {}
    for path in map(Path, paths):
        artifact = load_artifact(path, **opening)
        name = artifact.folder.resolve().name
        if not re.fullmatch(r'[A-Za-z0-9._-]{1,100}', name):
            raise ValueError(f'{path}: a model is called by its folder, whose name must be 1 to '
                             f'100 letters, digits, dots, underscores and hyphens, got {name!r}')
        if not prove(artifact):
            _log.warning('%s: has no test data, and is served unproven', name)
        artifact.time_limit = settings.time_limit
        artifact.overdue = _overdue(name, settings.time_limit, on_stuck)
        for model in models_of(name, artifact, settings, gate, metrics):
            if model.name in models:
                raise ValueError(f'{path}: there are two models {model.name!r}: rename a folder')
            models[model.name] = model
        _log.info('%s: version %s, %s on %s, %s', name, models[name].version, artifact.kind,
                  artifact.provider, artifact.form)
    return list(models.values())


def _overdue(name, time_limit, on_stuck):
    return lambda: on_stuck(f'{name}: one node takes more than {time_limit:g} seconds, and cannot '
                            'be stopped')
