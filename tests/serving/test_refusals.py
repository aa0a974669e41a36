"""Requests that break the protocol or do not fit: the right code, one line, and nothing else."""

import json
import socket
import struct
import time

import artifacts
import grpc
import numpy as np
import pytest
from conftest import RESNET as FOLDER
from tritonclient.grpc import service_pb2, service_pb2_grpc

from ash_onnx.serving.settings import Settings

MODEL = 'colours'
SHAPE = [1, artifacts.HEIGHT, artifacts.WIDTH, 3]
COUNT = int(np.prod(SHAPE))
GOOD = {'name': 'images', 'datatype': 'UINT8', 'shape': SHAPE, 'data': [0] * COUNT}
LIMITS = Settings()


def changed(**fields):
    """The good request with another value for some fields of its input; ... leaves one out."""
    entry = {key: value for key, value in {**GOOD, **fields}.items() if value is not ...}
    return {'inputs': [entry]}


def with_binary(data, size=None, **fields):
    """(body, headers) of a request whose tensor is binary."""
    parameters = {'binary_data_size': len(data) if size is None else size}
    header = json.dumps(changed(data=fields.pop('values', ...), parameters=parameters, **fields))
    return header.encode() + data, {'Inference-Header-Content-Length': str(len(header))}


def ask_output(**parameters):
    return {'inputs': [GOOD], 'outputs': [{'name': 'logits', 'parameters': parameters}]}


JSON = {
    'value above the range': (changed(data=[300] + [0] * (COUNT - 1)), 'out of its range'),
    'value below the range': (changed(data=[-1] + [0] * (COUNT - 1)), 'out of its range'),
    'value of 2^70': (changed(data=[2**70] + [0] * (COUNT - 1)), ''),
    'fraction': (changed(data=[1.5] + [0] * (COUNT - 1)), 'type float'),
    'true among numbers': (changed(data=[True] + [0] * (COUNT - 1)), 'type bool'),
    'null among numbers': (changed(data=[None] + [0] * (COUNT - 1)), 'type NoneType'),
    'text among numbers': (changed(data=['0'] + [0] * (COUNT - 1)), 'type str'),
    'list among numbers': (changed(data=[0] * (COUNT - 1) + [[0]]), 'type list'),
    'a value short': (changed(data=[0] * (COUNT - 1)), 'has 143 values'),
    'a value long': (changed(data=[0] * (COUNT + 1)), 'has 145 values'),
    'ragged lists': (changed(data=[[[[0, 0, 0]] * 8] * 5 + [[[0, 0, 0]] * 7]]), 'do not fit'),
    'lists of another shape': (changed(data=[[[[0] * 8] * 6] * 3]), 'do not fit'),
    'no list': (changed(data=7), 'must be a list'),
    'object as data': (changed(data={}), 'must be a list'),
    'no data': (changed(data=...), 'has no data'),
    'another dtype': (changed(datatype='FP32'), 'must be UINT8'),
    'dtype in lower case': (changed(datatype='uint8'), 'must be UINT8'),
    'unknown dtype': (changed(datatype='UINT9'), 'must be UINT8'),
    'dtype that is a number': (changed(datatype=8), 'must be UINT8'),
    'no dtype': (changed(datatype=...), 'must be UINT8'),
    'minus one': (changed(shape=[-1, *SHAPE[1:]]), 'must have the shape'),
    '2^40 in the batch': (changed(shape=[2**40, *SHAPE[1:]]), 'must have 1 to 64 examples'),
    '2^40 in a side': (changed(shape=[1, 2**40, 8, 3]), 'must have the shape'),
    '2^80 in the batch': (changed(shape=[2**80, *SHAPE[1:]]), ''),
    'empty batch': (changed(shape=[0, *SHAPE[1:]], data=[]), 'must have 1 to 64 examples'),
    'batch over the limit': (changed(shape=[65, *SHAPE[1:]], data=[0] * 65 * COUNT),
                             'must have 1 to 64 examples'),
    'another rank': (changed(shape=[COUNT]), 'must have the shape'),
    'another side': (changed(shape=[1, 8, 6, 3]), 'must have the shape'),
    'fraction in the shape': (changed(shape=[1.0, *SHAPE[1:]]), 'list of integers'),
    'true in the shape': (changed(shape=[True, *SHAPE[1:]]), 'list of integers'),
    'text as shape': (changed(shape='1'), 'list of integers'),
    'no shape': (changed(shape=...), 'list of integers'),
    'another input': (changed(name='pixels'), "no input 'pixels'"),
    'no name': (changed(name=...), 'no input None'),
    'an input twice': ({'inputs': [GOOD, GOOD]}, 'two inputs'),
    'no input': ({'inputs': []}, "the input 'images' is missing"),
    'no inputs': ({}, "the input 'images' is missing"),
    'inputs that are an object': ({'inputs': {}}, 'must be a list'),
    'an input that is a number': ({'inputs': [1]}, 'no input None'),
    'another output': ({'inputs': [GOOD], 'outputs': [{'name': 'x'}]}, "no output 'x'"),
    'an output twice': ({'inputs': [GOOD], 'outputs': [{'name': 'logits'}] * 2}, 'two outputs'),
    'outputs that are a text': ({'inputs': [GOOD], 'outputs': 'logits'}, 'must be a list'),
    'an id that is a number': ({'inputs': [GOOD], 'id': 7}, 'must be a string'),
    'an id that is too long': ({'inputs': [GOOD], 'id': 'x' * 129}, 'at most 128 characters'),
    'parameters that are a list': ({'inputs': [GOOD], 'parameters': []}, 'must be an object'),
    'a flag that is a number': ({'inputs': [GOOD], 'parameters': {'binary_data_output': 1}},
                                'true or false'),
    'no classes': (ask_output(classification=0), 'integer >= 1'),
    'classes that are a text': (ask_output(classification='2'), 'integer >= 1'),
    'shared memory': (changed(data=..., parameters={'shared_memory_region': 'x'}),
                      'no shared memory'),
    'binary that is not there': (changed(data=..., parameters={'binary_data_size': COUNT}),
                                 'the 0 bytes that are left'),
    'a list': ([], 'must be a JSON object'), 'a number': (1, 'must be a JSON object'),
    'null': (None, 'must be a JSON object'),
}
RAW = {
    'nothing': b'', 'half of it': b'{"inputs": [', 'NaN': b'{"inputs": NaN}', 'text': b'hello',
    'no UTF-8': b'{"id": "\xff"}', 'a lone surrogate': b'{"id": "\\ud800"}',
    'deep lists': b'[' * 100_000, 'two documents': b'{} {}', 'zeros': bytes(100),
}
BINARY = {
    'short': (with_binary(bytes(COUNT - 1)), 'has 143 bytes'),
    'long': (with_binary(bytes(COUNT + 1)), 'has 145 bytes'),
    'size over the body': (with_binary(bytes(COUNT), COUNT + 1), 'that are left'),
    'size below the body': (with_binary(bytes(COUNT + 5), COUNT), 'belong to no input'),
    'negative size': (with_binary(bytes(COUNT), -1), 'that are left'),
    'size that is a text': (with_binary(bytes(COUNT), '144'), 'that are left'),
    'size that is true': (with_binary(bytes(COUNT), True), 'that are left'),
    'data twice': (with_binary(bytes(COUNT), values=[0] * COUNT), 'both in JSON and in binary'),
    'header over the body': ((b'{}', {'Inference-Header-Content-Length': '3'}), 'must be the'),
    'negative header': ((b'{}', {'Inference-Header-Content-Length': '-1'}), 'must be the'),
    'header that is no number': ((b'{}', {'Inference-Header-Content-Length': '2x'}), 'must be'),
    'pixels alone, short': ((bytes(COUNT - 1), {'Inference-Header-Content-Length': '0'}), '143'),
}


def check(answer, expected_status, words):
    status, headers, body = answer
    assert status == expected_status, body
    assert list(body) == ['error'] and '\n' not in body['error'] and len(body['error']) <= 300
    assert words in body['error']
    assert 'Traceback' not in body['error'] and '.py' not in body['error']
    assert str(FOLDER) not in body['error']


@pytest.mark.parametrize('case', JSON)
def test_json_that_does_not_fit(endpoint, case):
    request, words = JSON[case]
    check(endpoint.infer(MODEL, json.dumps(request).encode()), 400, words)


@pytest.mark.parametrize('case', RAW)
def test_bodies_that_are_no_json(endpoint, case):
    check(endpoint.infer(MODEL, RAW[case]), 400, 'JSON')


@pytest.mark.parametrize('body', [b'\xff\xd8\xff\xe0', b'--5e1\r\nContent-Disposition: form-data',
                                  b'\x89PNG' * 2**21], ids=['JPEG', 'form', 'large'])
def test_a_file_without_the_header_is_told_what_to_send(endpoint, body):
    check(endpoint.infer(MODEL, body), 413 if len(body) > 2**22 else 400,
          'send its bytes, not in a form, with the header Inference-Header-Content-Length: 0')


@pytest.mark.parametrize(('query', 'body', 'headers', 'words'), [
    ('0', bytes(COUNT), {'Inference-Header-Content-Length': '0'}, "integer >= 1, got 0"),
    ('all', bytes(COUNT), {'Inference-Header-Content-Length': '0'}, "integer >= 1, got 'all'"),
    ('', bytes(COUNT), {'Inference-Header-Content-Length': '0'}, "integer >= 1, got ''"),
    ('1', json.dumps({'inputs': [GOOD]}).encode(), {}, 'in JSON it is a parameter')])
def test_a_classification_in_the_address(endpoint, query, body, headers, words):
    status, got, answer = endpoint.request(
        'POST', f'/v2/models/{MODEL}/infer?classification={query}', body, headers)
    check((status, got, json.loads(answer)), 400, words)


@pytest.mark.parametrize('case', BINARY)
def test_binary_that_does_not_fit(endpoint, case):
    (body, headers), words = BINARY[case]
    check(endpoint.infer(MODEL, body, headers), 400, words)


GRAPH = {'text': ('BYTES', ['a', 'b']), 'flag': ('BOOL', [True, False]), 'real': ('FP32', [0, 0]),
         'small': ('INT8', [0, 0]), 'long': ('INT64', [0, 0]), 'unsigned': ('UINT64', [0, 0]),
         'double': ('FP64', [0, 0])}


@pytest.mark.parametrize(('name', 'fields', 'words'), [
    ('real', {'datatype': 'FP16'}, 'must be FP32'), ('real', {'data': [1e39, 0]}, 'range'),
    ('double', {'data': [0, '1']}, 'type str'), ('small', {'data': [128, 0]}, 'range'),
    ('small', {'data': [-129, 0]}, 'range'), ('unsigned', {'data': [-1, 0]}, 'range'),
    ('unsigned', {'data': [2**64 - 1, 2**64]}, ''), ('long', {'data': [2**63, 0]}, 'range'),
    ('text', {'data': ['a', 1]}, 'type int'), ('flag', {'data': [0, 1]}, 'type int'),
    ('long', {'shape': [2**40, 2], 'data': []}, 'elements'),
    ('long', {'shape': [2**62, 2], 'data': []}, 'elements'),
    ('long', {'shape': [0, 2], 'data': [1]}, 'has 1 values'),
    ('half', {'datatype': 'FP16', 'shape': [1, 2], 'data': [1, 2]}, 'no numbers'),
    ('half', {}, "the input 'half' is missing")])
def test_other_dtypes(endpoint, name, fields, words):
    # What is changed comes first, and so is what is named.
    entries = {'half': {}, **GRAPH}
    inputs = [{'name': key, 'datatype': entries[key][0], 'shape': [1, 2], 'data': entries[key][1],
               **(fields if key == name else {})} for key in sorted(GRAPH, key=name.__ne__)]
    if name == 'half' and fields:
        inputs.append({'name': 'half', **fields})
    elif name != 'half':
        inputs.append({'name': 'half', 'datatype': 'FP16', 'shape': [1, 2],
                       'parameters': {'binary_data_size': 4}})
    header = json.dumps({'inputs': inputs}).encode()
    body, headers = header + bytes(4), {'Inference-Header-Content-Length': str(len(header))}
    check(endpoint.infer('graph', body if name != 'half' else header, headers), 400, words)


@pytest.mark.parametrize(('name', 'data'), [('text', b'\1\0\0\0\xff\1\0\0\0a'), ('flag', b'\2\1')])
def test_binary_that_the_dtype_does_not_have(endpoint, name, data):
    entries = dict(GRAPH, half=('FP16', [0, 0]))
    parts, inputs = [], []
    for key, (datatype, _) in entries.items():
        sizes = {'BYTES': 10, 'BOOL': 2, 'FP16': 4, 'FP32': 8, 'INT8': 2}
        part = data if key == name else (
            b'\1\0\0\0a' * 2 if key == 'text' else bytes(sizes.get(datatype, 16)))
        parts.append(part)
        inputs.append({'name': key, 'datatype': datatype, 'shape': [1, 2],
                       'parameters': {'binary_data_size': len(part)}})
    header = json.dumps({'inputs': inputs}).encode()
    check(endpoint.infer('graph', header + b''.join(parts), {
        'Inference-Header-Content-Length': str(len(header))}), 400, name)


def test_what_the_model_itself_refuses_names_no_file_of_the_server(endpoint):
    inputs = [{'name': name, 'datatype': 'FP32', 'shape': [size, 2], 'data': [0] * 2 * size}
              for name, size in (('a', 2), ('b', 3))]
    check(endpoint.infer('keras', {'inputs': inputs}), 400, '')


@pytest.mark.parametrize(('method', 'path', 'status'), [
    ('POST', '/v2/models/nothing/infer', 404), ('POST', '/v2/models/colours/versions/8/infer', 404),
    ('GET', '/v2/models/nothing', 404), ('GET', '/v2/models/colours/versions/8', 404),
    ('GET', '/v2/models/nothing/ready', 404), ('GET', '/v2/models/colours/infer', 405),
    ('POST', '/v2/models/colours', 405), ('POST', '/v2/repository/models/colours/load', 404),
    ('POST', '/v2/repository/models/colours/unload', 404), ('POST', '/v2/repository/index', 404),
    ('POST', '/v1/models/colours:predict', 404), ('GET', '/docs', 404),
    ('GET', '/openapi.json', 404), ('GET', '/../../etc/passwd', 404),
    ('GET', '/v2/models/..%2f..%2fx', 404), ('GET', '/%00', 404), ('GET', '/%ff', 404)])
def test_what_is_not_there(endpoint, method, path, status):
    got, _, body = endpoint.request(method, path, b'{}' if method == 'POST' else None)
    check((got, None, json.loads(body)), status, '')


def test_compressed_bodies_are_refused(endpoint):
    check(endpoint.infer(MODEL, b'x', {'Content-Encoding': 'gzip'}), 415, 'compressed')


def send(port, data, seconds=5, close=False):
    """Writes bytes to a connection, and returns what comes back until it ends, or for a time."""
    received = b''
    with socket.create_connection(('127.0.0.1', port), timeout=seconds) as connection:
        try:
            connection.sendall(data)
            if close:
                connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(2**16):
                received += part
        except (TimeoutError, ConnectionResetError):
            pass
    return received


def head(*lines, path=f'/v2/models/{MODEL}/infer'):
    return '\r\n'.join([f'POST {path} HTTP/1.1', 'Host: x', *lines, '', '']).encode()


def test_a_body_that_is_too_large_is_refused_at_once_by_its_length(endpoint):
    begin = time.monotonic()
    got = send(endpoint.http, head(f'Content-Length: {2**40}'), seconds=0.5)
    assert got.startswith(b'HTTP/1.1 413 ') and b'at most 16777216 bytes' in got
    assert time.monotonic() - begin < 2


def test_a_body_in_chunks_is_refused_once_it_is_too_large(endpoint):
    chunk = b'%x\r\n%s\r\n' % (2**20, bytes(2**20))
    got = send(endpoint.http, head('Transfer-Encoding: chunked') + chunk * 17, seconds=1)
    assert got.startswith(b'HTTP/1.1 413 ')


def test_too_much_json_is_refused(endpoint):
    body = json.dumps(changed(data=[0] * (LIMITS.max_json // 2))).encode()
    assert LIMITS.max_json < len(body) < LIMITS.max_body
    check(endpoint.infer(MODEL, body), 413, 'send tensors in binary')


@pytest.mark.parametrize('data', [
    b'nonsense\r\n\r\n', b'GET / HTTP/9.9\r\n\r\n', head('Content-Length: -1'),
    head('Content-Length: x'), head('Content-Length: 1', 'Content-Length: 2'),
    head('Content-Length: 5', 'Transfer-Encoding: chunked') + b'0\r\n\r\n',
    head('Transfer-Encoding: chunked') + b'zz\r\n', b'\0' * 100, head('A: \0')],
    ids=range(9))
def test_what_is_no_http_is_refused(endpoint, data):
    assert send(endpoint.http, data, seconds=1).startswith(b'HTTP/1.1 400 ')


def test_headers_without_end_are_cut_off(endpoint):
    got = send(endpoint.http, head()[:-2] + b''.join(b'A%d: %s\r\n' % (i, b'x' * 1000)
                                                     for i in range(2000)), seconds=3)
    assert got.startswith(b'HTTP/1.1 400 ') or not got  # the answer may be lost behind unread bytes
    assert endpoint.get('/v2/health/live')[0] == 200


@pytest.mark.parametrize(('data', 'answer'), [
    (b'', b''), (b'POST /v2', b''), (head('Content-Length: 100') + b'{', b'HTTP/1.1 408 ')])
def test_a_client_that_stops_sending_is_cut_off(endpoint, data, answer):
    """The endpoint has a time limit of 2 s."""
    begin = time.monotonic()
    got = send(endpoint.http, data, seconds=8)
    assert got.startswith(answer) and bool(got) == bool(answer)
    assert 1.5 < time.monotonic() - begin < 5


def test_a_client_that_goes_away_is_no_error(endpoint):
    lines = len(endpoint.lines)
    for _ in range(5):
        send(endpoint.http, head('Content-Length: 100') + b'{', seconds=1, close=True)
    assert endpoint.get('/v2/health/ready')[0] == 200
    assert len(endpoint.lines) == lines


# gRPC

@pytest.fixture(scope='module')
def stub(endpoint):
    with grpc.insecure_channel(f'127.0.0.1:{endpoint.grpc}', options=[
            ('grpc.max_send_message_length', -1)]) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def message(model=MODEL, version='', raw=bytes(COUNT), contents=None, name='images',
            datatype='UINT8', shape=SHAPE, inputs=1, outputs=(), **fields):
    made = service_pb2.ModelInferRequest(model_name=model, model_version=version, **fields)
    for _ in range(inputs):
        made.inputs.add(name=name, datatype=datatype, shape=shape)
    for key, values in (contents or {}).items():
        getattr(made.inputs[0].contents, key).extend(values)
    made.raw_input_contents.extend([raw] if isinstance(raw, bytes) else raw)
    for output, parameters in outputs:
        added = made.outputs.add(name=output)
        for key, value in parameters.items():
            setattr(added.parameters[key],
                    'int64_param' if isinstance(value, int) else 'string_param', value)
    return made


INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
MESSAGES = {
    'short': (message(raw=bytes(COUNT - 1)), INVALID, 'has 143 bytes'),
    'long': (message(raw=bytes(COUNT + 1)), INVALID, 'has 145 bytes'),
    'no data': (message(raw=()), INVALID, 'has 0 values'),
    'more data than inputs': (message(raw=[bytes(COUNT)] * 2), INVALID, '2 raw_input_contents'),
    'raw and contents': (message(contents={'uint_contents': [0] * COUNT}), INVALID, 'beside'),
    'other contents': (message(raw=(), contents={'fp32_contents': [0] * COUNT}), INVALID,
                       'has fp32_contents'),
    'value above the range': (message(raw=(), contents={'uint_contents': [256] * COUNT}), INVALID,
                              'out of its range'),
    'a value short': (message(raw=(), contents={'uint_contents': [0] * (COUNT - 1)}), INVALID,
                      'has 143 values'),
    'another dtype': (message(datatype='FP32'), INVALID, 'must be UINT8'),
    'no dtype': (message(datatype=''), INVALID, 'must be UINT8'),
    'minus one': (message(shape=[-1, *SHAPE[1:]]), INVALID, 'must have the shape'),
    '2^40 in the batch': (message(shape=[2**40, *SHAPE[1:]]), INVALID, '1 to 64 examples'),
    '2^40 in a side': (message(shape=[1, 2**40, 8, 3]), INVALID, 'must have the shape'),
    'no shape': (message(shape=[]), INVALID, 'must have the shape'),
    'empty batch': (message(shape=[0, *SHAPE[1:]], raw=b''), INVALID, '1 to 64 examples'),
    'batch over the limit': (message(shape=[65, *SHAPE[1:]], raw=bytes(65 * COUNT)), INVALID,
                             '1 to 64 examples'),
    'another input': (message(name='pixels'), INVALID, "no input 'pixels'"),
    'an input twice': (message(inputs=2, raw=[bytes(COUNT)] * 2), INVALID, 'two inputs'),
    'no input': (message(inputs=0, raw=()), INVALID, 'is missing'),
    'another output': (message(outputs=[('x', {})]), INVALID, "no output 'x'"),
    'no classes': (message(outputs=[('logits', {'classification': 0})]), INVALID, '>= 1'),
    'classes that are a text': (message(outputs=[('logits', {'classification': 'a'})]), INVALID,
                                '>= 1'),
    'an id that is too long': (message(id='x' * 129), INVALID, 'at most 128 characters'),
    'unknown model': (message(model='nothing'), NOT_FOUND, "no model 'nothing'"),
    'unknown version': (message(version='8'), NOT_FOUND, "no version '8'"),
    'too large': (message(raw=bytes(LIMITS.max_body)), EXHAUSTED, ''),
    'no image': (message(model='colours_image', name='image', datatype='BYTES', shape=[1, 1],
                         raw=struct.pack('<I', 1) + b'x'), INVALID, 'neither a JPEG nor a PNG'),
    'a text without its length': (message(model='colours_image', name='image', datatype='BYTES',
                                          shape=[1, 1], raw=b'x'), INVALID, 'behind its length'),
    'a text that is too short': (message(model='colours_image', name='image', datatype='BYTES',
                                         shape=[1, 1], raw=struct.pack('<I', 2**31) + b'x'),
                                 INVALID, 'behind its length'),
}


@pytest.mark.parametrize('case', MESSAGES)
def test_messages_that_do_not_fit(stub, case):
    request, code, words = MESSAGES[case]
    with pytest.raises(grpc.RpcError) as error:
        stub.ModelInfer(request, timeout=20)
    assert (error.value.code(), '\n' in error.value.details()) == (code, False)
    assert words in error.value.details() and '.py' not in error.value.details()


@pytest.mark.parametrize(('call', 'request_', 'code'), [
    ('ModelReady', service_pb2.ModelReadyRequest(name='x'), NOT_FOUND),
    ('ModelReady', service_pb2.ModelReadyRequest(name=MODEL, version='8'), NOT_FOUND),
    ('ModelMetadata', service_pb2.ModelMetadataRequest(name='x'), NOT_FOUND),
    ('RepositoryModelLoad', service_pb2.RepositoryModelLoadRequest(model_name=MODEL),
     grpc.StatusCode.UNIMPLEMENTED),
    ('RepositoryModelUnload', service_pb2.RepositoryModelUnloadRequest(model_name=MODEL),
     grpc.StatusCode.UNIMPLEMENTED),
    ('ModelStatistics', service_pb2.ModelStatisticsRequest(), grpc.StatusCode.UNIMPLEMENTED),
    ('SystemSharedMemoryRegister', service_pb2.SystemSharedMemoryRegisterRequest(),
     grpc.StatusCode.UNIMPLEMENTED)])
def test_calls_that_are_not_there(stub, call, request_, code):
    with pytest.raises(grpc.RpcError) as error:
        getattr(stub, call)(request_, timeout=20)
    assert error.value.code() == code
    assert stub.ModelReady(service_pb2.ModelReadyRequest(name=MODEL), timeout=20).ready


def test_bytes_that_are_no_message(endpoint):
    with grpc.insecure_channel(f'127.0.0.1:{endpoint.grpc}') as channel:
        call = channel.unary_unary('/inference.GRPCInferenceService/ModelInfer')
        with pytest.raises(grpc.RpcError) as error:
            call(b'\xff' * 100, timeout=20)
    assert error.value.code() == INVALID
    assert error.value.details() == 'the bytes of the request are no message of this call'


def test_the_endpoint_logged_no_error(endpoint):
    assert not [line for line in endpoint.lines if 'Traceback' in line]
