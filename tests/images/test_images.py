"""What a user does with the images, and what the images must not hold."""
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tests.images.buildah import PROJECT
from tests.images.conftest import RUNS, run_demo, say

COMPOSE = yaml.safe_load((PROJECT / 'compose.yaml').read_text())
COMPILERS = (r'(.*/)?(bin|libexec|lib/gcc/.*)/(.*-)?'
             r'(gcc|g\+\+|cc|c\+\+|clang|ld|make|nvcc|cicc|cc1)(-\d+)?')
# Megabytes over the base, a fifth above what was measured; the GPU's libraries are most of it.
LARGEST = {'train': 2450, 'train_cpu': 1350, 'train_ngc': 570, 'serve': 4450, 'serve_cpu': 760}


@pytest.mark.parametrize('command', [
    ['hadolint', 'Dockerfile'],
    ['check-jsonschema', '--builtin-schema', 'vendor.compose-spec', 'compose.yaml']])
def test_the_sources_pass_their_linters(command):
    tool = PROJECT / '.venv/serve/bin' / command[0]
    subprocess.run([tool, *command[1:]], cwd=PROJECT, check=True)


def name_of(image):
    return image.name.split('/')[1]


def test_runs_as_a_user_who_is_not_root(image):
    assert image.run('id', '-u') == '1000'
    assert image.config['User'] == '1000'
    for folder in ('/runs', '/data'):
        image.run('touch', f'{folder}/mine', volumes=())
    assert image.run('touch', '/opt/ash/mine', check=False).returncode


def test_keeps_runs_and_data_on_volumes_and_starts_by_an_init(image):
    assert set(image.config['Volumes']) == {'/runs', '/data'}
    assert image.config['Entrypoint'][:2] == ['tini', '--']
    assert image.config['Labels']['org.opencontainers.image.licenses'] == 'Apache-2.0'


def test_says_how_to_use_it(image):
    if name_of(image).startswith('serve'):
        done = image.run(check=False)
        assert done.returncode == 2 and '/model: no such artifact folder' in done.stderr
    else:
        assert 'usage: ' in image.run()


def test_holds_no_compiler(image):
    assert not image.find(COMPILERS)


def test_holds_no_cache_and_no_package_list(image):
    assert not image.find(r'(root|home/ash)/\.cache/.*', r'var/lib/apt/lists/.*',
                          r'var/cache/apt/.*(?<!/lock)', r'tmp/.*')


def test_holds_what_it_runs_and_nothing_else_of_the_project(image):
    side = 'ash_onnx' if name_of(image).startswith('serve') else 'ash_tf1'
    assert {path.split('/')[2] for path in image.find('opt/ash/.*')} == {
        side, 'ash_distribution', 'tools'}
    assert not image.find(r'opt/ash/.*(test|\.cc|\.cu|\.sh).*')


def test_is_as_small_as_it_was(image, lab):
    size, base = lab.sizes[name_of(image)]
    assert (size - base) / 1e6 < LARGEST[name_of(image)]


@pytest.mark.parametrize(('fixture', 'gpu'), [('train', True), ('train_cpu', False)])
def test_has_the_tensorflow_of_its_device(fixture, gpu, request):
    image = request.getfixturevalue(fixture)
    said = image.run('python', '-W', 'ignore', '-c', 'import tensorflow as tf; '
                     'print(tf.__version__, tf.test.is_built_with_cuda())')
    assert said.splitlines()[-1] == f'1.15.5 {gpu}'
    built = json.loads((image.root / 'opt/ash/ash_tf1/native/built.json').read_text())
    assert built['cuda'] is gpu


def test_ngc_keeps_the_tensorflow_and_numpy_of_its_base(train_ngc):
    said = train_ngc.run('python', '-W', 'ignore', '-c', 'import numpy, onnx, tensorflow; '
                         'print(numpy.__file__, tensorflow.__file__, onnx.__file__)')
    numpy, tensorflow, onnx = said.splitlines()[-1].split()
    assert numpy.startswith('/usr/') and tensorflow.startswith('/usr/')
    assert onnx.startswith('/opt/packages/')
    built = json.loads((train_ngc.root / 'opt/ash/ash_tf1/native/built.json').read_text())
    assert built['cuda'] is True


def test_ngc_packages_install_and_load_on_its_python(tmp_path):
    """On Python 3.8, which the stand-in is not, with the numpy that it is built for."""
    pyenv = Path(os.environ.get('PYENV_ROOT', Path.home() / '.pyenv'))
    pythons = [shutil.which('python3.8') or '/', *pyenv.glob('versions/3.8.*/bin/python3.8')]
    python = next((path for path in pythons if _starts(path)), None)
    if python is None:
        pytest.skip('there is no Python 3.8, on the PATH or of pyenv')
    packages = tmp_path / 'packages'
    for what in (['--require-hashes', '-r', PROJECT / 'requirements/train-ngc.txt'],
                 ['numpy==1.22.2']):
        subprocess.run([PROJECT / '.venv/serve/bin/uv', 'pip', 'install', '-q', '--python', python,
                        '--target', packages, '--no-deps', '--only-binary', ':all:', *what],
                       check=True)
    code = ('import cv2, google.protobuf, matplotlib.pyplot, onnx, scipy.stats, tqdm\n'
            'from sklearn.datasets import load_digits\n'
            'assert load_digits().images.shape == (1797, 8, 8)')
    subprocess.run([python, '-c', code], check=True,
                   env={'PYTHONPATH': str(packages), 'MPLBACKEND': 'agg'})


def test_the_demo_trains_and_exports(artifact, runs):
    top1 = max(float(line.split(',')[4])
               for line in (runs / 'digits/run/metrics.csv').read_text().splitlines()[1:]
               if ',validation,' in line)
    say(f'train: {100 * top1:.1f} % on digits')
    assert top1 > 0.9
    assert (runs / 'digits/run/learning_curve.png').stat().st_size > 1000


@pytest.mark.parametrize('fixture', ['train_ngc', 'train_cpu'])
def test_the_demo_trains_and_exports_in_the_others(fixture, request, runs, serve_cpu):
    image = request.getfixturevalue(fixture)
    run_demo(image, runs, fixture, '--epochs', '1')
    serve_cpu.run('python', 'tools/verify_onnx.py', f'/runs/{fixture}/artifact',
                  volumes=[(runs, '/runs')])


@pytest.mark.parametrize('fixture', ['serve', 'serve_cpu'])
def test_verifies_and_predicts_without_tensorflow(fixture, request, artifact, runs):
    image = request.getfixturevalue(fixture)
    volumes = [(runs, '/runs')]
    said = image.run('python', 'tools/verify_onnx.py', artifact, '--fused', 'yes', volumes=volumes)
    assert re.search(r'^passed on cpu, \d+ ASH fused$', said, re.MULTILINE)
    images = [f'/runs/{path.relative_to(runs)}' for path in runs.glob('digits/images/*/*.png')]
    said = image.run('python', 'tools/predict.py', artifact, *images, '--top', '1',
                     '--save', f'/runs/{fixture}.png', volumes=volumes)
    answers = re.findall(r'images/(\d)/\d+\.png +(\d)', said)
    assert len(answers) == 20 and sum(label == guess for label, guess in answers) >= 17
    assert (runs / f'{fixture}.png').stat().st_size > 1000
    assert image.run('python', '-c', 'import tensorflow', check=False).returncode


@pytest.mark.parametrize(('fixture', 'gpu'), [('serve', True), ('serve_cpu', False)])
def test_serve_has_the_fused_op_of_its_device(fixture, gpu, request):
    image = request.getfixturevalue(fixture)
    built = json.loads((image.root / 'opt/ash/ash_onnx/native/built.json').read_text())
    assert built['cuda'] is gpu


def test_serve_brings_the_cuda_libraries_of_its_onnxruntime(serve):
    said = serve.run('python', '-c', '\n'.join([
        'import ctypes, pathlib, onnxruntime',
        'onnxruntime.preload_dlls()',
        'capi = pathlib.Path(onnxruntime.__file__).parent / "capi"',
        'ctypes.CDLL(str(capi / "libonnxruntime_providers_shared.so"), ctypes.RTLD_GLOBAL)',
        'ctypes.CDLL(str(capi / "libonnxruntime_providers_cuda.so"))',
        'print(onnxruntime.__version__)']))
    assert said.splitlines()[-1] == '1.26.0'


def test_serve_without_a_gpu_says_so(serve, artifact, runs):
    done = serve.run('python', 'tools/verify_onnx.py', artifact, '--provider', 'cuda',
                     volumes=[(runs, '/runs')], check=False)
    assert done.returncode == 2
    assert "provider 'cuda'" in done.stderr and 'driver' in done.stderr


def test_ctrl_c_ends_a_run_saved(train, runs):
    """As docker passes it on: to the init alone."""
    volumes = [(runs, '/runs')]
    process = train.start('python', 'tools/train.py', '--recipe', 'digits', '--epochs', '500',
                          '--run-dir', '/runs/stopped', volumes=volumes)
    metrics = runs / 'stopped/metrics.csv'
    _wait_for(lambda: metrics.exists() and metrics.read_text().count('\n') > 2, process)
    os.kill(train.find_init('/runs/stopped'), signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert '--resume' in said
    assert (runs / 'stopped/checkpoint').exists()


def test_another_user_may_run_it(train, runs):
    theirs = runs / 'theirs'
    theirs.mkdir(mode=0o777)
    theirs.chmod(0o777)
    train.run('python', 'tools/train.py', '--recipe', 'digits', '--steps', '2', '--run-dir',
              '/runs/theirs/run', user='4321:4321', volumes=[(runs, '/runs')])
    assert (theirs / 'run/checkpoint').stat().st_uid == 4321


def test_a_folder_that_is_not_the_users_is_named(train):
    foreign = RUNS / 'foreign'
    foreign.mkdir(exist_ok=True)
    done = train.run('python', 'tools/train.py', '--recipe', 'digits', '--run-dir', '/runs/run',
                     volumes=[(foreign, '/runs')], check=False)
    assert done.returncode == 2
    said = [line for line in done.stderr.splitlines() if 'exit' not in line]  # buildah's own
    assert len(said) == 1 and '/runs/run' in said[0] and 'Permission denied' in said[0]


def test_tensorboard_is_healthy_once_it_serves(train_cpu, runs, artifact):
    service = COMPOSE['services']['tensorboard']
    check = service['healthcheck']['test'][1:]
    command = [word.replace('0.0.0.0', '127.0.0.1') for word in service['command']]
    assert train_cpu.run(*check, check=False).returncode
    process = train_cpu.start(*command, volumes=[(runs, '/runs')])
    _wait_for(lambda: not train_cpu.run(*check, check=False).returncode, process)
    os.kill(train_cpu.find_init('tensorboard'), signal.SIGTERM)
    process.wait(timeout=60)


@pytest.mark.parametrize('fixture', ['serve', 'serve_cpu'])
def test_the_endpoint_is_healthy_and_ends_when_told(fixture, request, artifact, runs):
    image = request.getfixturevalue(fixture)
    check = COMPOSE['services']['serve-cpu']['healthcheck']['test'][1:]
    command = [word.replace('0.0.0.0', '127.0.0.1') for word in image.config['Cmd']]
    assert image.run(*check, check=False).returncode
    folder = runs / Path(artifact).relative_to('/runs')
    process = image.start(*command, volumes=[(folder, '/model')])
    _wait_for(lambda: not image.run(*check, check=False).returncode, process)
    os.kill(image.find_init('/model'), signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said


def _wait_for(condition, process, seconds=240):
    """Waits until a condition holds; ends the process and fails where it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.5)
            continue
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail(f'waited in vain; it said:\n{process.communicate()[0]}')


def _starts(python):
    """Whether an interpreter runs; a shim of pyenv may not."""
    try:
        return subprocess.run([python, '-c', ''], capture_output=True).returncode == 0
    except OSError:
        return False
