"""deploy/ is what Kubernetes and KServe take, and says of the endpoint what is true."""

import json
import re
import subprocess
import sys

import kubernetes_validate
import pytest
import yaml
from endpoint import ROOT

DEPLOY = ROOT / 'deploy'
FILES = {path.name: list(yaml.safe_load_all(path.read_text())) for path in DEPLOY.glob('*.yaml')}
# Walks a document by the fields of the SDK's classes. In a process of its own, since KServe and
# tritonclient cannot be imported into one.
CHECK = r"""
import json, re, sys
import kserve.models, kubernetes.client
PLAIN = {'str': str, 'int': int, 'bool': bool, 'float': (int, float), 'object': object}

def check(value, kind, where):
    inner = re.fullmatch(r'[Ll]ist\[(.*)\]|[Dd]ict[(\[]str, ?(.*)[)\]]', kind)
    if inner and inner[1]:
        assert isinstance(value, list), where
        for item in value:
            check(item, inner[1], where)
    elif inner:
        assert isinstance(value, dict), where
        for key, item in value.items():
            check(item, inner[2], f'{where}.{key}')
    elif kind in PLAIN:
        assert isinstance(value, PLAIN[kind]), f'{where} is no {kind}'
    else:
        made = getattr(kserve.models, kind, None) or getattr(kubernetes.client, kind)
        kinds = {made.attribute_map[name]: kind for name, kind in made.openapi_types.items()}
        for key, item in value.items():
            assert key in kinds, f'{where} has no {key}'
            check(item, kinds[key], f'{where}.{key}')

check(json.load(sys.stdin), 'V1beta1InferenceService', 'it')
"""


def test_the_files_are_those_of_the_page():
    page = (ROOT / 'docs/serving.md').read_text()
    assert set(re.findall(r'deploy/(\S+\.yaml)', page)) == set(FILES)


@pytest.mark.parametrize('index', [0, 1])
def test_the_schemas_of_kubernetes(index):
    document = FILES['deployment.yaml'][index]
    kubernetes_validate.validate(document, '1.34', strict=True)
    broken = json.loads(json.dumps(document))
    broken['spec']['nothing'] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, '1.34', strict=True)


@pytest.mark.parametrize('name', ['kserve.yaml', 'kserve-triton.yaml'])
def test_the_classes_of_kserve_know_every_field(name):
    document, = FILES[name]
    broken = json.loads(json.dumps(document))
    broken['spec']['predictor']['minReplica'] = 1
    for wanted, sent in ((0, document), (1, broken)):
        done = subprocess.run([sys.executable, '-c', CHECK], input=json.dumps(sent), text=True,
                              capture_output=True)
        assert done.returncode == wanted, done.stderr
    assert 'it.spec.predictor has no minReplica' in done.stderr


def containers():
    yield FILES['deployment.yaml'][0]['spec']['template']['spec']['containers'][0]
    yield FILES['kserve.yaml'][0]['spec']['predictor']['containers'][0]


@pytest.mark.parametrize('container', containers(), ids=['deployment', 'kserve'])
def test_the_endpoint_s_arguments_and_probes_are_real(endpoint, container):
    command = container['args']
    assert command[:2] == ['python', 'tools/serve.py']
    help_text = subprocess.run([sys.executable, ROOT / 'tools/serve.py', '--help'], text=True,
                               capture_output=True).stdout
    assert all(word in help_text for word in command if word.startswith('--'))
    for probe in ('readinessProbe', 'livenessProbe'):
        assert endpoint.get(container[probe]['httpGet']['path'])[0] == 200
    assert container['securityContext']['allowPrivilegeEscalation'] is False


def test_the_pod_has_time_for_its_drain_and_grace():
    pod = FILES['deployment.yaml'][0]['spec']['template']['spec']
    command = pod['containers'][0]['args']
    assert pod['terminationGracePeriodSeconds'] > int(command[command.index('--drain') + 1]) + 10
