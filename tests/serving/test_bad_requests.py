"""300 bad requests, drawn by a seed from every kind, over both protocols, from many clients.

Each is refused by its right code, and good requests between them are answered rightly.
"""

import concurrent.futures
import json
import random

import grpc
import load
from conftest import RESNET
from test_refusals import BINARY, COUNT, GOOD, JSON, MESSAGES, MODEL, RAW, message
from tritonclient.grpc import service_pb2_grpc

import ash_onnx

SEED, COUNT_OF_EACH = 19, 150


def draw_http(rng):
    """(expected status, path, body, headers) of a bad request over HTTP."""
    kind = rng.choice(['json', 'raw', 'binary', 'cut', 'flipped', 'nowhere', 'large'])
    path, headers = f'/v2/models/{MODEL}/infer', {}
    if kind == 'json':
        return 400, path, json.dumps(rng.choice(list(JSON.values()))[0]).encode(), headers
    if kind == 'raw':
        return 400, path, rng.choice(list(RAW.values())), headers
    if kind == 'binary':
        (body, headers), _ = rng.choice(list(BINARY.values()))
        return 400, path, body, headers
    good = json.dumps({'inputs': [GOOD]}).encode()
    if kind == 'cut':
        return 400, path, good[:rng.randrange(len(good))], headers
    if kind == 'flipped':  # one of the bytes becomes what JSON has nowhere
        position = rng.randrange(len(good))
        return 400, path, good[:position] + b'\xff' + good[position + 1:], headers
    if kind == 'nowhere':
        name = rng.choice(['nothing', MODEL + 's', f'{MODEL}/versions/0', '..', '%00'])
        return 404, f'/v2/models/{name}/infer', good, headers
    return 413, path, good[:-1] + b' ' * 2**22 + b'}', headers


def draw_grpc(rng):
    """(expected code, message) of a bad request over gRPC."""
    if rng.random() < 0.5:
        request, code, _ = rng.choice(list(MESSAGES.values()))
        return code, request
    length = rng.choice([0, 1, COUNT - 1, COUNT + 1, rng.randrange(COUNT), 2 * COUNT])
    size = rng.choice([-1, 0, 1, 2, 65, 2**31, 2**40, 2**62])
    shape = [size if index == 0 else other for index, other in enumerate(GOOD['shape'])]
    if size == 1 and length == COUNT or size == 2 and length == 2 * COUNT:
        length += 1
    return grpc.StatusCode.INVALID_ARGUMENT, message(raw=bytes(length), shape=shape)


def test_bad_requests(endpoint):
    rng = random.Random(SEED)
    https = [draw_http(rng) for _ in range(COUNT_OF_EACH)]
    grpcs = [draw_grpc(rng) for _ in range(COUNT_OF_EACH)]
    before = len(endpoint.lines)
    with grpc.insecure_channel(f'127.0.0.1:{endpoint.grpc}', options=[
            ('grpc.max_send_message_length', -1)]) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)

        def ask_http(case):
            expected, path, body, headers = case
            status, _, answer = endpoint.request('POST', path, body, headers, timeout=60)
            assert list(json.loads(answer)) == ['error'] and b'Traceback' not in answer
            return status, expected, (path, body[:200], headers)

        def ask_grpc(case):
            expected, request = case
            try:
                stub.ModelInfer(request, timeout=60)
            except grpc.RpcError as error:
                return error.code(), expected, error.details()
            return None, expected, str(request)[:200]

        cases = load.make_cases(endpoint, RESNET.name, batch=1)
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            futures = [pool.submit(ask_http, case) for case in https]
            futures += [pool.submit(ask_grpc, case) for case in grpcs]
            rng.shuffle(futures)
            good = [pool.submit(load.make_cases, endpoint, RESNET.name, 1) for _ in range(2)]
            wrong = [future.result() for future in futures
                     if future.result()[0] != future.result()[1]]
    assert not wrong
    for future in good:
        assert [case[3] for case in future.result()] == [case[3] for case in cases]
    load.check_cases(cases, ash_onnx.load_model(RESNET, threads=1))
    assert len(endpoint.lines) == before  # nothing was worth a line of the log
    assert endpoint.get('/v2/health/ready')[0] == 200
