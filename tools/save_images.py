#!/usr/bin/env python3
"""Save a data set as image files; see --help."""
import sys

import _train_side  # noqa: F401

from ash_tf1.commands.save_images import main

if __name__ == '__main__':
    sys.exit(main())
