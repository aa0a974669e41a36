"""What an artifact says about itself: the metadata that every kind has or may have.

Every message here lacks the artifact's path, which `load_artifact` puts in front of it.
"""

import json
import re
from dataclasses import fields

from ash_onnx.preprocessing import Preprocessing

# What every artifact must have beside the keys of its kind; the first ones are JSON.
_JSON_KEYS, _TEXT_KEYS = ('versions',), ('net',)


def read_metadata(proto, kinds, default):
    """Reads and checks the metadata of a model, all but what the kind's `interface` checks.

    Args:
      proto: an `onnx.ModelProto`.
      kinds: dict, name -> `kinds.base.Kind`.
      default: the kind of a model without the metadata `kind`.

    Returns:
      (kind, metadata): a key of `kinds`, and a dict in which JSON is parsed.

    Raises:
      ValueError: an unknown kind, a missing key, or a value that breaks the contract.
    """
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    for text in (text for item in metadata.items() for text in item):
        if not isinstance(text, str):  # what is not UTF-8 comes out of protobuf as bytes
            raise ValueError(f'metadata {shorten(text)} is no text in UTF-8')
    kind = metadata.get('kind', default)
    if kind not in kinds:
        raise ValueError(f'metadata \'kind\' must be one of {", ".join(kinds)}, '
                         f'got {shorten(kind)}')
    json_keys = kinds[kind].json_keys + _JSON_KEYS
    missing = [key for key in json_keys + _TEXT_KEYS if not metadata.get(key)]
    if missing:
        raise ValueError(f'its metadata lacks {", ".join(missing)}; '
                         'it was not made by this project\'s converter')
    for key in _TEXT_CHECKS.keys() & metadata.keys():
        _TEXT_CHECKS[key](metadata[key])
    checks = [key for key in _CHECKS if key in metadata]
    for key in dict.fromkeys((*json_keys, *checks)):
        try:
            metadata[key] = json.loads(metadata[key])
        except (ValueError, RecursionError) as error:
            raise ValueError(f'metadata {key!r} is not JSON: {shorten(metadata[key])}') from error
    for key in checks:
        _CHECKS[key](metadata[key])
    return kind, metadata


def _check_versions(versions):
    if not isinstance(versions, dict):
        raise ValueError(f'metadata \'versions\' must be a JSON object, got {shorten(versions)}')


def _check_tolerance(tolerance):
    if not (isinstance(tolerance, dict) and 'relative' in tolerance
            and set(tolerance) <= {'relative', 'integer_levels'}):
        raise ValueError('metadata \'tolerance\' must be a JSON object of "relative" and, where '
                         f'integers may differ, "integer_levels", got {shorten(tolerance)}')
    relative, levels = tolerance['relative'], tolerance.get('integer_levels', 0)
    if type(relative) not in (int, float) or not 0 <= relative <= 1:  # as NaN is not
        raise ValueError('metadata \'tolerance\' must have a number from 0 to 1 as "relative", '
                         f'got {shorten(relative)}')
    if type(levels) is not int or levels < 0:
        raise ValueError('metadata \'tolerance\' must have an integer >= 0 as "integer_levels", '
                         f'got {shorten(levels)}')


def _check_preprocessing(preprocessing):
    names = [field.name for field in fields(Preprocessing)]
    # A null is no value: what is not known is left out.
    if not isinstance(preprocessing, dict) or None in preprocessing.values() or (
            set(preprocessing) - set(names)):
        raise ValueError('metadata \'preprocessing\' must be a JSON object of values for some of '
                         f'{", ".join(names)}, got {shorten(preprocessing)}')
    try:
        Preprocessing(**preprocessing)
    except ValueError as error:
        raise ValueError(f'metadata \'preprocessing\': {error}') from error


def _check_model_version(version):
    if not (isinstance(version, str) and re.fullmatch(r'[A-Za-z0-9._-]{1,64}', version)):
        raise ValueError('metadata \'model_version\' must be 1 to 64 letters, digits, dots, '
                         f'underscores and hyphens, got {shorten(version)}')


# What any kind of artifact may have; 'versions' every one must have.
_CHECKS = {'versions': _check_versions, 'tolerance': _check_tolerance,
           'preprocessing': _check_preprocessing}
_TEXT_CHECKS = {'model_version': _check_model_version}


def shorten(value):
    """The repr of a value for a message, at most 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + '...'
