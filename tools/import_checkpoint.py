#!/usr/bin/env python3
"""Import an old checkpoint, under the names of today's nets; see --help."""
import sys

import _train_side  # noqa: F401

from ash_tf1.commands.import_checkpoint import main

if __name__ == '__main__':
    sys.exit(main())
