"""The Dockerfile, compose.yaml and their documentation agree; `make image-test` builds them."""
import json
import re
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.fast

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / 'Dockerfile').read_text()
SERVICES = yaml.safe_load((ROOT / 'compose.yaml').read_text())['services']
DOCS = {path.name: path.read_text()
        for path in [ROOT / 'README.md', *(ROOT / 'docs').glob('*.md')]}
FINAL = ['train', 'train-ngc', 'serve']


def stages():
    """Name -> text of each stage."""
    parts = re.split(r'^FROM ', DOCKERFILE, flags=re.MULTILINE)[1:]
    return {re.match(r'\S+ AS (\S+)', part).group(1): part for part in parts}


def build_arguments():
    return set(re.findall(r'^ARG (\w+)', DOCKERFILE, re.MULTILINE))


def test_each_command_is_in_the_images_of_its_side():
    copied = {stage: set(re.findall(r'\btools/(\w+)\.py', text))
              for stage, text in stages().items()}
    sides = {'_train_side': copied['train-tools'], '_serve_side': copied['serve']}
    for path in (ROOT / 'tools').glob('*.py'):
        side = path.stem if path.stem in sides else re.search(
            r'^import (_\w+_side)', path.read_text(), re.MULTILINE).group(1)
        assert path.stem in sides[side], f'{path.name} is not in the image'
    assert not copied['train-tools'] & copied['serve']
    for stage in ('train', 'train-ngc'):
        assert 'COPY --from=train-tools /tools tools' in stages()[stage]


@pytest.mark.parametrize('stage', FINAL)
def test_images_run_as_a_number_by_an_init_on_volumes(stage):
    text = stages()[stage]
    assert re.search(r'^USER 1000$', text, re.MULTILINE)  # Kubernetes holds no name for not root
    assert 'ENTRYPOINT ["tini", "--"' in text and 'VOLUME ["/runs", "/data"]' in text


@pytest.mark.parametrize('stage', FINAL)
def test_nothing_is_compiled_in_a_final_stage(stage):
    assert not re.search(r'g\+\+|build\.py|pip install', stages()[stage])


def test_everything_is_installed_by_hash():
    commands = re.split(r'&&|\n', DOCKERFILE.replace('\\\n', ' '))
    installs = [command for command in commands if re.search(r'pip .*install ', command)]
    assert len(installs) == 4 and all('--require-hashes' in install for install in installs)


@pytest.mark.parametrize('name', SERVICES)
def test_a_service_builds_what_the_dockerfile_has(name):
    build = SERVICES[name]['build']
    assert build['target'] in FINAL
    assert set(build.get('args', {})) <= build_arguments()
    assert SERVICES[name]['user'] == '${ASH_UID:-1000}:${ASH_GID:-1000}'


@pytest.mark.parametrize('name', SERVICES)
def test_a_service_has_a_gpu_where_its_image_is_for_one(name):
    cpu = SERVICES[name]['build'].get('args', {}).get('DEVICE') == 'cpu'
    assert cpu is ('deploy' not in SERVICES[name])
    assert cpu is SERVICES[name]['image'].endswith('-cpu')


def test_what_listens_is_offered_to_this_machine_alone_and_checked():
    listening = [service for service in SERVICES.values() if 'ports' in service]
    assert listening == [SERVICES[name] for name in ('tensorboard', 'serve', 'serve-cpu')]
    assert all(port.startswith('127.0.0.1:')
               for service in listening for port in service['ports'])
    assert all(service['healthcheck']['test'] for service in listening)


def test_the_serve_image_is_the_endpoint():
    """Within the container on all addresses, so that its ports can be published."""
    command = json.loads(re.search(r'^CMD (.*)', stages()['serve'], re.MULTILINE).group(1))
    assert command == ['python', 'tools/serve.py', '/model', '--host', '0.0.0.0']
    assert SERVICES['serve']['command'] == [*command, '--provider', 'cuda']
    for name in ('serve', 'serve-cpu'):
        assert [volume for volume in SERVICES[name]['volumes'] if volume.endswith(':/model:ro')]


@pytest.mark.parametrize('page', DOCS)
def test_documentation_names_what_there_is(page):
    text = re.sub(r'\\\n\s*', '', DOCS[page]).replace('-e TF_CPP_MIN_LOG_LEVEL=0 ', '')
    services = set(re.findall(r'docker compose run --rm (\S+?)(?=[\s`])', text))
    assert services <= {*SERVICES, '$train', '$serve'}
    assert set(re.findall(r'--target (\S+)', text)) <= set(FINAL)
    assert set(re.findall(r'--build-arg (\w+)', text)) <= build_arguments()
    assert set(re.findall(r'\bash-tf1:([a-z-]+)', text)) <= {
        service['image'].split(':')[1] for service in SERVICES.values()}
    for path in re.findall(r'python (tools/\w+\.py)', text):
        assert (ROOT / path).exists(), path


def test_every_service_is_documented():
    text = DOCS['docker.md']
    assert not [name for name in SERVICES if not re.search(
        rf'(docker compose (run --rm|up -d) |\bserve=){name}[\s`]', text)]
