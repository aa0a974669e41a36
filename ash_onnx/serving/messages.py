"""Requests and answers of the Open Inference Protocol v2, over REST and gRPC.

KServe's own reading makes lists of binary tensors, takes values and shapes that do not fit, and
answers 500 for what it cannot read. Here each request is checked against the model's `Signature`
first; its tensors are arrays from there on.
"""

import re
from dataclasses import dataclass

import numpy as np
import orjson
from pydantic_core import from_json

from ash_onnx.serving import tensors
from ash_onnx.serving.kserve_sdk import (
    InferInput,
    InferRequest,
    RequestedOutput,
    pb,
    serialize_byte_tensor,
)
from ash_onnx.serving.refusals import TOO_LARGE, Refused, invalid

MAX_ID = 128  # characters
_KEYS = {'id': str, 'inputs': list, 'outputs': list, 'parameters': dict}
_SHARED_MEMORY = 'shared_memory_region'
_SOLE = ('; for one example alone, such as an image file, send its bytes, not in a form, with the '
         'header Inference-Header-Content-Length: 0')


@dataclass(frozen=True)
class Signature:
    """What requests to a model must look like.

    Attributes:
      inputs, outputs: tuples of `tensors.Spec`.
      max_batch: the largest first size of each input; None where that is no batch.
      ranked: how many entries of an output the parameter `classification` can name; 0 for none.
    """

    inputs: tuple
    outputs: tuple
    max_batch: int | None
    ranked: int = 0


def read_rest(name, signature, body, header_length, max_json, classification=None):
    """Reads the body of an inference request over HTTP.

    Args:
      name: of the model.
      signature: its `Signature`.
      body: bytes.
      header_length: the header Inference-Header-Content-Length, a string, which says where the
        JSON ends and binary tensors begin. None where all is JSON; 0 where all of it is the one
        tensor of a single example.
      max_json: bytes.
      classification: for a body that is one tensor and so has no JSON to ask in, the parameter
        `classification` of each output, a string; None for none.

    Returns:
      KServe's `InferRequest`, each of whose inputs has an array as data.

    Raises:
      Refused: it breaks the protocol, does not fit the model, or has too much JSON.
    """
    length = len(body)
    advice = _SOLE if header_length is None and len(signature.inputs) == 1 else ''
    if header_length is not None:
        if not re.fullmatch('[0-9]{1,10}', header_length) or int(header_length) > len(body):
            raise invalid('Inference-Header-Content-Length must be the bytes of the JSON at the '
                          f'beginning of the {len(body)} bytes of the body, got {header_length!r}')
        length = int(header_length)
    if length > max_json:
        raise Refused(TOO_LARGE, f'at most {max_json} bytes of JSON are read, got {length}: send '
                                 f'tensors in binary{advice}')
    if header_length is not None and not length:
        return _request(name, None, {}, [_sole_input(signature, body)],
                        _sole_outputs(signature, classification))
    if classification is not None:
        raise invalid('classification in the address is for a body that is one example alone; in '
                      'JSON it is a parameter of an output')
    header = _parse(body[:length], advice)
    binary = _Binary(memoryview(body)[length:])
    inputs = _by_name('input', header.get('inputs') or [], signature.inputs, complete=True)
    arrays = [_rest_input(signature, spec, entry, binary) for spec, entry in inputs]
    binary.check_end()
    parameters = _parameters(header)
    outputs = [RequestedOutput(spec.name, _output_parameters(signature, spec, _parameters(entry)))
               for spec, entry in _by_name('output', header.get('outputs') or [],
                                           signature.outputs)]
    binary_default = _flag(parameters, 'binary_data_output')
    return _request(name, _checked_id(header.get('id')), {'binary_data_output': binary_default},
                    arrays, outputs)


def write_rest(request, response):
    """The body of an answer over HTTP.

    Args:
      request: the `InferRequest`, as from `read_rest`.
      response: the `InferResponse`, each of whose outputs has an array as data.

    Returns:
      (body, length of its JSON): bytes, and None where all of it is JSON.

    Raises:
      Refused: an output in JSON holds NaN, an infinite number, float16 or bytes that are no text.
    """
    default = request.parameters.get('binary_data_output', False)
    asked = {output.name: output.parameters.get('binary_data')
             for output in request.request_outputs or ()}
    entries, parts = [], []
    for output in response.outputs:
        entry = {'name': output.name, 'datatype': output.datatype, 'shape': list(output.shape)}
        binary = asked.get(output.name)
        if default if binary is None else binary:
            parts.append(_bytes(output.data))
            entry['parameters'] = {'binary_data_size': len(parts[-1])}
        else:
            entry['data'] = _json_data(output)
        entries.append(entry)
    header = {'model_name': response.model_name, 'model_version': response.model_version,
              'outputs': entries}
    if response.id:
        header['id'] = response.id
    text = orjson.dumps(header, option=orjson.OPT_SERIALIZE_NUMPY)
    return (b''.join([text, *parts]), len(text)) if parts else (text, None)


def read_grpc(name, signature, message):
    """Reads a `ModelInferRequest`.

    Args, Returns, Raises: as for `read_rest`.
    """
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise invalid(f'there are {len(message.inputs)} inputs and {len(raw)} raw_input_contents')
    entries = [{'name': entry.name, 'entry': entry, 'raw': raw[index] if raw else None}
               for index, entry in enumerate(message.inputs)]
    arrays = []
    for spec, found in _by_name('input', entries, signature.inputs, complete=True):
        entry, data = found['entry'], found['raw']
        _refuse_shared_memory(entry.parameters)
        shape = spec.check(entry.datatype, list(entry.shape), signature.max_batch)
        if data is None:
            array = tensors.from_contents(spec, shape, entry.contents)
        elif entry.HasField('contents'):
            raise invalid(f'{spec.name} has contents beside raw_input_contents')
        else:
            array = tensors.from_binary(spec, shape, data)
        arrays.append(_input(spec, array))
    wanted = [{'name': entry.name, 'parameters': {
        key: getattr(value, value.WhichOneof('parameter_choice') or 'string_param')
        for key, value in entry.parameters.items()}} for entry in message.outputs]
    outputs = [RequestedOutput(spec.name, _output_parameters(signature, spec, _parameters(entry)))
               for spec, entry in _by_name('output', wanted, signature.outputs)]
    return _request(name, _checked_id(message.id or None), {}, arrays, outputs)


def write_grpc(response):
    """The `ModelInferResponse` of an `InferResponse`; all data are in raw_output_contents."""
    return pb.ModelInferResponse(
        model_name=response.model_name, model_version=response.model_version, id=response.id or '',
        outputs=[pb.ModelInferResponse.InferOutputTensor(
            name=output.name, datatype=output.datatype, shape=output.shape)
            for output in response.outputs],
        raw_output_contents=[_bytes(output.data) for output in response.outputs])


class _Binary:
    """The binary tensors behind the JSON of a body, taken from its beginning."""

    def __init__(self, data):
        self._data = data
        self._offset = 0

    def take(self, name, size):
        left = len(self._data) - self._offset
        if type(size) is not int or not 0 <= size <= left:
            raise invalid(f'the binary_data_size of {name} must be an integer from 0 to the {left} '
                          f'bytes that are left of the body, got {size!r:.40}')
        self._offset += size
        return self._data[self._offset - size:self._offset]

    def check_end(self):
        if self._offset != len(self._data):
            raise invalid(f'{len(self._data) - self._offset} bytes of the body belong to no input')


def _parse(text, advice):
    try:
        # Not orjson 3.13, which fails to take memory for some long lists of short numbers.
        header = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise invalid(f'the request is no JSON: {error}{advice}') from None
    if not isinstance(header, dict):
        raise invalid(f'the request must be a JSON object, got {header!r:.40}')
    for key, kind in _KEYS.items():
        if header.get(key) is not None and not isinstance(header[key], kind):
            names = {str: 'a string', list: 'a list', dict: 'an object'}
            raise invalid(f'{key!r} must be {names[kind]}, got {header[key]!r:.40}')
    return header


def _by_name(what, entries, specs, complete=False):
    """Pairs of a `Spec` and the entry for it, in the order of the entries."""
    found = []
    for entry in entries:
        name = entry.get('name') if isinstance(entry, dict) else None
        spec = next((spec for spec in specs if spec.name == name), None)
        names = ', '.join(spec.name for spec in specs)
        if spec is None:
            raise invalid(f'there is no {what} {name!r:.60}; the {what}s are {names}')
        if any(spec is other for other, _ in found):
            raise invalid(f'there are two {what}s {name!r}')
        found.append((spec, entry))
    missing = [spec.name for spec in specs if all(spec is not other for other, _ in found)]
    if complete and missing:
        raise invalid(f'the input {missing[0]!r} is missing')
    return found


def _rest_input(signature, spec, entry, binary):
    parameters = _parameters(entry)
    _refuse_shared_memory(parameters)
    shape = spec.check(entry.get('datatype'), entry.get('shape'), signature.max_batch)
    if 'binary_data_size' in parameters:
        if 'data' in entry:
            raise invalid(f'{spec.name} has data both in JSON and in binary')
        data = binary.take(spec.name, parameters['binary_data_size'])
        return _input(spec, tensors.from_binary(spec, shape, data))
    if 'data' not in entry:
        raise invalid(f'{spec.name} has no data')
    return _input(spec, tensors.from_json(spec, shape, entry['data']))


def _sole_input(signature, body):
    """The input of a body that is nothing else: one example, or one text without its length."""
    spec = signature.inputs[0]
    shape = (1, *spec.shape[1:]) if signature.max_batch else spec.shape
    if len(signature.inputs) > 1 or -1 in shape:
        raise invalid('Inference-Header-Content-Length: 0 is for a model with one input, whose '
                      'shape but for the batch is fixed')
    if spec.datatype == 'BYTES':
        body = len(body).to_bytes(4, 'little') + body
    return _input(spec, tensors.from_binary(spec, spec.check(
        spec.datatype, shape, signature.max_batch), body))


def _sole_outputs(signature, classification):
    if classification is None:
        return []
    count = int(classification) if re.fullmatch('[0-9]{1,9}', classification) else classification
    return [RequestedOutput(spec.name, _output_parameters(signature, spec, {
        'classification': count})) for spec in signature.outputs]


def _input(spec, array):
    return InferInput(spec.name, list(array.shape), spec.datatype, array)


def _request(name, request_id, parameters, inputs, outputs):
    return InferRequest(name, inputs, request_id=request_id, parameters=parameters,
                        request_outputs=outputs)


def _checked_id(value):
    if value is not None and len(value) > MAX_ID:
        raise invalid(f'an id has at most {MAX_ID} characters, got {len(value)}')
    return value


def _parameters(entry):
    parameters = entry.get('parameters')
    if parameters is not None and not isinstance(parameters, dict):
        raise invalid(f"'parameters' must be an object, got {parameters!r:.40}")
    return parameters or {}


def _flag(parameters, key):
    value = parameters.get(key)
    if value is not None and type(value) is not bool:
        raise invalid(f'{key} must be true or false, got {value!r:.40}')
    return value


def _refuse_shared_memory(parameters):
    if _SHARED_MEMORY in parameters:
        raise invalid('there is no shared memory here: send the tensors')


def _output_parameters(signature, spec, parameters):
    _refuse_shared_memory(parameters)
    count = parameters.get('classification')
    if count is not None:
        if not signature.ranked:
            raise invalid(f'{spec.name} has no classification')
        if type(count) is not int or count < 1:
            raise invalid(f'classification must be an integer >= 1, got {count!r:.40}')
        count = min(count, signature.ranked)
    return {'binary_data': _flag(parameters, 'binary_data'), 'classification': count}


def _bytes(array):
    if array.dtype == object:
        return serialize_byte_tensor(array).item() if array.size else b''
    return array.astype(array.dtype.newbyteorder('<'), copy=False).tobytes()


def _json_data(output):
    """What orjson writes of an output: an array of numbers, flat, or a list of texts."""
    array = output.data
    if array.dtype == object:
        try:
            return [item if isinstance(item, str) else item.decode() for item in array.flat]
        except UnicodeDecodeError:
            raise invalid(f'{output.name} holds bytes that are no text: ask for binary_data') \
                from None
    if array.dtype.kind == 'f' and (array.dtype.itemsize < 4 or not np.isfinite(array).all()):
        raise invalid(f'{output.name} holds what JSON has no numbers for, NaN, infinity or FP16: '
                      'ask for binary_data')
    return np.ascontiguousarray(array).ravel()
