"""Runs a command of this side: opens its artifact, prints its results, and reports its errors."""

import json
import math
import os
import signal
import sys

from ash_distribution.commands import end
from ash_onnx import limits
from ash_onnx.commands.options import FUSED
from ash_onnx.files import shown

OK, BEYOND_TOLERANCE, BAD_INPUT, INTERRUPTED, READER_GONE = 0, 1, 2, 130, 141


def run(parser, function, argv):
    """Parses the arguments, calls function(args) and returns the exit status that it returns.

    The process gets --memory-limit gigabytes for its data. Where the option is absent, it gets
    three quarters of the memory, or no limit on a GPU: GPUs map more memory than they take.
    `args.program` is the name of the command.

    Bad input (a ValueError or OSError) or a shortage of memory gives one line on stderr and exit
    status 2. Ctrl-C gives 130. If the reader of the output has gone, the status is 141.
    """
    args = parser.parse_args(argv)
    args.program = parser.prog
    memory_limit = getattr(args, 'memory_limit', None)
    if signal.getsignal(signal.SIGINT) is end:  # as it is during imports
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):  # as what a caller puts in its place may not
            # A terminal of another encoding shows an escape for what it lacks.
            stream.reconfigure(errors='backslashreplace')
    if memory_limit is None and getattr(args, 'provider', 'cpu') == 'cpu':
        memory_limit = limits.default_gigabytes()
    try:
        with limits.memory_limit(memory_limit):
            return function(args)
    except BrokenPipeError:  # the reader of the output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except (ValueError, OSError) as error:
        complain(args.program, error)
        return BAD_INPUT
    except MemoryError:
        complain(args.program,
                 f'it needs more memory than {memory_limit:g} GB: give it more by --memory-limit'
                 if memory_limit else 'there is not enough memory')
        return BAD_INPUT
    except KeyboardInterrupt:
        print(f'{args.program}: interrupted', file=sys.stderr)
        return INTERRUPTED


def open_model(load, args):
    """Opens the artifact of a command.

    A run of the model that takes longer than --time-limit raises a ValueError. One node cannot be
    stopped: if one runs for as long again, the process ends with one line and exit status 2.

    Args:
      load: `load_artifact`, `load_model` or another function with their arguments.
      args: parsed arguments, which `options.add_model_arguments` added.

    Raises:
      FileNotFoundError, ValueError: as `load` does; a time limit that is no number above 0.
    """
    limit = args.time_limit
    if not 0 < limit < math.inf:
        raise ValueError(f'--time-limit must be a number above 0, got {limit:g}')
    model = load(args.artifact, provider=args.provider, threads=args.threads,
                 fused=FUSED[args.fused])

    def overdue():
        complain(args.program, f'{model.path}: one node takes more than {limit:g} seconds: give it '
                               'more by --time-limit, or fewer images')
        os._exit(BAD_INPUT)

    model.time_limit, model.overdue = limit, overdue
    return model


def print_json(value):
    """Prints a value as JSON, which has no NaN and no infinity."""
    print(json.dumps(value, indent=2, allow_nan=False))


def print_text(text):
    """Prints lines of text, with escapes for what is not printable."""
    print('\n'.join(map(shown, text.split('\n'))))


def one_line(error):
    """The message of an error in one line, with escapes for what is not printable."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return shown(f'{error.filename}: {error.strerror}')
    return shown(' '.join(str(error).split())) or type(error).__name__


def complain(program, error):
    """Writes an error to stderr, as the command of this name."""
    print(f'{program}: error: {one_line(error)}', file=sys.stderr)
