"""A command's run: one line for bad input, and an exit status that tells what happened."""
import os
import sys

FAILED, BAD_INPUT, INTERRUPTED, READER_GONE = 1, 2, 130, 141


def run(parser, function, argv):
    """Parses the arguments, calls function(args) and returns the exit status it gives.

    Bad input (a ValueError or OSError) becomes one line on stderr and exit status 2, what failed
    for another reason (a RuntimeError) exit status 1, Ctrl-C outside of training 130.
    """
    args = parser.parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        # A terminal of another encoding shows an escape for what it lacks.
        stream.reconfigure(errors='backslashreplace')
    try:
        return function(args)
    except BrokenPipeError:  # the reader of the output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except (ValueError, OSError, RuntimeError) as error:
        sys.stderr.write('{}: error: {}\n'.format(parser.prog, _one_line(error)))
        return FAILED if isinstance(error, RuntimeError) else BAD_INPUT
    except KeyboardInterrupt:
        sys.stderr.write('{}: interrupted\n'.format(parser.prog))
        return INTERRUPTED


def _one_line(error):
    """The message of an error, with escapes for what is not printable, as in a file's name."""
    return ''.join(mark if mark.isprintable() else ascii(mark)[1:-1]
                   for mark in ' '.join(str(error).split()))
