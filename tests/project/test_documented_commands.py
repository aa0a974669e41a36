"""Every command of README.md, docs/ and the checkpoints' pages: run as it is written, or parsed."""
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.project.documents.reading import read_commands
from tests.serve.miniature_generator import write_artifact

ROOT = Path(__file__).resolve().parents[2]
HELPERS = ROOT / 'tests/project/documents'
TRAIN_PYTHON = os.environ.get('ASH_TRAIN_PYTHON', str(ROOT / '.venv/train/bin/python'))
CHECKPOINT = 'checkpoints/resnet20-cifar10-ash'

# Document -> what `python` is in it, if its commands are run here; or the test that runs them.
RUN = {
    'README.md': None,
    'docs/legacy-checkpoints.md': None,
    'docs/deploying.md': 'serve',
    'docs/photos.md': None,
    'docs/generation.md': None,
    'checkpoints/dcgan-celeba-ash/README.md': 'train',
    f'{CHECKPOINT}/README.md': 'train',
    'docs/extending.md': 'tests/project/test_extending.py',
    'docs/serving.md': 'tests/serving/test_documentation.py',
    'docs/legacy.md': 'tests/project/test_convert.py',
}
# What is not run, by how it begins, and why. `test_what_is_not_run_is_parsed` does the rest.
NOT_RUN = {
    'make image-test': 'builds five images: 12 minutes, as root',
    'make cuda-harness': 'needs a GPU',
    'make': 'sets environments up, or runs other tests: minutes',
    '.venv/serving/bin/python tests/serving/load.py': 'takes minutes, and measures',
    'tools/measure_samples.py': 'needs three runs of 100 epochs; tests/train/measuring runs it',
    'docker': 'needs Docker; `make image-test` runs the images by buildah',
    'nvidia-smi': 'needs a GPU',
    'kubectl': 'needs a cluster',
    'MODEL=': 'is for Docker',
    'export': 'is for Docker',
    'mkdir -p runs data': 'is for Docker',
    'mkdir -p untrusted': 'is for Docker',
    'train=': 'is for Docker',
    '.venv/train/bin/tensorboard': 'is a server, which runs until it is stopped',
    'g++': 'needs the C++ package of onnxruntime',
    './classify': 'is what that compiler makes',
    'python3 native/tests/run_check.py': 'takes minutes; tests/project/test_native_kernels.py does',
    'pipx': 'downloads a tool and a list of weaknesses',
}

needs_training = pytest.mark.skipif(not Path(TRAIN_PYTHON).exists(),
                                    reason='needs the training environment: make setup')


def documents():
    return ['README.md', 'CONTRIBUTING.md', *(str(path.relative_to(ROOT)) for path in sorted(
        [*(ROOT / 'docs').glob('*.md'), *(ROOT / 'checkpoints').glob('*/README.md')]))]


COMMANDS = [command for document in documents() for command in read_commands(ROOT, document)]


@pytest.mark.fast
def test_the_readme_sets_up_what_its_commands_need_first():
    texts = [command.text for command in COMMANDS if command.document == 'README.md']
    first = next(i for i, text in enumerate(texts) if re.search(r'\.venv/|\$python', text))
    assert any(text.startswith('make setup') for text in texts[:first])


def reason_not_to_run(command):
    return next((reason for start, reason in NOT_RUN.items() if start in command.text
                 and (command.text.startswith(start) or start.startswith('tools/'))), None)


def is_tool(command):
    return any(re.fullmatch(r'tools/\w+\.py', word) for word in command.words)


@pytest.mark.fast
def test_each_command_is_run_or_has_a_reason():
    assert len(COMMANDS) > 80
    for command in COMMANDS:
        assert reason_not_to_run(command) or command.document in RUN, command
    for document, how in RUN.items():
        assert any(command.document == document and not reason_not_to_run(command)
                   for command in COMMANDS), document
        if how and how.endswith('.py'):
            assert document in (ROOT / how).read_text(encoding='utf-8')
    for start in NOT_RUN:
        assert any(start in command.text for command in COMMANDS), start


def tools_of(commands):
    """(document and line, name of the tool, its arguments) of commands that run a tool."""
    for command in commands:
        words = [re.sub(r'^\$\w+$', 'cpu', word) for word in command.words]
        for place, word in enumerate(words):
            if match := re.fullmatch(r'tools/(\w+)\.py', word):
                end = next((i for i in range(place, len(words)) if words[i] in '>|;&'), len(words))
                yield f'{command.document}:{command.line}', match[1], words[place + 1:end]


@pytest.mark.fast
def test_tools_of_the_modern_side_take_their_arguments(capsys):
    found = [(place, name, arguments) for place, name, arguments in tools_of(COMMANDS)
             if (ROOT / f'ash_onnx/commands/{name}.py').exists()]
    assert len(found) > 15
    for place, name, arguments in found:
        try:
            module = importlib.import_module(f'ash_onnx.commands.{name}')
            module.build_parser().parse_args(arguments)
        except SystemExit:
            pytest.fail(f'{place}: {capsys.readouterr().err}')


PARSE = """
import importlib, json, sys
for place, name, arguments in json.load(sys.stdin):
    module = importlib.import_module('ash_tf1.commands.' + name)
    module.run = lambda parser, function, argv: parser.parse_args(argv)
    sys.argv = [place]
    module.main(arguments)
"""


@needs_training
@pytest.mark.fast
def test_tools_of_the_train_side_take_their_arguments():
    found = [(place, name, arguments) for place, name, arguments in tools_of(COMMANDS)
             if (ROOT / f'ash_tf1/commands/{name}.py').exists()]
    assert len(found) > 40
    done = subprocess.run([TRAIN_PYTHON, '-W', 'ignore', '-c', PARSE], input=json.dumps(found),
                          cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.fast
def test_what_is_not_run_is_parsed():
    """make finds its target, Docker's service and target exist, a script is there."""
    targets = set(re.findall(r'^([a-z-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE))
    services = set(yaml.safe_load((ROOT / 'compose.yaml').read_text())['services'])
    stages = set(re.findall(r'^FROM \S+ AS (\S+)', (ROOT / 'Dockerfile').read_text(), re.MULTILINE))
    for command in filter(reason_not_to_run, COMMANDS):
        words = command.words
        if words[0] == 'make':
            assert words[1] in targets, command
        elif words[:3] == ['docker', 'compose', 'run']:
            service = next(word for word in words[4:] if re.fullmatch(r'\$?[a-z-]+', word)
                           and not word.startswith('-'))
            assert service in services or service in ('$train', '$serve'), command
        elif '--target' in words:
            assert words[words.index('--target') + 1] in stages, command
        elif words[0].endswith('python') or words[0] == 'python3':
            assert (ROOT / words[1]).exists(), command
        elif 'requirements/' in command.text:
            assert (ROOT / words[-1]).exists(), command


@pytest.fixture
def workplace(tmp_path):
    """A folder with what the documents name: tools, environments, miniature data."""
    def write_script(path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\n{text}\n')
        path.chmod(0o755)
    for name in ('tools', 'checkpoints'):
        (tmp_path / name).symlink_to(ROOT / name)
    write_script(tmp_path / '.venv/train/bin/python',
                 f'exec {TRAIN_PYTHON} {HELPERS}/python.py "$@"')
    write_script(tmp_path / '.venv/serve/bin/python', f'exec {sys.executable} "$@"')
    done = subprocess.run([TRAIN_PYTHON, '-W', 'ignore', HELPERS / 'files.py'], cwd=tmp_path,
                          env={**os.environ, 'PYTHONPATH': str(ROOT)}, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    shutil.copytree(ROOT / CHECKPOINT, tmp_path / 'artifacts/net')
    write_artifact(tmp_path / 'artifacts/gan')
    return tmp_path


@needs_training
@pytest.mark.slow
@pytest.mark.timeout(3600)  # a minute and a half of one core, for all documents
@pytest.mark.parametrize('document', [name for name, how in RUN.items()
                                      if not (how and how.endswith('.py'))])
def test_the_commands_of_a_document_run_as_they_stand(workplace, document):
    """Nets are thin, runs have 20 steps at most, and data sets are miniatures."""
    commands = [command for command in COMMANDS
                if command.document == document and not reason_not_to_run(command)]
    if document == 'docs/deploying.md':  # int8 is chosen and judged by images of what the net knows
        for name in ('photos', 'test-images'):
            shutil.rmtree(workplace / name)
            shutil.copytree(ROOT / CHECKPOINT / 'samples', workplace / name)
    script = ['set -e']
    if RUN[document]:
        script.append(f'PATH={workplace}/.venv/{RUN[document]}/bin:$PATH')
    for command in commands:
        script += [f"echo 'AT {command.line}' >&2", command.text]
    (workplace / 'script').write_text('\n'.join(script), encoding='utf-8')
    done = subprocess.run(['bash', 'script'], cwd=workplace, text=True, capture_output=True,
                          env={**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3'})
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count('AT ') == len(commands)
    for name in re.findall(r'^(artifacts/\S+): \d+\.\d+ MB', done.stdout, re.MULTILINE):
        assert (workplace / name / 'model.onnx').exists()
    assert 'FAILED' not in done.stdout
