"""The fused ops: their library is found, checked and loaded here, when the package is imported.

`native/` at the top of a checkout has their sources, and `native/build.py` puts the library beside
this file. Where there is one, importing `ash_tf1` loads it, so that graphs which hold the ops can
be imported. The environment variable ASH_NATIVE says what new layers are made of: `auto` (the
default) means the ops where there is a library, and a line that says why not where there is none;
`1` the ops or an error; `0` graph ops.
"""
import functools
import json
import logging
import os

import tensorflow.compat.v1 as tf

FOLDER = os.path.dirname(os.path.abspath(__file__))
LIBRARY = os.path.join(FOLDER, 'libash_ops.so')
RECORD = os.path.join(FOLDER, 'built.json')  # what it was built for, or why it was not
VARIABLE = 'ASH_NATIVE'
BUILD = ('`make native` in a checkout, or `pip install --no-build-isolation`, which builds it for '
         'the TensorFlow that is installed')


class Unavailable(ValueError):  # noqa: N818 - a state, told as the reason of others' errors
    """The library cannot be had; the message says why, and what to do."""


def fingerprint():
    """What a library has to agree with: TensorFlow's version, build, compiler and C++ ABI."""
    return {'tensorflow': tf.version.VERSION, 'build': tf.version.GIT_VERSION,
            'compiler': tf.version.COMPILER_VERSION,
            'cxx11_abi': int(tf.sysconfig.CXX11_ABI_FLAG)}


def mode():
    """'auto', '0' or '1': the value of ASH_NATIVE.

    Raises:
      ValueError: it is set to anything else.
    """
    value = os.environ.get(VARIABLE, 'auto')
    if value not in ('auto', '0', '1'):
        raise ValueError('{} must be 0, 1 or auto, got {!r}'.format(VARIABLE, value))
    return value


def register():
    """Loads the library where it can be had, so that TensorFlow knows the ops; silent otherwise."""
    try:
        library()
    except Unavailable:
        pass  # whoever asks for the ops is told why


def is_wanted():
    """Whether an ASH whose implementation is 'auto' is to be native.

    Where ASH_NATIVE is `auto` and the library cannot be had, logs why, once.

    Raises:
      ValueError: ASH_NATIVE is 1 and the library cannot be had, or it is none of its values.
    """
    if mode() == '0':
        return False
    try:
        library()
        _check_devices()
        return True
    except Unavailable as reason:
        if mode() == '1':
            raise
        _say_once(str(reason))
        return False


def library():
    """The module of the ops, `ash_forward` and `ash_backward`, loaded on the first call.

    Whatever ASH_NATIVE is: a graph that holds the ops already needs them.

    Raises:
      Unavailable: the library was not built, was built for another TensorFlow, or does not load;
        or another copy of the package has loaded its own.
    """
    return _load(LIBRARY, RECORD)


def check_allowed():
    """Raises Unavailable where ASH_NATIVE is 0, which new layers must not be native with."""
    if mode() == '0':
        raise Unavailable('{}=0 turns native ASH off'.format(VARIABLE))


@functools.lru_cache(maxsize=None)
def _load(path, record_path):
    record = read_record(record_path)
    # Before it is loaded: symbols of another version may crash the process instead of raising.
    built_for, here = record['fingerprint'], fingerprint()
    if built_for != here:
        raise Unavailable('native ASH was built for another TensorFlow ({} there, {} here): build '
                          'it again by {}'.format(_difference(built_for, here),
                                                  _difference(here, built_for), BUILD))
    try:
        module = tf.load_op_library(path)
    except (tf.errors.OpError, RuntimeError, OSError) as error:
        raise Unavailable('native ASH does not load: {}. Build it again by {}'.format(
            ' '.join(str(error).split()), BUILD)) from error
    if not hasattr(module, 'ash_forward'):
        # TensorFlow passes over ops that it knows: those of the first library stay.
        raise Unavailable('native ASH is in this process already, loaded from another copy of the '
                          'package than {}'.format(FOLDER))
    return module


def read_record(path=RECORD):
    """What `native/build.py` wrote about the library: a dict.

    Raises:
      Unavailable: there is no library, or the record is damaged.
    """
    try:
        with open(path, encoding='utf-8') as handle:
            record = json.load(handle)
        if 'failure' in record:
            raise Unavailable('native ASH was not built: {}. When that is mended, build it by {}'
                              .format(record['failure'], BUILD))
        dict(record['fingerprint'])
        return record
    except FileNotFoundError:
        raise Unavailable('native ASH was not built; what builds it is {}'.format(BUILD)) from None
    except OSError as error:
        raise Unavailable('{} cannot be read ({}): build native ASH again by {}'.format(
            path, error.strerror, BUILD)) from error
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, Unavailable):
            raise
        raise Unavailable('{} is damaged: build native ASH again by {}'.format(
            path, BUILD)) from error


def _check_devices():
    """Raises Unavailable where ops without a kernel for the GPU would take the data off it."""
    if not read_record().get('cuda') and tf.config.experimental.list_physical_devices('GPU'):
        raise Unavailable('native ASH was built without CUDA, and TensorFlow sees a GPU here: '
                          'build it by `make native CUDA=1`')


def _difference(one, other):
    return ', '.join('{} {}'.format(key, one.get(key)) for key in sorted(one)
                     if one.get(key) != other.get(key))


@functools.lru_cache(maxsize=None)
def _say_once(reason):
    logging.getLogger('ash_tf1').warning('%s. ASH is made of graph ops meanwhile, several times '
                                         'slower; %s=0 says that this is meant.', reason, VARIABLE)
