"""Runs a function in a child process, with limits of time and memory.

No check finds every harm that a graph can do: TensorFlow ends its process where an assertion of its
own fails, and takes what memory it gets.
"""
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import traceback

_ERRORS = {error.__name__: error for error in (ValueError, RuntimeError)}


def call(function, seconds, gigabytes, verbose=False):
    """Calls a function without arguments in a child process, and returns what it returns.

    Args:
      function: what to call; what it returns must be one that can be pickled.
      seconds: how long it may take.
      gigabytes: how much memory it may take for its data.
      verbose: whether what the child writes to stderr, tracebacks included, is let through.

    Raises:
      ValueError: a limit is not above 0.
      ValueError, RuntimeError: those that the function raised. Also a RuntimeError where it raised
        another exception, took more time or memory than it may, or ended its process.
    """
    for option, value in (('--time-limit', seconds), ('--memory-limit', gigabytes)):
        if not 0 < value < float('inf'):
            raise ValueError('{} must be above 0, got {:g}'.format(option, value))
    context = multiprocessing.get_context('fork')
    receiver, sender = context.Pipe(duplex=False)
    with tempfile.TemporaryFile() as log:
        child = context.Process(target=_child, args=(
            function, sender, None if verbose else log, int(gigabytes * 1e9)))
        child.start()
        sender.close()
        try:
            if not receiver.poll(seconds):
                raise RuntimeError('it took more than {:g} seconds: give it more by --time-limit'
                                   .format(seconds))
            kind, value = receiver.recv()
        except EOFError:
            child.join()
            raise RuntimeError('TensorFlow or onnx ended the process ({}){}'.format(
                _reason(child.exitcode), _last_words(log))) from None
        finally:
            if child.is_alive():
                child.terminate()
                child.join(5)
            if child.is_alive():
                os.kill(child.pid, signal.SIGKILL)
            child.join()
    if kind in _ERRORS:
        raise _ERRORS[kind](value)
    return value


def default_gigabytes():
    """Three quarters of this machine's memory."""
    return round(0.75 * os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9, 1)


def _child(function, sender, log, limit):
    # Ctrl-C reaches both processes; the parent says so.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if log is not None:
        os.dup2(log.fileno(), sys.stderr.fileno())
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        result = 'result', function()
    except (ValueError, OSError) as error:
        result = 'ValueError', str(error)
        traceback.print_exc()
    except RuntimeError as error:
        result = 'RuntimeError', str(error)
        traceback.print_exc()
    except MemoryError:
        result = 'RuntimeError', 'it needs more memory than {:g} GB: give it more by ' \
                                 '--memory-limit'.format(limit / 1e9)
    except Exception as error:  # pylint: disable=broad-except - of a graph that no check foresaw
        result = 'RuntimeError', '{}: {}'.format(type(error).__name__, error)
        traceback.print_exc()
    sender.send(result)
    sender.close()


def _reason(exitcode):
    if exitcode is not None and exitcode < 0:
        return signal.Signals(-exitcode).name
    return 'exit status {}'.format(exitcode)


def _last_words(log):
    """What TensorFlow said of the assertion that failed, if it did."""
    log.seek(0)
    lines = log.read().decode('utf-8', 'replace').splitlines()
    fatal = [line for line in lines if 'Check failed' in line or 'bad_alloc' in line]
    return ': ' + fatal[-1].strip() if fatal else ''
