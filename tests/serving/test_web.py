"""web/: the artifact in Chromium itself, by onnxruntime-web."""

import base64
import functools
import http.server
import re
import subprocess
import sys
import threading

import numpy as np
import onnx
import pytest
from browser import open_page
from conftest import RESNET
from endpoint import ROOT
from test_page import shoot

import ash_onnx
from ash_onnx.preprocessing import Preprocessing, fit_image

RUN = """async encoded => {
  const {open, run} = await import('./classifier.mjs');
  window.model ??= await open();
  const pixels = Uint8Array.from(atob(encoded), c => c.charCodeAt(0));
  const {logits, probabilities} = await run(window.model, pixels);
  return {logits: [...logits], probabilities: [...probabilities]};
}"""
FIT = """async encoded => {
  const {open, fit} = await import('./classifier.mjs');
  window.model ??= await open();
  const bytes = Uint8Array.from(atob(encoded), c => c.charCodeAt(0));
  return [...await fit(window.model, new Blob([bytes]))];
}"""
SOURCE = "async given => (await import('./classifier.mjs')).sourceOf(...given)"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    """URL of the built folder on a file server."""
    folder = tmp_path_factory.mktemp('web')
    done = subprocess.run([sys.executable, ROOT / 'web/build.py', RESNET, folder],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(
        _Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f'http://127.0.0.1:{server.server_port}/'
    server.shutdown()
    server.server_close()


@pytest.fixture(scope='module')
def opened(site, browser):
    with open_page(browser, viewport={'width': 1100, 'height': 800}) as (page, problems):
        page.goto(site)
        page.wait_for_selector('#file:enabled', state='attached', timeout=180_000)
        yield page
        assert not problems


def test_the_test_data_of_the_artifact(opened):
    """Same classes as TensorFlow, and logits within 1e-4."""
    arrays = {name: onnx.numpy_helper.to_array(onnx.TensorProto.FromString(
        (RESNET / f'test_data_set_0/{name}.pb').read_bytes()))
        for name in ('input_0', 'output_0', 'output_1')}
    found = opened.evaluate(RUN, base64.b64encode(arrays['input_0'].tobytes()).decode())
    for name, expected in (('logits', arrays['output_0']), ('probabilities', arrays['output_1'])):
        answer = np.array(found[name], np.float32).reshape(expected.shape)
        np.testing.assert_allclose(answer, expected, atol=1e-4)
        assert (answer.argmax(1) == expected.argmax(1)).all()


def test_a_person_gives_an_image(opened):
    path = next(iter(sorted(RESNET.glob('samples/frog/*.png'))))
    opened.set_input_files('#file', path)
    opened.wait_for_selector('#answer li')
    rows = [text.split('\n') for text in opened.locator('#answer li').all_inner_texts()]
    top = ash_onnx.predict(ash_onnx.load_model(RESNET), [path], top=5)[0].top
    assert rows == [[label, f'{100 * score:.1f} %'] for label, score in top]
    assert 'resnet20-cifar10-ash' in opened.inner_text('#about')
    shoot(opened, 'web')


def test_an_image_of_the_model_s_size_keeps_its_pixels(opened):
    path = next(iter(sorted(RESNET.glob('samples/ship/*.png'))))
    pixels = opened.evaluate(FIT, base64.b64encode(path.read_bytes()).decode())
    expected = ash_onnx.read_image(path, (32, 32, 3))
    np.testing.assert_array_equal(np.array(pixels).reshape(32, 32, 3), expected)


@pytest.mark.parametrize('preprocessing', [{}, {'crop': 0.875}, {'resize': 'stretch'}])
@pytest.mark.parametrize('size', [(300, 200), (200, 300), (64, 64)])
def test_the_part_of_a_photo_that_is_shown(opened, size, preprocessing):
    """Held against `fit_image`: coordinates as colours, so that corners say what was cut out."""
    width, height = size
    facts = {'input_shape': [32, 32, 3], 'preprocessing': preprocessing}
    left, top, across, down = opened.evaluate(SOURCE, [width, height, facts])
    image = np.zeros([height, width, 3], np.uint8)
    image[..., 0] = np.linspace(0, 255, width)[None]
    image[..., 1] = np.linspace(0, 255, height)[:, None]
    fitted = fit_image(image, (32, 32, 3), Preprocessing(**preprocessing)).astype(float)
    # The centre of the first and of the last pixel; `fit_image` cuts at whole pixels.
    for corner, x, y in ((fitted[0, 0], left + across / 64, top + down / 64),
                         (fitted[-1, -1], left + across * 63 / 64, top + down * 63 / 64)):
        assert corner[0] == pytest.approx(255 * x / width, abs=6)
        assert corner[1] == pytest.approx(255 * y / height, abs=6)


def test_what_it_needs_is_pinned_and_names_no_host():
    lock = (ROOT / 'web/package-lock.json').read_text()
    assert '"resolved"' not in lock and 'http' not in lock
    entries = re.findall(r'"node_modules/[^{]*\{(.*?)\n    \}', lock, re.DOTALL)
    assert len(entries) > 10 and all('"integrity": "sha512-' in entry for entry in entries)
    for path in (ROOT / 'web').glob('*.*'):
        if path.suffix in ('.html', '.mjs'):
            assert not re.search('https?://', path.read_text()), path
