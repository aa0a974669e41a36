"""ASH_NATIVE, and what is said where the library is missing, foreign, damaged or does not load."""
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow.compat.v1 as tf

from ash_tf1 import native, ops
from ash_tf1.training.settings import Settings

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def place(monkeypatch, tmp_path):
    """Function (record, library's bytes) that puts them where the package's are looked for."""
    monkeypatch.setattr(native, 'LIBRARY', str(tmp_path / 'libash_ops.so'))
    monkeypatch.setattr(native, 'RECORD', str(tmp_path / 'built.json'))
    monkeypatch.delenv('ASH_NATIVE', raising=False)
    monkeypatch.setattr(logging.getLogger('ash_tf1'), 'propagate', True)
    native._say_once.cache_clear()

    def put(record=None, library=None):
        if record is not None:
            (tmp_path / 'built.json').write_text(
                record if isinstance(record, str) else json.dumps(record))
        if library is not None:
            (tmp_path / 'libash_ops.so').write_bytes(library)
    with tf.Graph().as_default():
        yield put


def built_for(**changes):
    return {'fingerprint': dict(native.fingerprint(), **changes), 'cuda': False}


WRONG = {
    'nothing': (dict(), 'was not built; what builds it is `make native`'),
    'no compiler': (dict(record={'failure': 'there is no C++ compiler'}),
                    'was not built: there is no C++ compiler. When that is mended'),
    'another version': (dict(record=built_for(tensorflow='1.15.0'), library=b''),
                        'built for another TensorFlow (tensorflow 1.15.0 there, tensorflow 1.15.5 '
                        'here): build it again by `make native`'),
    'another ABI': (dict(record=built_for(cxx11_abi=7), library=b''), 'cxx11_abi 7 there'),
    'TensorFlow 1.14': (dict(record=built_for(tensorflow='1.14.0'), library=b''),
                        '`pip install --no-build-isolation`'),
    'damaged record': (dict(record='{"fing'), 'built.json is damaged'),
    'record of nothing': (dict(record=[]), 'built.json is damaged'),
    'no library': (dict(record=built_for()), 'does not load'),
    'no library but text': (dict(record=built_for(), library=b'text'), 'does not load'),
}


@pytest.mark.parametrize('case', WRONG)
def test_what_is_wrong_is_said_once_and_graph_ops_take_over(place, caplog, case):
    files, message = WRONG[case]
    place(**files)
    for scope in 'ab':
        with tf.variable_scope(scope):
            ops.ASH(tf.zeros([2, 3]))
    assert not {op.type for op in tf.get_default_graph().get_operations()} & {'AshForward'}
    said = [r.getMessage() for r in caplog.records if r.name == 'ash_tf1']
    assert len(said) == 1
    assert message in said[0]
    assert '\n' not in said[0]
    assert 'ASH is made of graph ops meanwhile' in said[0]


@pytest.mark.parametrize('case', WRONG)
def test_where_it_is_demanded_it_is_an_error(place, monkeypatch, case):
    files, message = WRONG[case]
    place(**files)
    monkeypatch.setenv('ASH_NATIVE', '1')
    with pytest.raises(ValueError) as error:
        ops.ASH(tf.zeros([2, 3]))
    assert message in str(error.value)
    monkeypatch.setenv('ASH_NATIVE', 'auto')
    with pytest.raises(ValueError) as error, tf.variable_scope('other'):
        ops.ASH(tf.zeros([2, 3]), implementation='native')
    assert message in str(error.value)


def test_0_turns_it_off_without_a_word(library, monkeypatch, caplog):
    monkeypatch.setenv('ASH_NATIVE', '0')
    with tf.Graph().as_default():
        ops.ASH(tf.zeros([2, 3]))
        assert 'AshForward' not in {op.type for op in tf.get_default_graph().get_operations()}
        with pytest.raises(ValueError, match='ASH_NATIVE=0 turns native ASH off'), \
                tf.variable_scope('other'):
            ops.ASH(tf.zeros([2, 3]), implementation='native')
    assert not caplog.records


@pytest.mark.parametrize('value', ['auto', '1', None])
def test_where_it_is_built_it_is_the_default(library, monkeypatch, caplog, value):
    monkeypatch.delenv('ASH_NATIVE', raising=False)
    if value:
        monkeypatch.setenv('ASH_NATIVE', value)
    with tf.Graph().as_default():
        for i, function in enumerate((ops.ASH, ops.leaky_ash, ops.get_activation('f_ash_10'))):
            with tf.variable_scope(str(i)):
                function(tf.zeros([2, 3]))
        types = [op.type for op in tf.get_default_graph().get_operations()]
    assert types.count('AshForward') == 3
    assert Settings().implementation == 'auto'
    assert not caplog.records


@pytest.mark.parametrize('value', ['yes', '', '2'])
def test_another_value_is_named(monkeypatch, value):
    monkeypatch.setenv('ASH_NATIVE', value)
    with tf.Graph().as_default(), pytest.raises(
            ValueError, match="ASH_NATIVE must be 0, 1 or auto, got '{}'".format(value)):
        ops.ASH(tf.zeros([2, 3]))


def test_where_tensorflow_sees_a_gpu_a_library_without_cuda_is_left_alone(library, monkeypatch,
                                                                          caplog):
    """Its ops would take every map off the GPU and back."""
    if native.read_record()['cuda']:
        pytest.skip('the library has CUDA')
    monkeypatch.delenv('ASH_NATIVE', raising=False)
    native._say_once.cache_clear()
    monkeypatch.setattr(tf.config.experimental, 'list_physical_devices', lambda kind: [kind])
    assert not native.is_wanted()
    assert 'built without CUDA' in caplog.text
    assert 'make native CUDA=1' in caplog.text


IMPORT_ALONE = """
import logging
logging.basicConfig()
import ash_tf1
import tensorflow.compat.v1 as tf
graph = tf.GraphDef()
with open('graph.pb', 'rb') as handle:
    graph.ParseFromString(handle.read())
y, = tf.import_graph_def(graph, return_elements=['y:0'])
print(tf.Session().run(y).tolist(), ash_tf1.native.mode())
"""


@pytest.mark.parametrize('setting', ['auto', '0', '1'])
def test_importing_the_package_is_enough_to_load_a_frozen_graph(library, tmp_path, setting):
    """It prints nothing and logs nothing; ASH_NATIVE is about new layers."""
    with tf.Graph().as_default() as graph:
        tf.identity(ops.apply_ash(tf.ones([2, 3]), [0.5], [1.0], implementation='native'), 'y')
        (tmp_path / 'graph.pb').write_bytes(graph.as_graph_def().SerializeToString())
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', IMPORT_ALONE], cwd=str(tmp_path),
                          env=dict(os.environ, PYTHONPATH=str(ROOT), ASH_NATIVE=setting,
                                   TF_CPP_MIN_LOG_LEVEL='2'),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    assert done.stdout == '{} {}\n'.format([[0.5] * 3] * 2, setting)


@pytest.mark.parametrize('case', WRONG)
def test_importing_is_silent_where_there_is_no_library(place, caplog, case):
    files, _ = WRONG[case]
    place(**files)
    native.register()
    assert not caplog.records


RELOADS = """
import importlib, os, shutil, sys
import ash_tf1
import numpy as np
import tensorflow.compat.v1 as tf

def forget():
    for name in [name for name in sys.modules if name.split('.')[0] == 'ash_tf1']:
        del sys.modules[name]

def gradients():
    import ash_tf1
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.constant([[1.0, 2.0, 4.0]])
        results = []
        for form in ('auto', 'recompute', 'plain'):
            with tf.variable_scope(form):
                results += tf.gradients(ash_tf1.ASH(x, form), x)
        session.run(tf.global_variables_initializer())
        values = session.run(results)
    np.testing.assert_allclose(values[0], values[2], rtol=1e-5)
    np.testing.assert_allclose(values[1], values[2], rtol=1e-5)

folder = os.path.dirname(ash_tf1.__file__)
gradients()
for name in ('gradients', 'recomputation', 'native', 'kernels.precision', 'kernels.statistics',
             'kernels.ordinary', 'kernels.fused', 'kernels.recomputed', 'kernels', 'ops'):
    importlib.reload(sys.modules['ash_tf1.' + name])
importlib.reload(ash_tf1)
gradients()
forget()
gradients()
forget()
shutil.copytree(folder, 'elsewhere/ash_tf1')
sys.path.insert(0, 'elsewhere')
gradients()
import ash_tf1
assert ash_tf1.__file__.startswith('elsewhere'), ash_tf1.__file__
print('right')
"""


def test_the_package_may_be_reloaded_and_come_by_a_second_path(tmp_path):
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', RELOADS], cwd=str(tmp_path),
                          env=dict(os.environ, PYTHONPATH=str(ROOT)),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    assert done.stdout.endswith('right\n'), done.stdout


def test_a_build_without_a_compiler_says_why_and_keeps_no_library_that_it_does_not_describe(
        tmp_path):
    (tmp_path / 'libash_ops.so').write_bytes(b'of before')
    code = ('import importlib.util, sys\n'
            'spec = importlib.util.spec_from_file_location("build", sys.argv[1])\n'
            'build = importlib.util.module_from_spec(spec)\n'
            'spec.loader.exec_module(build)\n'
            'build.build("tensorflow", sys.argv[2])\n')
    done = subprocess.run([sys.executable, '-c', code, str(ROOT / 'native/build.py'),
                           str(tmp_path)], env=dict(os.environ, PATH='', CXX='/nonexistent/c++'),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    assert 'BuildError: there is no C++ compiler' in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ['built.json']
    with pytest.raises(native.Unavailable, match='there is no C\\+\\+ compiler'):
        native.read_record(str(tmp_path / 'built.json'))
