"""Many clients at once, every answer of which is checked; and what ends the endpoint meanwhile.

ASH_LOAD_SECONDS says for how long; 60 is what docs/performance.md has figures of.
"""

import http.client
import os
import signal
import threading
import time

import load
import numpy as np
import pytest
import tritonclient.grpc as grpcclient
from conftest import RESNET
from endpoint import Endpoint
from tritonclient.utils import InferenceServerException

import ash_onnx

SECONDS = int(os.environ.get('ASH_LOAD_SECONDS', '20'))


@pytest.fixture(scope='module')
def model():
    return ash_onnx.load_model(RESNET, threads=1)


@pytest.fixture(scope='module')
def loaded(tmp_path_factory, model):
    """(endpoint, path of its requests for wrk, its cases), for loads that it survives."""
    with Endpoint(RESNET) as endpoint:
        cases = load.make_cases(endpoint, RESNET.name, batch=1)
        load.check_cases(cases, model)
        lua = tmp_path_factory.mktemp('load') / 'cases.lua'
        load.write_lua(lua, RESNET.name, cases)
        yield endpoint, lua, cases
        assert endpoint.stop() == 0


@pytest.mark.parametrize('clients', [32, 300])
def test_clients_at_once(loaded, clients):
    endpoint, lua, _ = loaded
    result = load.run_load(endpoint, lua, clients, SECONDS)
    print(result)
    assert result['right'] > 50 * SECONDS
    assert result['wrong'] == result['other'] == 0
    assert result['connect'] == result['read'] == result['write'] == result['timeout'] == 0
    assert result['busy'] == 0 or clients > 64
    assert result['health_p99'] < 0.2 and result['health_max'] < 1
    assert result.get('growth', 0) < 0.05


def test_batches_at_once(tmp_path, loaded, model):
    endpoint, _, _ = loaded
    cases = load.make_cases(endpoint, RESNET.name, batch=32)
    load.check_cases(cases, model)
    lua = tmp_path / 'cases.lua'
    load.write_lua(lua, RESNET.name, cases)
    result = load.run_load(endpoint, lua, 16, 5)
    assert result['right'] > 50 and result['wrong'] == result['other'] == 0


class Client:
    """Asks one after the other until the endpoint is gone.

    Attributes:
      right, wrong, refused: numbers of answers.
      lost: requests that were sent whole, and had no answer.
    """

    def __init__(self, endpoint, cases, number):
        self._endpoint, self._cases, self._random = endpoint, cases, np.random.RandomState(number)
        self.right = self.wrong = self.refused = self.lost = 0
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        connection = None
        while True:
            if connection is None:
                connection = http.client.HTTPConnection('127.0.0.1', self._endpoint.http)
                try:
                    connection.connect()
                except OSError:
                    return
            _, body, length, answer = self._cases[self._random.randint(len(self._cases))]
            try:
                connection.request('POST', f'/v2/models/{RESNET.name}/infer', body,
                                   {'Inference-Header-Content-Length': str(length)})
            except OSError:  # it did not go out whole
                connection.close()
                connection = None
                continue
            try:
                response = connection.getresponse()
                got = response.read()
            except (OSError, http.client.HTTPException):
                self.lost += 1
                connection = None
                continue
            if response.status == 503:
                self.refused += 1
            elif got == answer and response.status == 200:
                self.right += 1
            else:
                self.wrong += 1
            if response.will_close:
                connection.close()
                connection = None


class GrpcClient(Client):
    """The same over gRPC."""

    def _run(self):
        with grpcclient.InferenceServerClient(f'127.0.0.1:{self._endpoint.grpc}') as client:
            while True:
                pixels, _, _, answer = self._cases[self._random.randint(len(self._cases))]
                tensor = grpcclient.InferInput('images', list(pixels.shape), 'UINT8')
                tensor.set_data_from_numpy(pixels)
                try:
                    result = client.infer(RESNET.name, [tensor])
                except InferenceServerException as error:
                    if 'CANCELLED' in str(error.status()):
                        self.lost += 1
                    if 'UNAVAILABLE' in str(error.status()) or 'CANCELLED' in str(error.status()):
                        return
                    self.refused += 1
                    continue
                outputs = [result.as_numpy(name) for name in ('logits', 'probabilities')]
                right = answer.endswith(b''.join(output.tobytes() for output in outputs))
                self.right += right
                self.wrong += not right


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_under_load(loaded, number):
    """SIGTERM loses no request; after SIGKILL requests are lost, and none is answered wrongly."""
    _, _, cases = loaded
    with Endpoint(RESNET) as endpoint:
        clients = [(GrpcClient if index % 4 == 0 else Client)(endpoint, cases, index)
                   for index in range(32)]
        time.sleep(3)
        before = sum(client.right for client in clients)
        status = endpoint.stop(number)
        for client in clients:
            client.thread.join(30)
            assert not client.thread.is_alive()
    totals = {name: sum(getattr(client, name) for client in clients)
              for name in ('right', 'wrong', 'refused', 'lost')}
    print(totals, [type(client).__name__ for client in clients if client.lost])
    assert before > 100 and totals['wrong'] == 0
    assert status == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    if number == signal.SIGTERM:
        assert totals['lost'] == 0 and totals['right'] > before
