"""python -m ash_tf1 COMMAND: the commands of tools/, by name."""
import sys

from ash_distribution.commands import TRAIN

if __name__ == '__main__':
    sys.exit(TRAIN.run_subcommand())
