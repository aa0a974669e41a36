"""Queue, time, pixels, connections, addresses; how the endpoint starts and how it ends."""

import concurrent.futures
import json
import signal
import socket
import struct
import subprocess
import threading
import time
import zlib

import artifacts
import cv2
import grpc
import numpy as np
import pytest
from endpoint import Endpoint
from tritonclient.grpc import service_pb2, service_pb2_grpc

SHAPE = [1, artifacts.HEIGHT, artifacts.WIDTH, 3]
PIXELS = bytes(int(np.prod(SHAPE)))
ALONE = {'Inference-Header-Content-Length': '0'}


def message(model):
    made = service_pb2.ModelInferRequest(model_name=model, raw_input_contents=[PIXELS])
    made.inputs.add(name='images', datatype='UINT8', shape=SHAPE)
    return made


@pytest.fixture(scope='module')
def slow(tmp_path_factory):
    """An endpoint with one worker, a queue of two, and a model that takes a third of a second."""
    folder = artifacts.classifier(tmp_path_factory.mktemp('slow') / 'slow', slow=8)
    with Endpoint(folder, options=['--workers', '1', '--queue', '2', '--time-limit', '60']) as one:
        yield one


def test_what_the_queue_does_not_hold_is_refused_at_once(slow):
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        http = [pool.submit(slow.infer, 'slow', PIXELS, ALONE) for _ in range(6)]
        answers = [future.result() for future in http]
    statuses = [status for status, _, _ in answers]
    assert statuses.count(200) >= 3 and statuses.count(503) >= 1
    assert set(statuses) == {200, 503}
    for status, headers, body in answers:
        if status == 503:
            assert headers['Retry-After'] == '1' and 'try again' in body['error']


def test_the_queue_is_that_of_both_protocols(slow):
    with grpc.insecure_channel(f'127.0.0.1:{slow.grpc}') as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            held = [pool.submit(slow.infer, 'slow', PIXELS, ALONE) for _ in range(3)]
            while 'ash_requests_waiting 2.0' not in slow.get('/metrics')[2].decode():
                assert not all(future.done() for future in held)
            with pytest.raises(grpc.RpcError) as error:
                stub.ModelInfer(message('slow'), timeout=20)
            assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert ('retry-after', '1') in error.value.trailing_metadata()
            assert stub.ServerReady(service_pb2.ServerReadyRequest(), timeout=1).ready
            begin = time.monotonic()
            assert slow.get('/v2/health/ready')[0] == 200 and time.monotonic() - begin < 0.3
            assert [future.result()[0] for future in held] == [200] * 3


def forever(wanted):
    return {'inputs': [{'name': 'forever', 'datatype': 'BOOL', 'shape': [], 'data': [wanted]},
                       {'name': 'start', 'datatype': 'FP32', 'shape': [], 'data': [1.5]}]}


def test_a_model_that_does_not_end_is_stopped_and_answers_again(endpoint):
    """The endpoint has two workers or more, and a time limit of 2 s."""
    assert endpoint.infer('endless', forever(False))[2]['outputs'][0]['data'] == [1.5]
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(endpoint.infer, 'endless', forever(True)) for _ in range(8)]
        slowest = 0
        while not all(future.done() for future in futures):
            asked = time.monotonic()
            assert endpoint.get('/v2/health/live')[0] == 200
            slowest = max(slowest, time.monotonic() - asked)
            time.sleep(0.02)
    assert slowest < 0.5
    for status, headers, body in (future.result() for future in futures):
        assert status == 503 and headers['Retry-After'] and 'too long' in body['error']
    assert time.monotonic() - begin < 8
    time.sleep(2.5)  # for runs that began when their clients had been answered
    assert endpoint.infer('endless', forever(False))[0] == 200


def test_the_time_limit_over_grpc(endpoint):
    request = service_pb2.ModelInferRequest(model_name='endless', raw_input_contents=[
        b'\1', struct.pack('<f', 1)])
    request.inputs.add(name='forever', datatype='BOOL', shape=[])
    request.inputs.add(name='start', datatype='FP32', shape=[])
    with grpc.insecure_channel(f'127.0.0.1:{endpoint.grpc}') as channel:
        with pytest.raises(grpc.RpcError) as error:
            service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=20)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert error.value.details() == 'the answer takes too long'


def test_an_answer_that_json_has_no_numbers_for(endpoint):
    body = struct.pack('<ff', float('nan'), 0)
    inputs = [{'name': name, 'datatype': 'FP32', 'shape': [1, 2],
               'parameters': {'binary_data_size': 8}} for name in 'ab']
    for outputs, status in (([], 400),
                            ([{'name': 'sum', 'parameters': {'binary_data': True}}], 200)):
        header = json.dumps({'inputs': inputs, 'outputs': outputs}).encode()
        got, _, answer = endpoint.request('POST', '/v2/models/keras/infer', header + 2 * body, {
            'Inference-Header-Content-Length': str(len(header))})
        assert got == status and (status == 200 or b'ask for binary_data' in answer)


def png(width, height):
    """The bytes of a PNG file whose header says so, and whose rows are empty."""
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack(
            '>I', zlib.crc32(kind + data))
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0,
                                                             0))
            + chunk(b'IDAT', zlib.compress(bytes(100))) + chunk(b'IEND', b''))


@pytest.mark.parametrize('size', [(4097, 4096), (2**31 - 1, 2**31 - 1), (2**24 + 1, 1)])
def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(endpoint, size):
    status, _, body = endpoint.infer('colours_image', png(*size), ALONE)
    assert status == 400 and 'expected 1 to 16777216 in all' in body['error']


def test_a_truncated_photo_is_refused(endpoint):
    whole = cv2.imencode('.jpg', np.random.RandomState(0).randint(0, 256, [50, 60, 3]))[1].tobytes()
    assert endpoint.infer('colours_image', whole, ALONE)[0] == 200
    for data in (whole[:len(whole) // 2], whole[:10], b''):
        assert endpoint.infer('colours_image', data, ALONE)[0] == 400


def test_idle_connections_make_way_for_new_ones(folders):
    with Endpoint(folders['colours'], options=['--max-connections', '10']) as one:
        idle = [socket.create_connection(('127.0.0.1', one.http)) for _ in range(40)]
        for _ in range(5):
            assert one.get('/v2/health/ready')[0] == 200
        for connection in idle:
            connection.close()


def listening(pid):
    """(address, port) of what a process listens on."""
    lines = subprocess.run(['ss', '-Hltnp'], capture_output=True, text=True).stdout.splitlines()
    # gRPC writes an IPv4 address as one of IPv6.
    return [line.split()[3].replace('[::ffff:127.0.0.1]', '127.0.0.1').rsplit(':', 1)
            for line in lines if f'pid={pid},' in line]


def test_it_listens_on_this_machine_alone(endpoint):
    found = listening(endpoint.process.pid)
    assert sorted(found) == sorted([['127.0.0.1', str(endpoint.http)],
                                    ['127.0.0.1', str(endpoint.grpc)]])


@pytest.mark.parametrize(('host', 'shown'), [('0.0.0.0', '0.0.0.0'), ('::1', '[::1]')])
def test_another_address_is_that_of_both_protocols(folders, host, shown):
    with Endpoint(folders['colours'], options=['--host', host],
                  host='127.0.0.1' if host == '0.0.0.0' else host) as one:
        found = listening(one.process.pid)
        assert sorted(port for _, port in found) == sorted([str(one.http), str(one.grpc)])
        assert {address for address, _ in found} <= {shown, '*'}
        assert one.stop() == 0


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_when_what_is_in_flight_is_answered(tmp_path, number):
    folder = artifacts.classifier(tmp_path / 'slow', slow=20)
    with Endpoint(folder, options=['--workers', '1', '--drain', '1']) as one:
        with grpc.insecure_channel(f'127.0.0.1:{one.grpc}') as channel, \
                concurrent.futures.ThreadPoolExecutor(4) as pool:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            assert stub.ServerReady(service_pb2.ServerReadyRequest()).ready
            answers = [pool.submit(one.infer, 'slow', PIXELS, ALONE) for _ in range(2)]
            called = pool.submit(stub.ModelInfer, message('slow'))
            while one.get('/metrics')[2].decode().count('ash_requests_running 1.0') == 0:
                time.sleep(0.01)
            one.process.send_signal(number)
            time.sleep(0.2)
            assert one.get('/v2/health/ready')[0] == 503
            assert one.get('/v2/models/slow/ready')[0] == 503
            assert one.get('/v2/health/live')[0] == 200
            assert not stub.ServerReady(service_pb2.ServerReadyRequest()).ready
            answers.append(pool.submit(one.infer, 'slow', PIXELS, ALONE))  # it is draining still
            assert [future.result()[0] for future in answers] == [200] * 3
            assert called.result().model_name == 'slow'
        assert one.process.wait(20) == 0
        assert 'stopped' in one.lines[-1]


def test_calls_over_grpc_are_refused_before_it_ends(folders):
    """gRPC cancels a call that it has received and not begun when a server stops."""
    with Endpoint(folders['graph'], options=['--drain', '0']) as one, \
            grpc.insecure_channel(f'127.0.0.1:{one.grpc}') as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        one.process.send_signal(signal.SIGTERM)
        with pytest.raises(grpc.RpcError) as error:
            for _ in range(10000):
                stub.ServerReady(service_pb2.ServerReadyRequest())
        assert error.value.code() == grpc.StatusCode.UNAVAILABLE
        assert error.value.details() == 'the server is stopping'
        assert one.process.wait(20) == 0


def test_the_grace_time_ends_it_for_what_does_not_end(folders):
    options = ['--time-limit', '60', '--grace', '1', '--drain', '0']
    with Endpoint(folders['endless'], options=options) as one:
        threading.Thread(target=one.request, args=(
            'POST', '/v2/models/endless/infer', json.dumps(forever(True))), daemon=True).start()
        while one.get('/metrics')[2].decode().count('ash_requests_running 1.0') == 0:
            time.sleep(0.01)
        begin = time.monotonic()
        assert one.stop() == 0
        assert time.monotonic() - begin < 6


def test_the_access_log_has_a_line_for_each_request(folders, tmp_path):
    path = tmp_path / 'log'
    with open(path, 'w') as stdout, Endpoint(
            folders['colours'], options=['--access-log'], stdout=stdout) as one:
        one.infer('colours', PIXELS, ALONE)
        one.get('/%1b%5b31m')
        with grpc.insecure_channel(f'127.0.0.1:{one.grpc}') as channel:
            service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(message('colours'))
        assert one.stop() == 0
    text = path.read_text()
    assert 'POST /v2/models/colours/infer 200' in text and 'ModelInfer OK' in text
    assert '\x1b' not in text and r'GET /\x1b[31m 404' in text
