"""Runs a command: reports errors in one line, and returns the exit status."""
import os
import signal
import sys

import tensorflow.compat.v1 as tf

from ash_distribution.commands import end
from ash_distribution.parser import shown

FAILED, BAD_INPUT, INTERRUPTED, READER_GONE = 1, 2, 130, 141
_PATHS = ('run_dir', 'out_dir', 'checkpoint_dir', 'source', 'old', 'new')


def run(parser, function, argv):
    """Parses the arguments, calls function(args) and returns the exit status that it returns.

    Bad input (a ValueError or OSError) gives one line on stderr and exit status 2. Another failure
    (a RuntimeError, a MemoryError, an error of TensorFlow) gives one line and exit status 1. Ctrl-C
    outside of training gives 130. If the reader of the output has gone, the status is 141.
    """
    args = parser.parse_args(argv)
    if signal.getsignal(signal.SIGINT) is end:  # as it is during imports
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):  # as what a caller puts in its place may not
            # A terminal of another encoding shows an escape for what it lacks.
            stream.reconfigure(errors='backslashreplace')
    try:
        for name in _PATHS:
            if getattr(args, name, None) == '':  # which would be the current folder, or fail late
                raise ValueError('{} must be a path, got an empty one'.format(name.upper()))
        return function(args)
    except BrokenPipeError:  # the reader of the output has gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except (ValueError, OSError, RuntimeError, MemoryError) as error:
        sys.stderr.write('{}: error: {}\n'.format(parser.prog, _one_line(error)))
        return BAD_INPUT if isinstance(error, (ValueError, OSError)) else FAILED
    except tf.errors.OpError as error:
        # Below the first lines are those of the graph, or of the stack, which help no user.
        sys.stderr.write('{}: error: TensorFlow: {}\n'.format(parser.prog, _one_line(
            error.message.split('\n\t [[')[0].split('\n\n')[0])))
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write('{}: interrupted\n'.format(parser.prog))
        return INTERRUPTED


def print_line(line):
    """Prints a line, with escapes for what is not printable, as in the name of a variable."""
    print(shown(line))


def _one_line(error):
    """The message of an error, with escapes for what is not printable, as in a file's name."""
    return shown(' '.join(str(error).split()) or type(error).__name__)
