"""The execution provider: what was asked for runs, or an error says what is missing."""

import json
import types
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import ash_onnx
from ash_onnx import session as session_module

pytestmark = pytest.mark.fast


@pytest.mark.parametrize('provider', ['cuda', 'tensorrt'])
def test_a_provider_that_the_wheel_lacks_is_an_error(artifact, monkeypatch, provider):
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: ['CPUExecutionProvider'])
    with pytest.raises(ValueError, match=f'{provider}.*onnxruntime-gpu'):
        ash_onnx.load_model(artifact, provider=provider)


class FakeSession:
    """Stands in for a session on a machine with, or with half of, an accelerator."""

    def __init__(self, started, nodes, calls):
        self.started, self.nodes, self.calls = started, nodes, calls

    def __call__(self, model, options, **arguments):
        self.calls.append(arguments)
        self.prefix = options.profile_file_prefix
        return self

    def get_providers(self):
        return self.started

    def run(self, outputs, feeds):
        self.calls.append(feeds)

    def end_profiling(self):
        events = [{'cat': 'Session', 'name': 'model_run', 'args': {}}] + [
            {'cat': 'Node', 'args': {'op_name': op, 'provider': f'{provider}ExecutionProvider',
                                     'output_type_shape': [{dtype: shape}]}}
            for op, provider, dtype, shape in self.nodes]
        Path(self.prefix + '.json').write_text(json.dumps(events), encoding='utf-8')
        return self.prefix + '.json'


@pytest.fixture
def fake_accelerator(monkeypatch):
    """Function that makes onnxruntime look as on a machine with an accelerator."""
    def fake(started, nodes=()):
        names = [f'{name}ExecutionProvider' for name in ('Tensorrt', 'CUDA', 'CPU')]
        calls = []
        monkeypatch.setattr(session_module, 'onnxruntime', types.SimpleNamespace(
            __version__='0', SessionOptions=onnxruntime.SessionOptions,
            get_available_providers=lambda: names,
            preload_dlls=lambda: print('Failed to load libcudnn.so.9: no such file'),
            InferenceSession=FakeSession(
                [f'{name}ExecutionProvider' for name in started], nodes, calls)))
        return calls
    return fake


ON_CUDA = ('Conv', 'CUDA', 'float', [1, 6, 8, 3])
ON_TENSORRT = ('TRTKernel', 'Tensorrt', 'float', [1, 3])
SHAPE_ON_CPU = ('Concat', 'CPU', 'int64', [4])
SCALAR_ON_CPU = ('Cast', 'CPU', 'float', [])


@pytest.mark.parametrize('provider, started, nodes', [
    ('cuda', ['CUDA', 'CPU'], [ON_CUDA, SHAPE_ON_CPU, SCALAR_ON_CPU]),
    ('tensorrt', ['Tensorrt', 'CUDA', 'CPU'], [ON_TENSORRT, ON_CUDA, SHAPE_ON_CPU]),
])
def test_accepts_an_accelerator_that_does_the_work(artifact, fake_accelerator, capsys, provider,
                                                   started, nodes):
    calls = fake_accelerator(started, nodes)
    assert ash_onnx.load_model(artifact, provider=provider).provider == provider
    assert calls[0]['enable_fallback'] == 0
    assert calls[0]['providers'] == [f'{name}ExecutionProvider' for name in started]
    cuda = started.index('CUDA')
    assert calls[0]['provider_options'][cuda] == {'use_tf32': '0'}
    assert calls[1]['images'].shape == (1, 6, 8, 3)
    assert capsys.readouterr().out == ''  # stdout belongs to a command's answer


@pytest.mark.parametrize('provider, started, nodes, message', [
    ('cuda', ['CPU'], [], 'would run on CPUExecutionProvider.*cudnn.*libcudnn.so.9'),
    ('tensorrt', ['CUDA', 'CPU'], [], 'would run on CUDAExecutionProvider.*TensorRT'),
    ('tensorrt', ['Tensorrt', 'CUDA', 'CPU'], [ON_CUDA], 'none of the model'),
    ('cuda', ['CUDA', 'CPU'], [], 'none of the model'),
    ('cuda', ['CUDA', 'CPU'], [ON_CUDA, ('Erf', 'CPU', 'float', [1, 6, 8, 3])], 'CPU: Erf;'),
    ('tensorrt', ['Tensorrt', 'CUDA', 'CPU'],
     [ON_TENSORRT, ('Softmax', 'CPU', 'float16', [1, 3])], 'CPU: Softmax;'),
])
def test_refuses_an_accelerator_that_does_not(artifact, fake_accelerator, provider, started, nodes,
                                              message):
    fake_accelerator(started, nodes)
    with pytest.raises(ValueError, match=message):
        ash_onnx.load_model(artifact, provider=provider)


def test_a_profile_of_this_onnxruntime_is_understood(make_artifact, tmp_path):
    """The real profiler's format; on the CPU, the only provider that every machine has."""
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / 'profile')
    session = onnxruntime.InferenceSession(str(make_artifact() / 'model.onnx'), options,
                                           providers=['CPUExecutionProvider'])
    session.run(None, {'images': np.zeros([1, 6, 8, 3], np.uint8)})
    text = Path(session.end_profiling()).read_text(encoding='utf-8')
    with pytest.raises(ValueError, match='none of'):
        session_module.check_placement(json.loads(text), 'cuda')
    events = json.loads(text)
    accelerated = next(event for event in events
                       if event.get('args', {}).get('op_name') == 'ReduceMean')
    accelerated['args']['provider'] = 'CUDAExecutionProvider'
    with pytest.raises(ValueError, match='CPU: Cast, .*Gemm, Softmax'):
        session_module.check_placement(events, 'cuda')
