"""An exported run, which the tests of this folder share."""
import pytest

from tests.train.miniature import registered_tiny


@pytest.fixture(scope='session')
def artifact(tiny_run, tmp_path_factory):
    """Folder of an exported run with its frozen graph, and what `export` returned; read only."""
    from ash_tf1.converting import runs
    folder = tmp_path_factory.mktemp('artifacts') / 'tiny'
    with registered_tiny():
        return folder, runs.export(str(tiny_run), str(folder), samples=5, keep_graph=True)
