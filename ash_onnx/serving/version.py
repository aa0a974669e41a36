"""Which state of this program runs."""

import os
import subprocess
from pathlib import Path

from ash_distribution import __version__


def describe_version():
    """Returns the version and, where it is known, the commit: '0.1.0 (1a2b3c4d5e6f)'.

    The commit is ASH_COMMIT of the environment, which images have, or the checkout's.
    """
    commit = os.environ.get('ASH_COMMIT') or _checkout()
    return f'{__version__} ({commit[:12]})' if commit else __version__


def _checkout():
    root = Path(__file__).resolve().parents[2]
    if not (root / '.git').exists():
        return ''
    try:
        return subprocess.run(['git', '-C', root, 'rev-parse', 'HEAD'], capture_output=True,
                              text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):  # no git, or a checkout of another user
        return ''
