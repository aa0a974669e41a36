"""The locked sets: complete, hashed, tied to no index, and in step with what they were made of."""
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.fast

REQUIREMENTS = Path(__file__).resolve().parents[2] / 'requirements'
SETS = sorted(path.stem for path in REQUIREMENTS.glob('*.in'))


def locked(name):
    """The packages of a lock: name -> list of (version, number of hashes)."""
    packages = {}
    text = (REQUIREMENTS / f'{name}.txt').read_text()
    for entry in re.split(r'\n(?=[a-z0-9])', '\n' + text):
        match = re.match(r'\s*([a-z0-9._-]+)==([^\s;\\]+)', entry)
        if match:
            packages.setdefault(match.group(1), []).append(
                (match.group(2), len(re.findall(r'--hash=sha256:[0-9a-f]{64}', entry))))
    return packages


def wanted(name):
    """The requirements of a set's source, those it includes as well."""
    lines = [line.split('#')[0].strip() for line in
             (REQUIREMENTS / f'{name}.in').read_text().splitlines()]
    for line in filter(None, lines):
        if line.startswith('-r '):
            yield from wanted(Path(line[3:].strip()).stem)
        else:
            yield line


def wanted_names(name):
    """The packages that a set's source asks for."""
    return {re.match(r'[a-z0-9._-]+', requirement).group() for requirement in wanted(name)}


def asked_for_by_sources(name):
    """The packages of a lock that are there because a source asks for them, as the lock says."""
    text = (REQUIREMENTS / f'{name}.txt').read_text()
    entries = re.split(r'\n(?=[a-z0-9])', text)
    return {re.match(r'[a-z0-9._-]+', entry).group() for entry in entries
            if re.search(r'#\s+(via )?-r \S+\.in$', entry, re.MULTILINE)}


def versions(name):
    return {package: [version for version, _ in found] for package, found in locked(name).items()}


def test_there_is_a_lock_for_each_set():
    assert SETS == ['dev', 'pip', 'serve', 'serve-gpu', 'serving', 'serving-dev', 'serving-gpu',
                    'train', 'train-dev', 'train-gpu', 'train-ngc', 'triton']
    assert all((REQUIREMENTS / f'{name}.txt').exists() for name in SETS)


@pytest.mark.parametrize('name', SETS)
def test_every_locked_package_has_a_hash(name):
    packages = locked(name)
    assert len(packages) == len(re.findall(
        r'^[a-z0-9]', (REQUIREMENTS / f'{name}.txt').read_text(), re.MULTILINE)) - sum(
            len(found) - 1 for found in packages.values())
    assert not [package for package, found in packages.items()
                if any(count == 0 for _, count in found)]


@pytest.mark.parametrize('name', SETS)
def test_locks_name_no_index(name):
    text = (REQUIREMENTS / f'{name}.txt').read_text()
    assert not re.search(r'index-url|find-links|https?://|file:', text)


@pytest.mark.parametrize('name', SETS)
def test_a_lock_holds_what_its_source_asks_for(name):
    packages = versions(name)
    for requirement in wanted(name):
        package, relation, version = re.match(
            r'([a-z0-9._-]+)(?:\[.*\])?(==|<)?([^;]*)', requirement).groups()
        assert package in packages, f'{name}.txt lacks {requirement}: make lock'
        if relation == '==':
            assert packages[package] == [version], f'{requirement}: make lock'
        elif relation == '<':
            assert all(_key(found) < _key(version) for found in packages[package]), requirement


def _key(version):
    return [int(part) for part in version.split('.')]


@pytest.mark.parametrize('name', SETS)
def test_a_lock_holds_nothing_that_its_source_no_longer_asks_for(name):
    assert asked_for_by_sources(name) == wanted_names(name), 'make lock'


@pytest.mark.parametrize('name', ['train-gpu', 'train-ngc', 'train-dev'])
def test_the_sets_of_the_train_side_have_the_same_versions(name):
    ours, theirs = versions('train'), versions(name)
    alone = {'train-gpu': {'tensorflow-gpu'}, 'train-ngc': set(),
             'train-dev': {'exceptiongroup', 'iniconfig', 'pluggy', 'pytest', 'pytest-timeout',
                           'pytest-xdist', 'execnet', 'tomli',
                           'tensorpack', 'msgpack', 'msgpack-numpy', 'psutil', 'pyzmq', 'tabulate'}}
    assert set(theirs) - set(ours) == alone[name]
    shared = set(ours) & set(theirs)
    assert {package: ours[package] for package in shared} == {
        package: theirs[package] for package in shared}


def test_ngc_leaves_tensorflow_and_numpy_to_its_image():
    assert not {'tensorflow', 'tensorflow-gpu', 'tensorflow-estimator', 'tensorboard', 'numpy',
                'h5py'} & set(locked('train-ngc'))


def test_the_gpu_set_differs_in_tensorflow_alone():
    assert set(locked('train')) ^ set(locked('train-gpu')) == {'tensorflow', 'tensorflow-gpu'}


def test_tests_run_on_the_versions_that_users_get():
    ours, theirs = versions('serve'), versions('dev')
    assert {name: ours[name] for name in ours} == {name: theirs.get(name) for name in ours}


@pytest.mark.parametrize(('name', 'other'), [('serving', 'serve'), ('serving-gpu', 'serve-gpu')])
def test_the_endpoint_runs_models_on_the_versions_of_the_serve_side(name, other):
    ours, theirs = versions(name), versions(other)
    for package in ('onnxruntime', 'onnxruntime-gpu', 'onnx', 'numpy', 'opencv-python-headless',
                    'simplejpeg'):
        assert ours.get(package) == theirs.get(package), f'{package}: make lock'


def test_the_endpoint_is_tested_on_the_versions_that_users_get():
    ours, theirs = versions('serving'), versions('serving-dev')
    shared = set(ours) & set(theirs)
    assert 'numpy' in shared
    assert {package: ours[package] for package in shared} == {
        package: theirs[package] for package in shared}


@pytest.mark.parametrize('name', ['serve', 'serve-gpu', 'serving', 'serving-gpu'])
def test_the_serving_sets_hold_no_tensorflow(name):
    assert not [package for package in locked(name) if package.startswith(('tensor', 'tf'))]
