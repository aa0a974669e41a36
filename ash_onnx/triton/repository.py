"""Writes artifacts into a Triton model repository: a folder for each model and version."""

import contextlib
import os
import re
import shutil
import tempfile
from importlib.metadata import version as installed
from pathlib import Path

import onnx

from ash_onnx import fusing, native
from ash_onnx.artifact import MODEL_FILE
from ash_onnx.loading import load_artifact
from ash_onnx.triton import classifier
from ash_onnx.triton.config import CPU, TENSORRT, onnx_config
from ash_onnx.triton.readme import make_readme
from ash_onnx.verify import prove

CONFIG = 'config.pbtxt'
_ROOMS = {room.KIND: room for room in (classifier,)}  # of kinds that have more than a model
MAX_VERSION = 2**31 - 1


def export(artifacts, repository, options, fused=False, version=None, mount='/models'):
    """Writes artifacts as a new version of the models of their folders' names.

    What is there stays: a model's older versions, and other models. A model's config.pbtxt holds
    for all of its versions, so it has to stay as it is.

    Args:
      artifacts: paths of artifact folders.
      repository: folder, made where there is none.
      options: the `config.Options`.
      fused: whether each ASH becomes the fused op, whose library is put beside the model.
      version: a whole number; None for one more than the largest that is there.
      mount: where Triton will see the repository, for the path of the library.

    Returns:
      List of (name of a model, version).

    Raises:
      OSError, ValueError: as `load_artifact`; an artifact that does not answer as its test data
        say; a version that is there; another config than the one that is there; the library cannot
        be had, or the provider takes no op of others.
    """
    if version is not None and not (type(version) is int and 1 <= version <= MAX_VERSION):
        raise ValueError(f'version must be a whole number from 1 to {MAX_VERSION}, got {version!r}')
    if fused and options.provider == TENSORRT:
        raise ValueError('TensorRT takes no fused ASH; provider cuda does')
    repository = Path(repository)
    made, names = [], []
    for path in artifacts:
        artifact = load_artifact(path, fused=False)
        name = artifact.folder.resolve().name
        if not re.fullmatch(r'[A-Za-z0-9._-]{1,100}', name):
            raise ValueError(f'{path}: a model is called by its folder, whose name must be 1 to '
                             f'100 letters, digits, dots, underscores and hyphens, got {name!r}')
        prove(artifact)
        models = _models(name, artifact, options, fused, mount)
        number = version or 1 + max([0, *(_largest(repository / model) for model in models)])
        for model, (config, _, _) in models.items():
            _check_room(repository / model, config, number)
            if model in names:
                raise ValueError(f'{path}: there are two models {model!r}: rename a folder')
            names.append(model)
        made.append((models, number))
    repository.mkdir(parents=True, exist_ok=True)
    for models, number in made:
        # The ensemble comes last: until then nothing refers to what is missing.
        for model, (config, write_once, write_version) in models.items():
            _write(repository, model, number, config, write_once, write_version)
    _write_readme(repository, options, mount)
    return [(model, number) for models, number in made for model in models]


def _models(name, artifact, options, fused, mount):
    """Dict of name -> (config, function for the model's folder, function for the version's)."""
    room = _ROOMS.get(artifact.kind)
    library = None
    proto = onnx.load(artifact.path)
    if fused:
        library = native.library(CPU if options.provider == CPU else 'cuda')
        if not fusing.fuse(proto):
            raise ValueError(f'{artifact.path}: has no ASH to fuse')
    batched = artifact.kind != 'tensors'
    config = onnx_config(
        name, artifact.values, options, _probe(artifact, batched), batched,
        room.NAMED if room else (),
        library and f'{mount.rstrip("/")}/{name}/{library.name}')

    def write_once(folder):
        if room:
            room.write_beside(artifact, folder)
        if library:
            shutil.copy(library, folder)

    models = {name: (config, write_once, lambda folder: onnx.save(proto, folder / MODEL_FILE))}
    if room:
        for model, (text, write) in room.companions(name, artifact, options).items():
            models[model] = (text, lambda folder: None, write)
    return models


def _probe(artifact, batched):
    """Shapes of one example of each input, or None where one has an open size."""
    shapes = {}
    for value in artifact.values[0]:
        shape = value.shape[batched:]
        if batched and None in shape and 'input_shape' in artifact.metadata:
            shape = artifact.metadata['input_shape']
        shapes[value.name] = shape
    if not batched:
        shapes = {entry['name']: entry['example'] for entry in artifact.metadata['inputs']}
    return None if any(None in shape or 0 in shape for shape in shapes.values()) else shapes


def _largest(folder):
    """The largest version of a model, or 0."""
    if not folder.is_dir():
        return 0
    return max([0, *(int(path.name) for path in folder.iterdir()
                     if path.is_dir() and re.fullmatch('[1-9][0-9]*', path.name))])


def _check_room(folder, config, number):
    if (folder / str(number)).exists():
        raise ValueError(f'{folder / str(number)} exists: give another --version')
    if folder.exists():
        there = (folder / CONFIG).read_text(encoding='utf-8') if (folder / CONFIG).is_file() else ''
        if there != config:
            raise ValueError(f'{folder / CONFIG} is another one than this version needs, and holds '
                             'for the versions that are there: export into another repository')


def _write(repository, model, number, config, write_once, write_version):
    with tempfile.TemporaryDirectory(prefix='.partial-', dir=repository) as scratch:
        folder = Path(scratch) / model
        version = folder / str(number)
        version.mkdir(parents=True)
        write_version(version)
        if (repository / model).exists():
            os.rename(version, repository / model / str(number))
            return
        (folder / CONFIG).write_text(config, encoding='utf-8', newline='\n')
        write_once(folder)
        os.rename(folder, repository / model)


def _write_readme(repository, options, mount):
    names = sorted(path.name for path in repository.iterdir() if (path / CONFIG).is_file())
    decoding = any(name.endswith('_decode') for name in names)
    files = {'README.md': make_readme(names, options, mount, decoding)}
    if decoding:
        # What the pixels were tested with here.
        files['requirements.txt'] = ''.join(f'{name}=={installed(name)}\n'
                                            for name in classifier.PACKAGES)
    for name, text in files.items():
        with contextlib.suppress(FileNotFoundError):
            if (repository / name).read_text(encoding='utf-8') == text:
                continue
        temporary = repository / f'.{name}.tmp'
        temporary.write_text(text, encoding='utf-8', newline='\n')
        os.replace(temporary, repository / name)
