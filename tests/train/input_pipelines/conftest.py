"""A folder of miniature CIFARs."""
import pytest

from tests.train.input_pipelines.cifar_files import CifarFiles


@pytest.fixture
def cifar_files(tmp_path):
    """A `CifarFiles` that writes under a folder of its own."""
    root = tmp_path / 'data'
    root.mkdir()
    return CifarFiles(root)
