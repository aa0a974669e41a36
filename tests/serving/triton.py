"""The tritonserver that the wheel nvidia-pytriton carries, on ports of 127.0.0.1 that are free.

It has no onnxruntime backend: `stand_in` gives a repository's models that need one a model of the
Python backend, which runs the same file under onnxruntime. All else is the real server.
"""

import re
import shutil
import socket
import subprocess
import time

from endpoint import ROOT

ENVIRONMENT = ROOT / '.venv/triton'
MODEL = '''
import json
from pathlib import Path
import onnxruntime
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(Path(__file__).with_name('model.onnx')), options,
            providers=['CPUExecutionProvider'])

    def execute(self, requests):
        responses = []
        for request in requests:
            feeds = {value.name: pb_utils.get_input_tensor_by_name(request, value.name).as_numpy()
                     for value in self.session.get_inputs()}
            names = [value.name for value in self.session.get_outputs()]
            answers = self.session.run(names, feeds)
            responses.append(pb_utils.InferenceResponse(
                [pb_utils.Tensor(name, answer) for name, answer in zip(names, answers)]))
        return responses
'''


def stand_in(repository, copy):
    """A copy of a repository that the server can run without Triton's onnxruntime backend."""
    shutil.copytree(repository, copy)
    for config in copy.glob('*/config.pbtxt'):
        text = config.read_text()
        if 'onnxruntime_onnx' in text:
            config.write_text(text.replace('platform: "onnxruntime_onnx"', 'backend: "python"'))
            for model in config.parent.glob('*/model.onnx'):
                model.with_name('model.py').write_text(MODEL)
    return copy


def _free_ports(count):
    taken = [socket.create_server(('127.0.0.1', 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports


class Triton:
    """A tritonserver; a context manager that ends it.

    Attributes:
      http, grpc, metrics: its ports.
      log: what it wrote, a `pathlib.Path`.
    """

    def __init__(self, repository, folder):
        """Starts it; `folder` is for its log and backends."""
        package, = ENVIRONMENT.glob('lib/python3.*/site-packages/pytriton/tritonserver')
        version = re.search(r'python(3\.\d+)', str(package)).group(1)
        backends = folder / 'backends'
        shutil.copytree(package / 'backends', backends)
        stub = package / f'python_backend_stubs/{version}/triton_python_backend_stub'
        shutil.copy(stub, backends / 'python')
        self.http, self.grpc, self.metrics = _free_ports(3)
        self.log = folder / 'log'
        with open(self.log, 'w') as log:
            self.process = subprocess.Popen(
                [package / 'bin/tritonserver', f'--model-repository={repository}',
                 f'--backend-directory={backends}', '--http-address=127.0.0.1',
                 '--grpc-address=127.0.0.1', '--metrics-address=127.0.0.1',
                 f'--http-port={self.http}', f'--grpc-port={self.grpc}',
                 f'--metrics-port={self.metrics}', '--exit-timeout-secs=5',
                 '--disable-auto-complete-config', '--strict-readiness=true'],
                stdout=log, stderr=subprocess.STDOUT,
                env={'PATH': f'{ENVIRONMENT}/bin:/usr/bin:/bin', 'ORT_DISABLE_TELEMETRY': '1',
                     'LD_LIBRARY_PATH': self._libraries(package)})

    @staticmethod
    def _libraries(package):
        """Those of the wheel, and that of the Python of its environment."""
        code = 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))'
        python = subprocess.run([ENVIRONMENT / 'bin/python', '-c', code], capture_output=True,
                                text=True, check=True).stdout.strip()
        return f'{package.parent.parent / "nvidia_pytriton.libs"}:{python}'

    def wait(self, seconds=120):
        """Waits until it is ready; returns whether it is, or has ended instead."""
        import urllib.error
        import urllib.request
        end = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < end:
            try:
                urllib.request.urlopen(f'http://127.0.0.1:{self.http}/v2/health/ready', timeout=5)
                return True
            except (OSError, urllib.error.URLError):
                time.sleep(0.1)
        return False

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
