"""The page at /, in Chromium: a person gives it an image, and sees the answer and the request."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from browser import open_page
from conftest import RESNET

import ash_onnx

# Where screenshots of the page go, for a person to look at; nowhere by default.
SCREENSHOTS = os.environ.get('ASH_SCREENSHOTS')


@pytest.fixture(scope='module')
def opened(endpoint, browser):
    with open_page(browser, viewport={'width': 1100, 'height': 900}) as (page, problems):
        page.goto(f'http://127.0.0.1:{endpoint.http}/')
        yield page, problems
        assert not problems


@pytest.fixture(scope='module')
def expected():
    model = ash_onnx.load_model(RESNET, threads=1)
    path, = list(RESNET.glob('samples/ship/*.png'))[:1]
    return path, ash_onnx.predict(model, [path], top=5)[0].top


def shoot(page, name):
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f'{name}.png', full_page=True)


def test_an_image_is_answered(opened, expected):
    page, _ = opened
    path, top = expected
    assert '(c0ffee)' in page.inner_text('#about')
    shoot(page, 'page-empty')
    page.set_input_files('#file', path)
    page.wait_for_selector('#answer li')
    rows = [text.split('\n') for text in page.locator('#answer li').all_inner_texts()]
    assert rows == [[label, f'{100 * score:.1f} %'] for label, score in top]
    shoot(page, 'page-answer')
    page.emulate_media(color_scheme='dark')
    shoot(page, 'page-dark')
    page.emulate_media(color_scheme='light')


def test_the_request_that_it_shows_is_that_of_the_answer(opened, expected):
    """Run as it stands there, in the folder of the image."""
    page, _ = opened
    path, top = expected
    command = page.inner_text('#curl')
    done = subprocess.run(['sh', '-ec', command], cwd=path.parent, capture_output=True, text=True)
    answer = json.loads(done.stdout)
    labels = [entry.split(':', 2)[2] for entry in answer['outputs'][0]['data']]
    assert labels == [label for label, _ in top]


def test_a_file_that_is_no_image_is_an_error_in_words(opened, tmp_path):
    page, problems = opened
    path = tmp_path / "it's no image.png"
    path.write_text('hello')
    page.set_input_files('#file', path)
    page.wait_for_selector('#answer.bad')
    assert page.inner_text('#answer') == 'image 0: neither a JPEG nor a PNG image'
    shoot(page, 'page-error')
    while problems:  # the console has the status 400, and the picture that cannot be shown
        assert re.search('status of 400|ERR_', problems.pop())


def test_another_model_is_shown_with_its_tensors(opened):
    page, _ = opened
    page.select_option('#model', label='graph (version 1)')
    assert page.is_hidden('#try')
    assert 'unsigned_out' in page.inner_text('#tensors')
    page.select_option('#model', label='colours (version 7)')
    assert page.is_visible('#try') and '[N, 6, 8, 3]' in page.inner_text('#tensors')


def test_nothing_comes_from_elsewhere_and_nothing_else_runs(endpoint):
    _, headers, body = endpoint.get('/')
    policy = headers['content-security-policy']
    assert "default-src 'none'" in policy and 'unsafe' not in policy
    assert not re.search(rb'https?://(?!127)', body)


def test_on_a_narrow_screen_it_scrolls_down_only(endpoint, browser, expected):
    with open_page(browser, viewport={'width': 390, 'height': 800}) as (page, problems):
        page.goto(f'http://127.0.0.1:{endpoint.http}/')
        page.set_input_files('#file', expected[0])
        page.wait_for_selector('#answer li')
        assert page.evaluate('document.documentElement.scrollWidth') <= 390
        shoot(page, 'page-narrow')
        assert not problems
