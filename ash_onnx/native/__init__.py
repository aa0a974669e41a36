"""The fused op's library: found and checked here; `native/build.py` puts it beside this file."""

import functools
import json
import logging
from pathlib import Path

import onnxruntime

FOLDER = Path(__file__).resolve().parent
LIBRARY = FOLDER / 'libash_onnx.so'
RECORD = FOLDER / 'built.json'  # what it was built for, or why it was not
BUILD = '`make native` in a checkout, or `pip install` of one, which need a C++ compiler'


class Unavailable(ValueError):  # noqa: N818 - a state, told as the reason of others' errors
    """The library cannot be had; the message says why, and what to do."""


def library(provider):
    """The library of the fused op, after a try to load it.

    Args:
      provider: `cpu` or `cuda`.

    Returns:
      Its path, for `onnxruntime.SessionOptions.register_custom_ops_library`.

    Raises:
      Unavailable: it was not built, or not for CUDA, which the provider needs; this onnxruntime is
        too old for it, or cannot load it.
    """
    record = _read_record(RECORD)
    if provider == 'cuda' and not record.get('cuda'):
        raise Unavailable('fused ASH was built without CUDA: build it by `make native CUDA=1`')
    _try(LIBRARY, record['api'])
    return LIBRARY


def say_once(reason):
    """Logs why models run without the fused op, once for each reason."""
    _say_once(str(reason))


@functools.lru_cache(maxsize=None)
def _say_once(reason):
    logging.getLogger('ash_onnx').warning('%s. ASH runs as portable nodes meanwhile, which are '
                                          'slower; fused=False says that this is meant.', reason)


@functools.lru_cache(maxsize=None)
def _try(path, api):
    # Before it is loaded: onnxruntime itself would only print a line and fail.
    version = tuple(int(part) for part in onnxruntime.__version__.split('.')[:2])
    if version < (1, api):
        raise Unavailable(f'fused ASH needs onnxruntime 1.{api} or later, this is '
                          f'{onnxruntime.__version__}')
    try:
        onnxruntime.SessionOptions().register_custom_ops_library(str(path))
    except Exception as error:  # onnxruntime raises a dozen types with no public base
        raise Unavailable(f'fused ASH does not load: {" ".join(str(error).split())}. Build it '
                          f'again by {BUILD}') from error


def _read_record(path):
    """What `native/build.py` wrote about the library, a dict; Unavailable where there is none."""
    try:
        record = json.loads(path.read_text(encoding='utf-8'))
        if 'failure' in record:
            raise Unavailable(f'fused ASH was not built: {record["failure"]}. When that is mended, '
                              f'build it by {BUILD}')
        if type(record['api']) is not int:
            raise TypeError('api')
        return record
    except FileNotFoundError:
        raise Unavailable(f'fused ASH was not built; what builds it is {BUILD}') from None
    except OSError as error:
        raise Unavailable(f'{path} cannot be read ({error.strerror}): build fused ASH again by '
                          f'{BUILD}') from error
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, Unavailable):
            raise
        raise Unavailable(f'{path} is damaged: build fused ASH again by {BUILD}') from error
