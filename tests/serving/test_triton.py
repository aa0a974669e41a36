"""Model repositories for Triton: parsed by its own protobuf, and run by a real tritonserver."""

import re
import shutil
import subprocess
import sys
import urllib.request

import artifacts
import numpy as np
import pytest
import triton
import tritonclient.grpc as grpcclient
import tritonclient.http as httpclient
from conftest import RESNET
from endpoint import ROOT
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup
from tritonclient.utils import InferenceServerException

import ash_onnx

NAME = RESNET.name


def export(*arguments):
    done = subprocess.run([sys.executable, ROOT / 'tools/export_triton.py', *map(str, arguments)],
                          capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def config(repository, model=NAME):
    return text_format.Parse((repository / model / 'config.pbtxt').read_text(), ModelConfig())


@pytest.fixture(scope='module')
def repository(tmp_path_factory, folders):
    path = tmp_path_factory.mktemp('triton') / 'repository'
    status, lines, _ = export(RESNET, folders['keras'], folders['graph'], path)
    assert status == 0
    assert [line.rsplit('/', 2)[1:] for line in lines] == [
        [NAME, '1'], [f'{NAME}_decode', '1'], [f'{NAME}_image', '1'], ['keras', '1'],
        ['graph', '1']]
    return path


def test_the_configs_are_what_triton_reads(repository):
    found = config(repository)
    assert (found.name, found.platform, found.max_batch_size) == (NAME, 'onnxruntime_onnx', 64)
    assert [list(tensor.dims) for tensor in found.input] == [[32, 32, 3]]
    assert {tensor.name: tensor.label_filename for tensor in found.output} == {
        'logits': 'labels.txt', 'probabilities': 'labels.txt'}
    assert [(group.kind, group.count) for group in found.instance_group] == [
        (ModelInstanceGroup.KIND_CPU, 1)]
    assert found.parameters['intra_op_thread_count'].string_value == '1'
    assert not found.HasField('dynamic_batching') and found.model_warmup[0].batch_size == 1
    labels = (repository / NAME / 'labels.txt').read_text().splitlines()
    assert labels == list(ash_onnx.load_model(RESNET).labels)
    image = config(repository, f'{NAME}_image')
    assert [step.model_name for step in image.ensemble_scheduling.step] == [f'{NAME}_decode', NAME]
    graph = config(repository, 'graph')
    assert graph.max_batch_size == 0 and [list(value.dims) for value in graph.input] == [
        [-1, 2]] * 8


def test_a_gpu_has_batching_and_tensorrt_its_accelerator(tmp_path):
    for provider in ('cuda', 'tensorrt'):
        assert export(RESNET, tmp_path / provider, '--provider', provider, '--instances', '2',
                      '--max-batch', '16')[0] == 0
        found = config(tmp_path / provider)
        assert found.HasField('dynamic_batching') and found.max_batch_size == 16
        assert [(group.kind, group.count) for group in found.instance_group] == [
            (ModelInstanceGroup.KIND_GPU, 2)]
        accelerators = found.optimization.execution_accelerators.gpu_execution_accelerator
        assert [one.name for one in accelerators] == ['tensorrt'] * (provider == 'tensorrt')
        readme = (tmp_path / provider / 'README.md').read_text()
        assert '--gpus all' in readme and 'NVIDIA_TF32_OVERRIDE=0' in readme


def test_the_fused_model_comes_with_its_library(tmp_path):
    """The file that Triton would open, in an onnxruntime that registers the library as it does."""
    import onnxruntime
    assert export(RESNET, tmp_path / 'fused', '--fused', '--mount', tmp_path / 'fused')[0] == 0
    library, = config(tmp_path / 'fused').model_operations.op_library_filename
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(library)
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(tmp_path / 'fused' / NAME / '1/model.onnx', options,
                                           providers=['CPUExecutionProvider'])
    pixels = np.random.RandomState(0).randint(0, 256, [4, 32, 32, 3]).astype(np.uint8)
    expected, _ = ash_onnx.load_model(RESNET, fused=False).run(pixels)
    np.testing.assert_allclose(session.run(['logits'], {'images': pixels})[0], expected, atol=1e-4)
    assert b'Ash' in (tmp_path / 'fused' / NAME / '1/model.onnx').read_bytes()


def files(folder):
    return {path.relative_to(folder): path.read_bytes()
            for path in folder.rglob('*') if path.is_file()}


def test_versions_are_added_and_older_ones_stay(tmp_path, folders):
    repository = tmp_path / 'repository'
    assert export(folders['colours'], repository)[0] == 0
    before = files(repository)
    assert export(folders['colours'], repository)[1][0].endswith('colours/2')
    assert export(folders['colours'], repository, '--version', '7')[1][0].endswith('colours/7')
    assert export(folders['keras'], repository)[0] == 0
    after = files(repository)
    assert {path: data for path, data in after.items() if path in before
            and path.name != 'README.md'} == {
        path: data for path, data in before.items() if path.name != 'README.md'}
    assert {path.name for path in (repository / 'colours').iterdir() if path.is_dir()} == {
        '1', '2', '7'}
    assert '`keras`' in (repository / 'README.md').read_text()


@pytest.mark.parametrize(('arguments', 'words'), [
    (['no/such'], 'no/such: no such artifact'), (['{colours}', '{colours}'], 'rename a folder'),
    (['{colours}', '--fused'], 'has no ASH to fuse'),
    (['{colours}', '--max-batch', '0'], 'max_batch must be an integer from 1'),
    (['{colours}', '--version', '0'], 'version must be a whole number from 1'),
    (['{colours}', '--fused', '--provider', 'tensorrt'], 'TensorRT takes no fused ASH')])
def test_what_cannot_be_written_is_one_line_and_nothing(tmp_path, folders, arguments, words):
    filled = [text.format(**folders) for text in arguments]
    paths = [text for text in filled if '/' in text]
    options = filled[len(paths):]
    status, _, lines = export(*paths, tmp_path / 'repository', *options)
    assert (status, len(lines)) == (2, 1) and words in lines[0]
    assert not (tmp_path / 'repository').exists()


def test_a_version_that_is_there_and_another_config_are_refused(tmp_path, folders):
    repository = tmp_path / 'repository'
    assert export(folders['colours'], repository)[0] == 0
    before = files(repository)
    for options, words in ((['--version', '1'], 'exists: give another --version'),
                           (['--max-batch', '3'], 'is another one than this version needs')):
        status, _, lines = export(folders['colours'], repository, *options)
        assert status == 2 and words in lines[-1]
    assert files(repository) == before


@pytest.fixture(scope='module')
def server(repository, tmp_path_factory):
    folder = tmp_path_factory.mktemp('tritonserver')
    shutil.rmtree(folder / 'backends', ignore_errors=True)
    with triton.Triton(triton.stand_in(repository, folder / 'repository'), folder) as started:
        assert started.wait(), started.log.read_text()[-5000:]
        yield started


def test_the_real_server_takes_the_configs_and_lacks_only_the_backend(repository, tmp_path):
    only = tmp_path / 'only'
    shutil.copytree(repository / NAME, only / NAME)
    with triton.Triton(only, tmp_path) as started:
        started.wait(60)
    text = started.log.read_text()
    assert "unable to find backend library for backend 'onnxruntime'" in text
    assert not re.search(r'error.*(config|pbtxt|label)', text, re.IGNORECASE)


@pytest.mark.parametrize('batch', [1, 32])
@pytest.mark.parametrize('module', [httpclient, grpcclient])
def test_its_answers_are_those_of_onnxruntime(server, module, batch):
    pixels = np.random.RandomState(batch).randint(0, 256, [batch, 32, 32, 3]).astype(np.uint8)
    port = server.http if module is httpclient else server.grpc
    with module.InferenceServerClient(f'127.0.0.1:{port}') as client:
        tensor = module.InferInput('images', list(pixels.shape), 'UINT8')
        tensor.set_data_from_numpy(pixels)
        found = client.infer(NAME, [tensor])
    expected = ash_onnx.load_model(RESNET, threads=1, fused=False).run(pixels)
    for name, array in zip(('logits', 'probabilities'), expected, strict=True):
        np.testing.assert_array_equal(found.as_numpy(name), array)


@pytest.mark.parametrize('module', [httpclient, grpcclient])
def test_its_ensemble_answers_as_the_endpoint_does(server, endpoint, module):
    """Labels, indices and scores of image files: the same client, the same code, two servers."""
    paths = sorted(RESNET.glob('samples/*/*.png'))[:6]
    data = np.empty([len(paths), 1], object)
    data[:, 0] = [path.read_bytes() for path in paths]
    answers = []
    for one in (server, endpoint):
        port = one.http if module is httpclient else one.grpc
        with module.InferenceServerClient(f'127.0.0.1:{port}') as client:
            tensor = module.InferInput('image', list(data.shape), 'BYTES')
            tensor.set_data_from_numpy(data)
            output = module.InferRequestedOutput('probabilities', class_count=3)
            answers.append(client.infer(f'{NAME}_image', [tensor], outputs=[output]).as_numpy(
                'probabilities'))
    rows = [[item.decode().split(':') for item in answer.reshape(len(paths), 3).ravel()]
            for answer in answers]
    for ours, theirs in zip(*rows, strict=True):
        assert ours[1:] == theirs[1:]
        assert float(ours[0]) == pytest.approx(float(theirs[0]), abs=1e-5)  # fused and portable


def test_a_file_that_is_no_image_is_an_error_in_words(server):
    data = np.array([[b'no image']], object)
    with httpclient.InferenceServerClient(f'127.0.0.1:{server.http}') as client:
        tensor = httpclient.InferInput('image', [1, 1], 'BYTES')
        tensor.set_data_from_numpy(data)
        with pytest.raises(InferenceServerException, match='neither a JPEG nor a PNG image'):
            client.infer(f'{NAME}_image', [tensor])


def test_it_has_metrics(server):
    text = urllib.request.urlopen(f'http://127.0.0.1:{server.metrics}/metrics').read().decode()
    assert f'nv_inference_request_success{{model="{NAME}"' in text


def test_scalars_and_open_sizes_have_configs(tmp_path):
    folder = artifacts.endless(tmp_path / 'scalars')
    assert export(folder, tmp_path / 'repository')[0] == 0
    found = config(tmp_path / 'repository', 'scalars')
    assert [(list(value.dims), value.HasField('reshape')) for value in found.input] == [
        ([1], True)] * 2
