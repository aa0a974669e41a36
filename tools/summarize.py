#!/usr/bin/env python3
"""Print the layers of a net; see --help."""
import sys

import _train_side  # noqa: F401

from ash_tf1.commands.summarize import main

if __name__ == '__main__':
    sys.exit(main())
