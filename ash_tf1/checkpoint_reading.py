"""Reads checkpoints in a child process, because TensorFlow ends the one that reads a damaged one.

An index or a table that was changed together with its checksums fails assertions of TensorFlow, or
makes it read outside its memory. So this process opens none by itself.
"""
import contextlib
import faulthandler
import functools
import multiprocessing
import os
import pickle
import resource
import signal
import subprocess
import sys

import numpy as np
import tensorflow.compat.v1 as tf

SECONDS = 300  # that the index may take, or one variable
_CHUNK = 2 ** 26  # bytes in a message between the processes


class _Error(Exception):
    """What went wrong in a child, or with it."""


@functools.lru_cache(maxsize=64)
def read_index(prefix, stamps):
    """Reads which variables a checkpoint holds.

    Args:
      prefix: a checkpoint, as from `checkpoint.find_checkpoint`.
      stamps: a value that changes with the files of the checkpoint.

    Returns:
      (shapes, dtypes), dicts by the names of the variables: lists of sizes, and `tf.DType`s.

    Raises:
      ValueError: it cannot be read.
    """
    del stamps
    with contextlib.closing(_Child(_send_index, prefix)) as child:
        try:
            return child.receive()
        except _Error as error:
            raise ValueError('{} cannot be read as a checkpoint: {}'.format(
                prefix, str(error) or 'its index is damaged')) from None


def read_values(prefix, variables):
    """Reads variables of a checkpoint, one after the other.

    Args:
      prefix: a checkpoint, as from `checkpoint.find_checkpoint`.
      variables: list of (name in the checkpoint, shape, dtype), the latter as from `read_index`.

    Yields:
      The array of each; of a single string its bytes.

    Raises:
      ValueError: the checkpoint is damaged. The message names the variable.
    """
    with contextlib.closing(_Child(_send_values, prefix, variables, True)) as child:
        for name, shape, dtype in variables:
            with _naming(prefix, name):
                value = child.receive()
                if value is None:  # it follows as bytes
                    value = np.empty(shape, dtype.as_numpy_dtype)
                    child.fill(value)
            yield value


@functools.lru_cache(maxsize=64)
def check_values(prefix, names, stamps):
    """Checks that variables of a checkpoint can be read.

    Args:
      prefix: a checkpoint, as from `checkpoint.find_checkpoint`.
      names: of the variables, a tuple.
      stamps: as for `read_index`.

    Raises:
      ValueError: the checkpoint is damaged. The message names the variable.
    """
    shapes, dtypes = read_index(prefix, stamps)
    variables = [(name, shapes[name], dtypes[name]) for name in names]
    with contextlib.closing(_Child(_send_values, prefix, variables, False)) as child:
        for name in names:
            with _naming(prefix, name):
                child.receive()


@contextlib.contextmanager
def _naming(prefix, name):
    try:
        yield
    except _Error as error:
        raise ValueError('checkpoint {} is damaged at {}{}'.format(
            prefix, name, ': {}'.format(error) if str(error) else '')) from None


class _Child:
    """A process that runs a function. Close it after use."""

    def __init__(self, function, *arguments):
        """Calls function(sender, *arguments) there; its sender has `send` and `send_bytes`."""
        self._receiver, sender = multiprocessing.Pipe(duplex=False)
        self._pid = os.fork()
        if not self._pid:
            self._receiver.close()  # so that nobody reads what is sent if the parent has ended
            _run(function, sender, arguments)
        sender.close()
        self._status = None

    def receive(self):
        """What it sent; raises `_Error` if it failed or ended instead."""
        answer = self._ask(self._receiver.recv)
        if isinstance(answer, _Error):
            raise answer
        return answer

    def fill(self, array):
        """Fills an array with the bytes that it sent."""
        rest = memoryview(array.reshape(-1).view(np.uint8))
        while rest:
            rest = rest[self._ask(self._receiver.recv_bytes_into, rest):]

    def _ask(self, receive, *arguments):
        try:
            return receive(*arguments)
        except (EOFError, OSError):  # at its end, or in the middle of a message
            self._wait()
        late = os.WIFSIGNALED(self._status) and os.WTERMSIG(self._status) == signal.SIGALRM
        raise _Error('it takes more than {} seconds'.format(SECONDS) if late else '')

    def _wait(self):
        if self._status is None:
            _, self._status = os.waitpid(self._pid, 0)

    def close(self):
        self._receiver.close()
        if self._status is None:
            os.kill(self._pid, signal.SIGKILL)
            self._wait()


def _run(function, sender, arguments):
    """Runs a function in a process that has been forked, and ends the process."""
    try:
        faulthandler.disable()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # TensorFlow's last words
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        _begin_to_wait()
        function(sender, *arguments)
    except _Error as error:  # the parent raises it
        sender.send(error)
    except Exception as error:  # so it does this one
        message = str(getattr(error, 'message', error)) or type(error).__name__
        sender.send(_Error(message.splitlines()[0]))
    finally:
        os._exit(0)


def _begin_to_wait():
    signal.setitimer(signal.ITIMER_REAL, SECONDS)


def _send_index(sender, prefix):
    reader = tf.train.NewCheckpointReader(prefix)
    sender.send((reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()))


def _send_values(sender, prefix, variables, whole):
    """Sends each variable; only that it could be read if not `whole`."""
    reader, parts = tf.train.NewCheckpointReader(prefix), _Parts(prefix)
    for name, shape, dtype in variables:
        _begin_to_wait()
        try:
            value = reader.get_tensor(name)
        except tf.errors.UnimplementedError:
            value = parts.read(name, dtype)
        value = value if dtype == tf.string else np.asarray(value, order='C')
        if dtype != tf.string and list(value.shape) != shape:
            raise _Error('its shape is {} there'.format(list(value.shape)))
        if not whole or dtype == tf.string:
            sender.send(value if whole else True)
            continue
        sender.send(None)
        rest = memoryview(value.reshape(-1).view(np.uint8))
        while rest:
            sender.send_bytes(rest[:_CHUNK])
            rest = rest[_CHUNK:]


class _Parts:
    """Reads variables that are stored in parts, by a session in a Python of its own.

    A session never ends in a process that was forked from one with sessions, because it waits for
    threads that a fork leaves behind. Python is started when the first such variable comes.
    """

    def __init__(self, prefix):
        self._prefix, self._reader = os.path.abspath(prefix), None

    def read(self, name, dtype):
        """The array of a variable; raises `_Error` if it cannot be read."""
        if self._reader is None:
            # In another folder than the user's, in which there may be a package of any name.
            self._reader = subprocess.Popen(
                [sys.executable, '-W', 'ignore', '-c', _READ_PARTS, self._prefix], cwd='/',
                stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            pickle.dump((name, dtype.as_datatype_enum), self._reader.stdin)
            self._reader.stdin.flush()
            value, message = pickle.load(self._reader.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):  # TensorFlow has ended that process
            raise _Error() from None
        if message:
            raise _Error(message)
        return value


# Reads (name, number of a dtype) from stdin, and writes (array, message of an error) to stdout.
_READ_PARTS = '''
import pickle, sys
import tensorflow.compat.v1 as tf
while True:
    try:
        name, dtype = pickle.load(sys.stdin.buffer)
    except EOFError:
        break
    with tf.Graph().as_default(), tf.Session() as session:
        try:
            answer = session.run(tf.raw_ops.RestoreV2(
                prefix=sys.argv[1], tensor_names=[name], shape_and_slices=[''],
                dtypes=[tf.as_dtype(dtype)]))[0], None
        except tf.errors.OpError as error:
            answer = None, error.message.splitlines()[0]
    pickle.dump(answer, sys.stdout.buffer, 4)
    sys.stdout.buffer.flush()
'''
