"""The fused op's library: what is said where it is missing, damaged or does not fit."""
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ash_onnx
from ash_onnx import native
from ash_onnx.artifact import AshForm

ROOT = Path(__file__).resolve().parents[2]
CHECKPOINT = ROOT / 'checkpoints/resnet20-cifar10-ash'
BUILT = {'api': 18, 'cuda': False}
WRONG = {
    'nothing': (None, None, 'fused ASH was not built; what builds it is `make native`'),
    'no compiler': ({'failure': 'there is no C++ compiler'}, None,
                    'was not built: there is no C++ compiler. When that is mended'),
    'damaged record': ('{"api', b'', 'built.json is damaged'),
    'record of nothing': ([], b'', 'built.json is damaged'),
    'record of another kind': ({'api': 'new'}, b'', 'built.json is damaged'),
    'a later onnxruntime': ({'api': 999}, b'', 'needs onnxruntime 1.999 or later, this is'),
    'no library': (BUILT, None, 'does not load'),
    'no library but text': (BUILT, b'text', 'does not load'),
}


@pytest.fixture
def place(monkeypatch, tmp_path):
    """Function (record, library's bytes) that puts them where the package's are looked for."""
    monkeypatch.setattr(native, 'LIBRARY', tmp_path / 'libash_onnx.so')
    monkeypatch.setattr(native, 'RECORD', tmp_path / 'built.json')
    native._say_once.cache_clear()

    def put(record, library):
        if record is not None:
            native.RECORD.write_text(record if isinstance(record, str) else json.dumps(record))
        if library is not None:
            native.LIBRARY.write_bytes(library)
    return put


@pytest.mark.parametrize('case', WRONG)
def test_what_is_wrong_is_said_once_and_the_portable_form_runs(place, caplog, case):
    record, library, message = WRONG[case]
    place(record, library)
    with caplog.at_level(logging.WARNING, logger='ash_onnx'):
        models = [ash_onnx.load_model(CHECKPOINT) for _ in range(2)]
    assert [model.form for model in models] == [AshForm(19, False)] * 2
    assert ash_onnx.verify(models[0]).passed
    assert len(caplog.records) == 1
    text = caplog.records[0].getMessage()
    assert message in text and 'fused=False says that this is meant' in text


@pytest.mark.parametrize('case', WRONG)
def test_fused_without_a_library_is_an_error(place, case):
    record, library, message = WRONG[case]
    place(record, library)
    with pytest.raises(ValueError, match='model.onnx') as error:
        ash_onnx.load_model(CHECKPOINT, fused=True)
    assert message in str(error.value) and '\n' not in str(error.value)


def test_nothing_is_said_where_nothing_is_lost(place, caplog, artifact):
    """A model without ASH, and one whose portable form is meant."""
    place(None, None)
    with caplog.at_level(logging.DEBUG, logger='ash_onnx'):
        assert ash_onnx.load_model(artifact).form == AshForm(0, False)
        assert ash_onnx.load_model(artifact, fused=True).form == AshForm(0, False)
        assert ash_onnx.load_model(CHECKPOINT, fused=False).form == AshForm(19, False)
    assert not caplog.records


def test_a_library_for_the_cpu_alone_is_none_for_cuda(place):
    place(BUILT, b'')
    with pytest.raises(native.Unavailable, match='without CUDA: build it by `make native CUDA=1`'):
        native.library('cuda')


@pytest.mark.parametrize('value', ['yes', None, 2])
def test_what_fused_may_be(value):
    with pytest.raises(ValueError, match="fused must be True, False or 'auto', got"):
        ash_onnx.load_model(CHECKPOINT, fused=value)


@pytest.mark.parametrize('option, said', [('yes', '19 ASH fused'),
                                          ('no', '19 ASH as portable nodes')])
def test_commands_choose_the_form(option, said):
    done = subprocess.run([sys.executable, str(ROOT / 'tools/verify_onnx.py'), str(CHECKPOINT),
                           '--fused', option], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f'passed on cpu, {said}\n')


def test_a_build_without_a_compiler_says_why_and_keeps_no_library_that_it_does_not_describe(
        tmp_path):
    (tmp_path / 'libash_onnx.so').write_bytes(b'of before')
    code = ('import importlib.util, sys\n'
            'spec = importlib.util.spec_from_file_location("build", sys.argv[1])\n'
            'build = importlib.util.module_from_spec(spec)\n'
            'spec.loader.exec_module(build)\n'
            'build.build("onnxruntime", sys.argv[2])\n')
    done = subprocess.run([sys.executable, '-c', code, str(ROOT / 'native/build.py'),
                           str(tmp_path)], env=dict(os.environ, PATH='', CXX='/nonexistent/c++'),
                          capture_output=True, text=True)
    assert 'BuildError: there is no C++ compiler' in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ['built.json']
    with pytest.raises(native.Unavailable, match=r'there is no C\+\+ compiler'):
        native._read_record(tmp_path / 'built.json')


def test_sessions_outlive_each_other():
    """The ops belong to the process: what closes one session leaves the others theirs."""
    if not native.RECORD.exists() or 'failure' in json.loads(native.RECORD.read_text()):
        pytest.skip('the op is not built')
    images = np.zeros((1, 32, 32, 3), np.uint8)
    models = [ash_onnx.load_model(CHECKPOINT, fused=True) for _ in range(3)]
    expected = models[0].run(images)[0]
    del models[0]
    for model in (*models, ash_onnx.load_model(CHECKPOINT, fused=True)):
        np.testing.assert_array_equal(model.run(images)[0], expected)
