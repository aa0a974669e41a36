"""Every artifact that is committed under checkpoints/ answers here what TensorFlow answered."""

from pathlib import Path

import pytest

import ash_onnx

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = sorted((ROOT / 'checkpoints').glob('**/model.onnx'))


@pytest.mark.skipif(not ARTIFACTS, reason='no artifact is committed under checkpoints/ yet')
@pytest.mark.parametrize('path', ARTIFACTS, ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_committed_artifact_verifies(path):
    result = ash_onnx.verify(ash_onnx.load_model(path))
    assert result.passed, result
