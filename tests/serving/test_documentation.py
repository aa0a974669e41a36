"""The clients that docs/serving.md shows run as they stand there; its table has the real limits."""

import json
import re
import subprocess
import sys

import cv2
import pytest
from conftest import RESNET
from endpoint import ROOT

import ash_onnx
from ash_onnx.serving.settings import Settings

PAGE = (ROOT / 'docs/serving.md').read_text(encoding='utf-8')
PYTHON, = re.findall(r'^```python\n(.*?)^```', PAGE, re.DOTALL | re.MULTILINE)
SHELL = re.findall(r'^```sh\n(.*?)^```', PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope='module')
def photo(tmp_path_factory):
    """A folder with photo.jpg, and what `predict` says of it."""
    folder = tmp_path_factory.mktemp('documentation')
    sample = cv2.imread(str(next(RESNET.glob('samples/ship/*.png'))))
    assert cv2.imwrite(str(folder / 'photo.jpg'), cv2.resize(sample, (300, 200)))
    model = ash_onnx.load_model(RESNET, threads=1)
    return folder, ash_onnx.predict(model, [folder / 'photo.jpg'], top=10)[0].top


def run(command, folder, endpoint):
    text = [part.replace('127.0.0.1:8080', f'127.0.0.1:{endpoint.http}') for part in command]
    done = subprocess.run(text, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ten_lines_of_python(endpoint, photo):
    folder, top = photo
    assert len([line for line in PYTHON.splitlines() if line]) <= 12
    said = run([sys.executable, '-c', PYTHON], folder, endpoint)
    assert said.splitlines() == [f'{label} {score:f}' for label, score in top[:3]]


def test_curl_with_a_photo_for_its_label(endpoint, photo):
    folder, top = photo
    answer = json.loads(run(['sh', '-ec', SHELL[0]], folder, endpoint))
    label, score = top[0]
    said, = next(output['data'] for output in answer['outputs']
                 if output['name'] == 'probabilities')
    assert said.startswith(f'{score:f}:') and said.endswith(f':{label}')


def test_curl_with_a_photo_for_all_classes(endpoint, photo):
    folder, top = photo
    assert '?classification=1' in SHELL[0]
    answer = json.loads(run(['sh', '-ec', SHELL[0].replace('?classification=1', '')], folder,
                            endpoint))
    logits, probabilities = (output['data'] for output in answer['outputs'])
    assert max(probabilities) == pytest.approx(top[0][1], abs=1e-7) and len(logits) == 10


def test_curl_with_json(endpoint, photo):
    answer = json.loads(run(['sh', '-ec', SHELL[1]], photo[0], endpoint))
    assert re.fullmatch(r'0\.\d{6}:\d:\w+', answer['outputs'][0]['data'][0])


def test_the_limits_of_the_table():
    limits = Settings()
    for text in (f'`--max-pixels` {limits.max_pixels:,}', f'`--max-batch` {limits.max_batch}',
                 f'`--max-body` {limits.max_body >> 20} MiB, `--max-json` '
                 f'{limits.max_json >> 20} MiB', f'`--queue` {limits.queue}',
                 f'`--time-limit` {limits.time_limit:g} s', f'`--drain` seconds more '
                 f'({limits.drain:g})', f'`--grace` seconds ({limits.grace:g})'):
        assert text in ' '.join(PAGE.split()), text
