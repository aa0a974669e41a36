"""Finds, checks and loads the library of the fused TensorFlow ops.

`native/` at the top of a checkout has the sources. `native/build.py` puts the library beside this
file. If there is a library, importing `ash_tf1` loads it, so that graphs with the ops can be
imported. The environment variable ASH_NATIVE says what new layers are made of:

- `auto`, the default: the fused ops if the library can be used. Otherwise graph ops, and one log
  line says why.
- `1`: the fused ops. If the library cannot be used, this is an error.
- `0`: graph ops.
"""
import functools
import json
import logging
import os

import tensorflow.compat.v1 as tf

FOLDER = os.path.dirname(os.path.abspath(__file__))
LIBRARY = os.path.join(FOLDER, 'libash_ops.so')
RECORD = os.path.join(FOLDER, 'built.json')  # what the library was built for, or why it was not
VARIABLE = 'ASH_NATIVE'
BUILD = ('`make native` in a checkout, or `pip install --no-build-isolation`, which builds it for '
         'the TensorFlow that is installed')


class Unavailable(ValueError):  # noqa: N818 - a state; other errors give it as their reason
    """The library cannot be used; the message says why, and what to do."""


def fingerprint():
    """What a library must be built for: TensorFlow's version, build, compiler and C++ ABI."""
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
    """Loads the library if it can be used, so that TensorFlow knows the ops; else does nothing."""
    try:
        library()
    except Unavailable:
        pass  # `library` raises it again when code asks for the ops


def is_wanted():
    """Whether the implementation 'auto' means the fused ops.

    If ASH_NATIVE is `auto` and the library cannot be used, this logs the reason, once.

    Raises:
      ValueError: ASH_NATIVE is 1 and the library cannot be used, or its value is unknown.
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

    It does not depend on ASH_NATIVE, because a graph that holds the ops needs them in any case.

    Raises:
      Unavailable: the library was not built, was built for another TensorFlow, or does not load;
        or another copy of the package has loaded its own.
    """
    return _load(LIBRARY, RECORD)


def check_allowed():
    """Raises Unavailable if ASH_NATIVE is 0: then new layers must not be native."""
    if mode() == '0':
        raise Unavailable('{}=0 turns native ASH off'.format(VARIABLE))


@functools.lru_cache(maxsize=None)
def _load(path, record_path):
    record = read_record(record_path)
    # Checked before loading: a library for another version may crash the process, not raise.
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
        # TensorFlow ignores ops that it knows already, so those of the first library stay.
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
    """Raises Unavailable if there is a GPU and the ops have no kernel for it.

    Such ops would run on the CPU, and the data would be copied there and back.
    """
    if not read_record().get('cuda') and tf.config.experimental.list_physical_devices('GPU'):
        raise Unavailable('native ASH was built without CUDA, and TensorFlow sees a GPU here: '
                          'build it by `make native CUDA=1`')


def _difference(one, other):
    return ', '.join('{} {}'.format(key, one.get(key)) for key in sorted(one)
                     if one.get(key) != other.get(key))


@functools.lru_cache(maxsize=None)
def _say_once(reason):
    logging.getLogger('ash_tf1').warning('%s. ASH is made of graph ops meanwhile, several times '
                                         'slower; set %s=0 to choose these and to silence this '
                                         'warning.', reason, VARIABLE)
