"""Every artifact that is committed under checkpoints/ answers here what TensorFlow answered."""

import hashlib
from pathlib import Path

import pytest

import ash_onnx

pytestmark = pytest.mark.fast

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = sorted((ROOT / 'checkpoints').glob('*/model.onnx'))
RESNET20 = ROOT / 'checkpoints' / 'resnet20-cifar10-ash'
DCGAN = ROOT / 'checkpoints' / 'dcgan-celeba-ash'


def test_the_promised_artifacts_are_there():
    assert {RESNET20 / 'model.onnx', DCGAN / 'model.onnx'} <= set(ARTIFACTS)


@pytest.mark.parametrize('path', ARTIFACTS, ids=lambda path: path.parent.name)
def test_committed_artifact_verifies(path):
    result = ash_onnx.verify(ash_onnx.load_artifact(path))
    assert result.passed, result


def test_it_knows_most_of_its_samples():
    """The first test image of each class, as PNG files: at least 7 of 10, by the folder's name."""
    model = ash_onnx.load_model(RESNET20)
    paths = sorted(RESNET20.glob('samples/*/*.png'))
    assert len({path.parent.name for path in paths}) == len(paths) == 10
    predictions = ash_onnx.predict(model, paths, top=1)
    right = [path for path, prediction in zip(paths, predictions, strict=True)
             if prediction.top[0][0] == path.parent.name]
    assert len(right) >= 7, right


def test_it_says_where_it_comes_from():
    metadata = ash_onnx.load_model(RESNET20).metadata
    assert (metadata['net'], metadata['activation'], metadata['dataset']) == (
        'resnet_v2_20', 'ash', 'cifar10')
    assert metadata['input_shape'] == [32, 32, 3]
    assert metadata['versions']['tensorflow'] == '1.15.5'


def test_its_checkpoint_is_the_one_it_was_made_of():
    metadata = ash_onnx.load_model(RESNET20).metadata
    prefix = RESNET20 / 'run' / metadata['checkpoint']
    digest = hashlib.sha256()
    for ending in ('.data-00000-of-00001', '.index'):
        digest.update(Path(str(prefix) + ending).read_bytes())
    assert digest.hexdigest() == metadata['checkpoint_sha256']


def test_the_generator_makes_different_pictures_of_the_same_seed_anywhere():
    """50 images differ from each other as faces do; a collapsed generator's hardly do."""
    model = ash_onnx.load_generator(DCGAN)
    images = ash_onnx.generate(model, seed=0, count=50)
    assert images.shape == (50, 32, 32, 3)
    assert images.astype(float).var(axis=0).mean() > 1500
    assert model.metadata['latent'] == {'distribution': 'uniform', 'low': -1.0, 'high': 1.0}
    assert (model.metadata['dataset'], model.metadata['activation']) == ('celeba', 'ash')
