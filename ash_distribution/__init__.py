"""What both packages are installed with: their version, the start of commands, and their parser.

- `commands` starts a command, for tools/, for what pip installs and for `python -m`. It says how a
  command is written on a command line.
- `parser` is the parser of a command's arguments.

Nothing here imports `ash_tf1` or `ash_onnx` before a command is called.
"""
__version__ = '0.1.0'
