"""What docs/keras.md shows runs as it stands there."""
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = re.findall(r'```python\n(.*?)```', (ROOT / 'docs/keras.md').read_text(encoding='utf-8'),
                      re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize('example', [0, 2], ids=['tf.keras', 'functions'])
def test_the_examples_run(tmp_path, example):
    """The one between them is in test_xception.py, on smaller images."""
    assert len(EXAMPLES) == 3
    done = subprocess.run([sys.executable, '-c', EXAMPLES[example]], cwd=str(tmp_path),
                          env=dict(os.environ, PYTHONPATH=str(ROOT)), universal_newlines=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    if example == 0:
        assert sorted(os.listdir(str(tmp_path))) == ['artifact', 'net.h5']
