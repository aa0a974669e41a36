"""Each tool of the modern side imports this first.

It makes the packages of the checkout importable. If packages are missing, it ends the tool with one
line that says which Python has them.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from ash_distribution.commands import SERVE  # noqa: E402

SERVE.load(Path(sys.argv[0]).name,
           'this needs Python 3.10 or newer with requirements/serve.txt, as .venv/serve/bin/python '
           'has after `make setup`')
