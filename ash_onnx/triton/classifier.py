"""What a classifier has in a Triton repository beside its model: labels, and an ensemble for files.

The ensemble NAME_image takes image files, as the endpoint's model of this name does. Its steps are
NAME_decode, a model of the Python backend, and NAME.
"""

import json
import shutil
from pathlib import Path

import numpy as np

import ash_onnx
from ash_onnx.kinds.classifier import KIND as _KIND
from ash_onnx.kinds.classifier.interface import INPUT, OUTPUTS
from ash_onnx.protocol import IMAGE, image_name
from ash_onnx.triton.config import LABELS_FILE, VERSION_POLICY, tensor, type_name

KIND = _KIND.name
NAMED = OUTPUTS  # outputs whose entries have labels
DECODING = ('files.py', 'images.py', 'jpeg.py', 'preprocessing.py')  # of this package
PACKAGES = ('numpy', 'opencv-python-headless', 'simplejpeg')  # that these need
MAX_PIXELS = 2**24  # of a file; as the endpoint has it


def write_beside(artifact, folder):
    """Writes labels.txt into the model's folder."""
    text = '\n'.join(artifact.labels) + '\n'
    (folder / LABELS_FILE).write_text(text, encoding='utf-8', newline='\n')


def companions(name, artifact, options):
    """The models beside a classifier's own.

    Args:
      name: of the classifier.
      artifact: an `ash_onnx.Model`.
      options: the `config.Options`.

    Returns:
      Dict of name -> (text of its config.pbtxt, function that writes the folder of a version).
    """
    _, outputs = artifact.values
    decoder = f'{name}_decode'
    pixels = type_name(np.dtype(np.uint8))
    fixed = tuple(artifact.input_shape)  # what files are fitted to, where the model takes any size
    # Several sessions of the model should not wait for one decoder.
    decode = '\n'.join([
        f'name: "{decoder}"', 'backend: "python"', f'max_batch_size: {options.max_batch}',
        tensor('input', IMAGE, 'TYPE_STRING', (1,)), tensor('output', INPUT, pixels, fixed),
        f'instance_group [{{ kind: KIND_CPU count: {options.instances} }}]', VERSION_POLICY, ''])
    step = ('{{ model_name: "{}" model_version: -1 input_map {{ key: "{}" value: "{}" }} {} }}')
    passed = ' '.join(f'output_map {{ key: "{value.name}" value: "{value.name}" }}'
                      for value in outputs)
    ensemble = '\n'.join([
        f'name: "{image_name(name)}"', 'platform: "ensemble"',
        f'max_batch_size: {options.max_batch}', tensor('input', IMAGE, 'TYPE_STRING', (1,)),
        *(tensor('output', value.name, type_name(value.dtype), value.shape[1:])
          for value in outputs),
        'ensemble_scheduling { step [',
        step.format(decoder, IMAGE, IMAGE,
                    f'output_map {{ key: "{INPUT}" value: "pixels" }}') + ',',
        step.format(name, INPUT, 'pixels', passed), '] }', VERSION_POLICY, ''])
    return {decoder: (decode, lambda folder: _write_decoder(artifact, folder)),
            image_name(name): (ensemble, _write_nothing)}


def _write_decoder(artifact, folder):
    shutil.copy(Path(__file__).with_name('image_decoder.py'), folder / 'model.py')
    (folder / 'preprocessing.json').write_text(json.dumps({
        'input_shape': artifact.input_shape, 'max_pixels': MAX_PIXELS,
        'preprocessing': artifact.metadata.get('preprocessing', {})}, indent=2) + '\n')
    package = folder / 'ash_onnx'
    package.mkdir()
    (package / '__init__.py').write_text('"""The part of ash_onnx that decodes images."""\n')
    for file in DECODING:
        shutil.copy(Path(ash_onnx.__file__).parent / file, package)


def _write_nothing(folder):
    # An ensemble is its config; but Triton wants a folder for its version, and archives drop
    # folders that are empty.
    (folder / '.keep').write_bytes(b'')
