"""The commands, one file each: `main(argv)` parses arguments, calls the library and prints.

`tools/` has a script for each command.
"""
