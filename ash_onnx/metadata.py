"""What an artifact says about itself, by its kind, held against the inputs and outputs it has.

Every message here lacks the artifact's path, which `load_artifact` puts in front of it.
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import onnx

from ash_onnx.preprocessing import Preprocessing

INPUT = 'images'
OUTPUTS = ('logits', 'probabilities')
CLASSIFIER = 'image_classifier'

MAX_SIDE = 4096  # pixels; a larger input_shape is a mistake, not an image net
MAX_SAMPLE = 2**28  # elements of one example of one input
MAX_RANK = 32  # numpy 1 makes no array of a higher one

# The types that onnxruntime exchanges arrays of, by the names that metadata give them.
_DTYPES = {onnx.TensorProto.STRING: 'str', **{
    getattr(onnx.TensorProto, name): np.dtype(dtype).name for name, dtype in (
        ('FLOAT16', 'f2'), ('FLOAT', 'f4'), ('DOUBLE', 'f8'), ('BOOL', '?'),
        ('INT8', 'i1'), ('INT16', 'i2'), ('INT32', 'i4'), ('INT64', 'i8'),
        ('UINT8', 'u1'), ('UINT16', 'u2'), ('UINT32', 'u4'), ('UINT64', 'u8'))}}


@dataclass(frozen=True)
class Kind:
    """One kind of artifact.

    Attributes:
      title: what a message calls the thing that was converted.
      json_keys, text_keys: the metadata that it must have.
      interface: function (graph, metadata) that checks the graph's inputs and outputs against the
        metadata; it returns the probe of `session.open_session`, whose names are in the order of
        the test data, and the names of the outputs.
    """

    title: str
    json_keys: tuple
    text_keys: tuple
    interface: Callable


def read_metadata(proto):
    """Reads and checks the metadata of a model, all but what the kind's `interface` checks.

    Args:
      proto: an `onnx.ModelProto`.

    Returns:
      (kind, metadata): a key of `KINDS`, and a dict in which JSON is parsed.

    Raises:
      ValueError: an unknown kind, a missing key, or a value that breaks the contract.
    """
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    for text in (text for item in metadata.items() for text in item):
        if not isinstance(text, str):  # what is not UTF-8 comes out of protobuf as bytes
            raise ValueError(f'metadata {_shorten(text)} is no text in UTF-8')
    kind = metadata.get('kind', CLASSIFIER)  # which is older than the key
    if kind not in KINDS:
        raise ValueError(f'metadata \'kind\' must be one of {", ".join(KINDS)}, '
                         f'got {_shorten(kind)}')
    json_keys = KINDS[kind].json_keys
    missing = [key for key in json_keys + KINDS[kind].text_keys if not metadata.get(key)]
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
            raise ValueError(f'metadata {key!r} is not JSON: {_shorten(metadata[key])}') from error
    for key in checks:
        _CHECKS[key](metadata[key])
    return kind, metadata


def _check_versions(versions):
    if not isinstance(versions, dict):
        raise ValueError(f'metadata \'versions\' must be a JSON object, got {_shorten(versions)}')


def _check_tolerance(tolerance):
    if not (isinstance(tolerance, dict) and 'relative' in tolerance
            and set(tolerance) <= {'relative', 'integer_levels'}):
        raise ValueError('metadata \'tolerance\' must be a JSON object of "relative" and, where '
                         f'integers may differ, "integer_levels", got {_shorten(tolerance)}')
    relative, levels = tolerance['relative'], tolerance.get('integer_levels', 0)
    if type(relative) not in (int, float) or not 0 <= relative <= 1:  # as NaN is not
        raise ValueError('metadata \'tolerance\' must have a number from 0 to 1 as "relative", '
                         f'got {_shorten(relative)}')
    if type(levels) is not int or levels < 0:
        raise ValueError('metadata \'tolerance\' must have an integer >= 0 as "integer_levels", '
                         f'got {_shorten(levels)}')


def _check_preprocessing(preprocessing):
    names = [field.name for field in fields(Preprocessing)]
    # A null is no value: what is not known is left out.
    if not isinstance(preprocessing, dict) or None in preprocessing.values() or (
            set(preprocessing) - set(names)):
        raise ValueError('metadata \'preprocessing\' must be a JSON object of values for some of '
                         f'{", ".join(names)}, got {_shorten(preprocessing)}')
    try:
        Preprocessing(**preprocessing)
    except ValueError as error:
        raise ValueError(f'metadata \'preprocessing\': {error}') from error


def _check_model_version(version):
    if not (isinstance(version, str) and re.fullmatch(r'[A-Za-z0-9._-]{1,64}', version)):
        raise ValueError('metadata \'model_version\' must be 1 to 64 letters, digits, dots, '
                         f'underscores and hyphens, got {_shorten(version)}')


# What any kind of artifact may have; 'versions' every one must have.
_CHECKS = {'versions': _check_versions, 'tolerance': _check_tolerance,
           'preprocessing': _check_preprocessing}
_TEXT_CHECKS = {'model_version': _check_model_version}


def _classifier_interface(graph, metadata):
    _check_classifier(metadata['labels'], metadata['input_shape'])
    classes = len(metadata['labels'])
    wanted = {INPUT: (onnx.TensorProto.UINT8, [None, *metadata['input_shape']])}
    wanted.update({name: (onnx.TensorProto.FLOAT, [None, classes]) for name in OUTPUTS})
    for kind, values, names in (('inputs', _inputs(graph), (INPUT,)),
                                ('outputs', graph.output, OUTPUTS)):
        found = [value.name for value in values]
        if len(found) != len(names) or set(found) != set(names):
            raise ValueError(f'its {kind} are {found}, expected {list(names)}')
        for value in values:
            dtype, shape = wanted[value.name]
            tensor = value.type.tensor_type
            if tensor.elem_type != dtype:
                raise ValueError(f'{value.name} is {_dtype_name(tensor.elem_type)}, '
                                 f'expected {_dtype_name(dtype)}')
            if tensor.HasField('shape'):  # converters may leave it out; Model.run checks the answer
                _check_shape(value, shape, ' (N dynamic)')
    return {INPUT: np.zeros([1, *metadata['input_shape']], np.uint8)}, OUTPUTS


def _check_classifier(labels, shape):
    # isprintable: labels go to terminals and pictures, where control characters do harm.
    if not (isinstance(labels, list) and labels
            and all(isinstance(label, str) and label and label.isprintable() for label in labels)):
        raise ValueError('metadata \'labels\' must be a JSON list of printable strings, '
                         f'got {_shorten(labels)}')
    if not (isinstance(shape, list) and len(shape) == 3 and shape[2] == 3
            and all(type(size) is int and 1 <= size <= MAX_SIDE for size in shape)):
        raise ValueError('metadata \'input_shape\' must be [height, width, 3] with sides '
                         f'from 1 to {MAX_SIDE}, got {_shorten(shape)}')


def _keras_interface(graph, metadata):
    shapes, probe = metadata['input_shapes'], {}
    names = [value.name for value in _inputs(graph)]
    if not isinstance(shapes, dict) or set(shapes) != set(names):
        raise ValueError(f'metadata \'input_shapes\' must be a shape for each of {names}, '
                         f'got {_shorten(shapes)}')
    for value in _inputs(graph):
        shape = shapes[value.name]
        if not (isinstance(shape, list) and all(type(size) is int and size >= 1 for size in shape)
                and math.prod(shape) <= MAX_SAMPLE):
            raise ValueError('metadata \'input_shapes\' must be lists of sizes >= 1 and at most '
                             f'{MAX_SAMPLE} elements, got {_shorten(shape)} for {value.name}')
        _check_shape(value, [None, *shape], ' (N dynamic)')
        try:
            dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        except KeyError as error:
            raise ValueError(f'{value.name} is no tensor') from error
        probe[value.name] = np.zeros([1, *shape], dtype)
    return probe, [value.name for value in graph.output]


def _tensors_interface(graph, metadata):
    inputs, values = metadata['inputs'], {value.name: value for value in _inputs(graph)}
    if not (isinstance(inputs, list) and all(isinstance(entry, dict) for entry in inputs)):
        raise ValueError('metadata \'inputs\' must be a JSON list of objects, '
                         f'got {_shorten(inputs)}')
    names = [entry.get('name') for entry in inputs]
    if not all(isinstance(name, str) for name in names) or sorted(names) != sorted(values):
        raise ValueError(f'metadata \'inputs\' must name each of {sorted(values)} once, '
                         f'got {_shorten(names)}')
    if not graph.output:
        raise ValueError('it has no outputs')
    for value in graph.output:
        _array_dtype(value)
    return ({entry['name']: _tensor_probe(values[entry['name']], entry) for entry in inputs},
            [value.name for value in graph.output])


def _array_dtype(value):
    """The name of the dtype of an input or output, which must be one that arrays can have."""
    elem_type = value.type.tensor_type.elem_type  # 0 for what is no tensor
    if elem_type not in _DTYPES:
        raise ValueError(f'{value.name} is {_dtype_name(elem_type)}, which is no type that '
                         f'onnxruntime exchanges arrays of ({", ".join(_DTYPES.values())})')
    return _DTYPES[elem_type]


def _tensor_probe(value, entry):
    """Zeros, or empty strings, of the example's shape, after the checks of one input."""
    name, dtype = value.name, entry.get('dtype')
    shape, example = entry.get('shape'), entry.get('example')
    if dtype != _array_dtype(value):
        raise ValueError(f'{name} is {_array_dtype(value)}, expected {_shorten(dtype)} by its '
                         'metadata')
    if not (_is_shape(shape, dynamic=True) and _is_shape(example)):
        which, got = ('example', example) if _is_shape(shape, dynamic=True) else ('shape', shape)
        raise ValueError(f'metadata \'inputs\' must have lists of sizes from 0, at most '
                         f'{MAX_SAMPLE} elements and rank {MAX_RANK}, got {_shorten(got)} as '
                         f'{which} of {name}')
    if not _fits(shape, example):
        raise ValueError(f'metadata \'inputs\' has the example {_shorten(example)} of {name}, '
                         f'which does not fit its shape {_shape_name(shape)}')
    if value.type.tensor_type.HasField('shape'):  # an unknown rank fits any
        _check_shape(value, shape)
    return np.zeros(example, np.dtype(dtype))  # for str an array of ''


def _is_shape(shape, dynamic=False):
    """Whether it is a list of sizes small enough to be made, in which None may be a size."""
    if not isinstance(shape, list) or len(shape) > MAX_RANK:
        return False
    sizes = [size for size in shape if not (dynamic and size is None)]
    # Sizes of 0 do not count: numpy multiplies the others before it looks at them.
    return (all(type(size) is int and size >= 0 for size in sizes)
            and math.prod(size for size in sizes if size) <= MAX_SAMPLE)


# In the order in which a message lists them.
KINDS = {
    CLASSIFIER: Kind('an image classifier', ('labels', 'input_shape', 'versions'),
                     ('net',), _classifier_interface),
    'keras_model': Kind('a Keras model', ('input_shapes', 'versions'), ('net',), _keras_interface),
    'tensors': Kind('a TensorFlow graph', ('inputs', 'versions'), ('net',), _tensors_interface),
}


def _inputs(graph):
    initializers = {tensor.name for tensor in graph.initializer}  # inputs too before IR version 4
    return [value for value in graph.input if value.name not in initializers]


def _check_shape(value, shape, note=''):
    # The sizes of the graph, None for what is symbolic.
    found = [dim.dim_value if dim.HasField('dim_value') else None
             for dim in value.type.tensor_type.shape.dim]
    if not _fits(found, shape):
        raise ValueError(f'{value.name} has shape {_shape_name(found)}, expected '
                         f'{_shape_name(shape)} by its metadata{note}')


def _fits(found, shape):
    # A symbolic size fits any size; a fixed one has to be equal, and no symbolic one is.
    return len(found) == len(shape) and all(
        a is None or a == b for a, b in zip(found, shape, strict=True))


def _dtype_name(elem_type):
    names = {number: name.lower() for name, number in onnx.TensorProto.DataType.items()}
    return names.get(elem_type, f'of unknown type {elem_type}')


def _shape_name(shape):
    return '[' + ', '.join('N' if size is None else str(size) for size in shape) + ']'


def _shorten(value):
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + '...'
