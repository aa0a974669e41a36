"""Each tool of the TensorFlow side imports this first.

It makes the packages of the checkout importable. If there is no TensorFlow 1, it ends the tool with
one line that says which Python has it.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from ash_distribution.commands import TRAIN  # noqa: E402

TRAIN.load(Path(sys.argv[0]).name, 'take .venv/train/bin/python, which `make setup` makes')
