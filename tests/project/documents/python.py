"""Stands for .venv/train/bin/python in a document: runs a script with thin nets and short runs.

    python.py SCRIPT ARGUMENT...
"""
import os
import runpy
import sys

if __name__ == '__main__':
    here = os.path.dirname(os.path.abspath(__file__))
    sys.argv = sys.argv[1:]
    sys.path[0] = os.path.dirname(sys.argv[0])
    import _train_side  # noqa: F401 - of tools/, beside the script
    sys.path.append(here)
    from thin import make_thin
    make_thin()
    runpy.run_path(sys.argv[0], run_name='__main__')
