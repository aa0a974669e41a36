"""What the tests of the modern side share: artifacts and images in files, and the commands."""

import importlib.util
import json
import signal
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from ash_onnx import native
from tests.serve.miniature import HEIGHT, METADATA, WIDTH, build_model, oracle, write_test_data

ROOT = Path(__file__).resolve().parents[2]


def pytest_configure():
    """Lets Ctrl-C reach the commands under test, also where a shell began the tests with `&`."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope='session')
def library():
    """The library of the fused op; skips where there is no compiler that could have built it."""
    try:
        return native.library('cpu')
    except native.Unavailable as reason:
        if 'there is no C++ compiler' not in str(reason):
            raise
        pytest.skip(str(reason))


@pytest.fixture
def make_artifact(tmp_path):
    """Function that writes an artifact folder from `build_model`'s arguments; returns its path."""
    def make(name='artifact', model=None, **arguments):
        folder = tmp_path / name
        folder.mkdir()
        onnx.save(model or build_model(**arguments), folder / 'model.onnx')
        classes = arguments.get('classes', 3)
        images = np.random.RandomState(0).randint(0, 256, [5, HEIGHT, WIDTH, 3]).astype(np.uint8)
        outputs = [output.astype(np.float32) for output in oracle(images, classes)]
        write_test_data(folder / 'test_data_set_0', images, *outputs)
        return folder
    return make


@pytest.fixture
def artifact(make_artifact):
    """Path of a sound miniature artifact."""
    return make_artifact()


@pytest.fixture
def six_class_artifact(make_artifact):
    """The same with six classes, so that top-5 means something."""
    labels = ['red', 'green', 'blue', 'red2', 'green2', 'blue2']
    return make_artifact('six', classes=6, metadata={**METADATA, 'labels': json.dumps(labels)})


@pytest.fixture
def save_image(tmp_path):
    """Function that writes an RGB colour (or an RGB array) as a file under tmp_path."""
    def save(name, colour=(255, 0, 0), size=(HEIGHT, WIDTH)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.asarray(colour, np.uint8)
        if pixels.ndim == 1:
            pixels = np.broadcast_to(pixels, [*size, 3])
        assert cv2.imwrite(str(path), np.ascontiguousarray(pixels[..., ::-1]))
        return path
    return save


@pytest.fixture
def load_tool(monkeypatch):
    """Function that imports a command of tools/ by its file name, as if that were run."""
    def load(name):
        monkeypatch.setattr(sys, 'argv', [str(ROOT / 'tools' / f'{name}.py')])
        spec = importlib.util.spec_from_file_location(f'tool_{name}', ROOT / 'tools' / f'{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    return load
