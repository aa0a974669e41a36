"""Runs a command: reports errors in one line, and returns the exit status."""
import os
import sys

FAILED, BAD_INPUT, INTERRUPTED, READER_GONE = 1, 2, 130, 141


def run(parser, function, argv):
    """Parses the arguments, calls function(args) and returns the exit status that it returns.

    Bad input (a ValueError or OSError) gives one line on stderr and exit status 2. Another failure
    (a RuntimeError) gives one line and exit status 1. Ctrl-C outside of training gives 130. If the
    reader of the output has gone, the status is 141.
    """
    args = parser.parse_args(argv)
    try:
        return function(args)
    except BrokenPipeError:  # the reader of the output has gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except (ValueError, OSError, RuntimeError) as error:
        sys.stderr.write('{}: error: {}\n'.format(parser.prog, ' '.join(str(error).split())))
        return FAILED if isinstance(error, RuntimeError) else BAD_INPUT
    except KeyboardInterrupt:
        sys.stderr.write('{}: interrupted\n'.format(parser.prog))
        return INTERRUPTED
