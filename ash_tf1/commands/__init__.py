"""The commands, one file each: `main(argv)` parses, calls the library and prints.

`tools/` has a script for each.
"""
