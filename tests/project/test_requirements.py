"""The locked sets: complete, hashed, tied to no index, and in step with what they were made of."""
import re
from pathlib import Path

import pytest

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


def test_there_is_a_lock_for_each_set():
    assert SETS == ['dev', 'serve', 'serve-gpu', 'train', 'train-dev']
    assert all((REQUIREMENTS / f'{name}.txt').exists() for name in SETS)


@pytest.mark.parametrize('name', SETS)
def test_every_locked_package_has_a_hash(name):
    packages = locked(name)
    assert len(packages) >= 5
    assert not [package for package, versions in packages.items()
                if any(count == 0 for _, count in versions)]


@pytest.mark.parametrize('name', SETS)
def test_locks_name_no_index(name):
    text = (REQUIREMENTS / f'{name}.txt').read_text()
    assert not re.search(r'index-url|find-links|https?://|file:', text)


@pytest.mark.parametrize('name', SETS)
def test_a_lock_holds_what_its_source_asks_for(name):
    packages = locked(name)
    for requirement in wanted(name):
        package, _, version = requirement.partition('==')
        assert package in packages, f'{name}.txt lacks {requirement}: make lock'
        if version:
            assert [v for v, _ in packages[package]] == [version], requirement


@pytest.mark.parametrize(('small', 'large'), [('train', 'train-dev'), ('serve', 'dev')])
def test_tests_run_on_the_versions_that_users_get(small, large):
    ours, theirs = locked(small), locked(large)
    assert {name: ours[name] for name in ours} == {name: theirs.get(name) for name in ours}


@pytest.mark.parametrize('name', ['serve', 'serve-gpu'])
def test_the_serving_sets_hold_no_tensorflow(name):
    assert not [package for package in locked(name) if package.startswith(('tensor', 'tf'))]
