"""One endpoint for the tests of a session, with an artifact of each kind."""

import shutil
import sys
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2])]
import artifacts  # noqa: E402
from endpoint import ROOT, Endpoint  # noqa: E402

RESNET = ROOT / 'checkpoints/resnet20-cifar10-ash'


@pytest.fixture(scope='session')
def folders(tmp_path_factory):
    """Dict of artifact folders: resnet, and miniatures."""
    root = tmp_path_factory.mktemp('artifacts')
    return {'resnet': RESNET, 'colours': artifacts.classifier(root / 'colours', model_version='7'),
            'graph': artifacts.graph(root / 'graph'),
            'generator': artifacts.generator(root / 'generator'),
            'keras': artifacts.keras_model(root / 'keras'),
            'endless': artifacts.endless(root / 'endless')}


@pytest.fixture(scope='session')
def endpoint(folders):
    """An `Endpoint` that serves them all."""
    with Endpoint(*folders.values(), options=['--time-limit', '2']) as started:
        yield started
        assert started.process.poll() is None, 'the endpoint ended during the tests'


@pytest.fixture(scope='session')
def browser():
    """One Chromium: playwright allows no second in a process."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=shutil.which('chromium'),
                                             args=['--no-sandbox'])
        yield started
        started.close()
