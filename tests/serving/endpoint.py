"""Starts the endpoint as a process of its own, on ports of 127.0.0.1 that are free."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Endpoint:
    """`tools/serve.py` with some artifacts; a context manager that ends it.

    Attributes:
      http, grpc: its ports.
      process: a `subprocess.Popen`.
      lines: what it wrote on stderr, a list that grows.
    """

    def __init__(self, *artifacts, options=(), stdout=subprocess.DEVNULL, host='127.0.0.1'):
        self.host = host
        self.lines = []
        self.process = subprocess.Popen(
            [sys.executable, ROOT / 'tools/serve.py', *artifacts, '--http-port', '0',
             '--grpc-port', '0', *options], stdout=stdout, stderr=subprocess.PIPE, text=True,
            env=dict(os.environ, ASH_COMMIT='c0ffee'))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        end = time.monotonic() + 180
        while (match := self._find(r'http://\S*:(\d+), gRPC on \S*:(\d+)')) is None:
            if time.monotonic() > end or self.process.poll() is not None:
                self.process.kill()
                raise AssertionError('\n'.join(self.lines))
            time.sleep(0.02)
        self.http, self.grpc = map(int, match.groups())
        self._wait_for_http(end)

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip('\n'))

    def _find(self, pattern):
        return next((match for line in list(self.lines) if (match := re.search(pattern, line))),
                    None)

    def _wait_for_http(self, end):
        while True:
            try:
                assert self.get('/v2/health/live')[0] == 200
                return
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        self.process.stderr.close()

    def stop(self, number=signal.SIGTERM):
        """Sends a signal; returns the exit status."""
        self.process.send_signal(number)
        return self.process.wait(30)

    def request(self, method, path, body=None, headers=None, timeout=30):
        """Sends an HTTP request; returns (status, headers, body)."""
        connection = http.client.HTTPConnection(self.host, self.http, timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def get(self, path):
        """(status, headers, body) of a GET."""
        return self.request('GET', path)

    def infer(self, model, request, headers=None):
        """POSTs JSON, or bytes as they are; returns (status, headers, parsed JSON)."""
        body = request if isinstance(request, bytes) else json.dumps(request)
        status, got, body = self.request('POST', f'/v2/models/{model}/infer', body, headers)
        return status, got, json.loads(body)
