"""Bases for the Dockerfile where none can be pulled: this machine's distribution, bootstrapped.

What a stand-in does not have, and what only the real base can show: Ubuntu 18.04 itself with its
Python 3.7.5 and GCC 7; CUDA 10.0, cuDNN 7 and their TensorFlow on a GPU; NVIDIA's own TensorFlow,
for Python 3.8. Everything that the Dockerfile adds is the real thing.
"""
import hashlib
import os
import re
import shutil
import subprocess
import textwrap
from pathlib import Path

PACKAGES = '/opt/stand-in'
# Docker's own images of Debian and Ubuntu keep no downloads either.
KEEP_NOTHING = '''\
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
'''


def distribution():
    """The codename of this machine's Debian or Ubuntu, whose C library its Pythons need."""
    text = Path('/etc/os-release').read_text()
    match = re.search(r'^VERSION_CODENAME=(\w+)$', text, re.MULTILINE)
    if not match or not shutil.which('dpkg-deb'):
        raise RuntimeError('the stand-in bases need Debian or Ubuntu, and this is neither')
    return match.group(1)


def make_debian(buildah, name):
    """A minimal system that trusts the certificates that this machine trusts."""
    with buildah.base(name) as (_, root):
        subprocess.run(['debootstrap', '--variant=minbase', distribution(), root], check=True,
                       stdout=subprocess.DEVNULL)
        for left in ('var/cache/apt/archives', 'var/lib/apt/lists'):
            shutil.rmtree(root / left)
            (root / left / 'partial').mkdir(parents=True)
        (root / 'etc/apt/apt.conf.d/keep-nothing').write_text(KEEP_NOTHING)
        bundle = Path('/etc/ssl/certs/ca-certificates.crt')
        if bundle.exists():
            (root / 'etc/ssl/certs').mkdir(parents=True, exist_ok=True)
            shutil.copy(bundle, root / 'etc/ssl/certs')
            (root / 'etc/pip.conf').write_text(f'[global]\ncert = {bundle}\n')


def make_ubuntu(buildah, name, parent, python):
    """A system whose archive has a python3.7, as Ubuntu 18.04's universe.

    Args:
      buildah: the `Buildah`.
      name: of the new image.
      parent: image to start from.
      python: prefix of a Python 3.7 of this machine.
    """
    with buildah.base(name, parent) as (_, root):
        archive = root / PACKAGES.lstrip('/')
        archive.mkdir(parents=True)
        _package(archive, 'python3.7', _needs(python, '3.7'),
                 lambda tree: copy_python(python, '3.7', tree / 'usr'))
        # Debian and Ubuntu keep ensurepip and distutils apart; here they are in it.
        for part in ('python3.7-venv', 'python3-distutils'):
            _package(archive, part, ['python3.7'], lambda tree: None)
        (root / 'etc/apt/sources.list.d/stand-in.list').write_text(
            f'deb [trusted=yes] file:{PACKAGES} ./\n')


def make_ngc(buildah, name, parent, python, lock):
    """A system with its own TensorFlow 1.15.5 and NVIDIA's entry point.

    It is Python 3.7, since nobody but NVIDIA has a TensorFlow 1.15 for 3.8.

    Args:
      buildah, name, parent, python: as for `make_ubuntu`.
      lock: requirements of that TensorFlow.
    """
    with buildah.base(name, parent) as (container, root):
        copy_python(python, '3.7', root / 'usr')
        for alias in ('python', 'python3'):
            (root / 'usr/bin' / alias).symlink_to('python3.7')
        _install(buildah, container, *_needs(python, '3.7'))
        shutil.copy(lock, root / 'tmp/tensorflow.txt')
        buildah('run', '--network=host', container, '--', 'sh', '-c',
                'python3 -m ensurepip && python3 -m pip install --no-cache-dir '
                '-r /tmp/tensorflow.txt && rm -rf /tmp/*')
        entry = root / 'opt/nvidia/nvidia_entrypoint.sh'
        entry.parent.mkdir(parents=True)
        entry.write_text('#!/bin/sh\nexec "$@"\n')
        entry.chmod(0o755)


def make_slim(buildah, name, parent, python, version):
    """A system with a modern Python and pip in /usr/local, as Docker's python images.

    Args:
      buildah, name, parent: as for `make_ubuntu`.
      python: prefix of a modern Python of this machine.
      version: 'MAJOR.MINOR' of it.
    """
    with buildah.base(name, parent) as (container, root):
        copy_python(python, version, root / 'usr/local')
        (root / 'usr/local/bin/python').symlink_to(f'python{version}')
        _install(buildah, container, *_needs(python, version))
        buildah('run', container, '--', 'sh', '-c', 'ldconfig && python -m ensurepip')


def make_build(buildah, name, parent, cuda, *packages):
    """Another base with nvcc, and with packages.

    Args:
      buildah, name, parent: as for `make_ubuntu`.
      cuda: folder of this machine's CUDA toolkit.
      *packages: names of packages.
    """
    with buildah.base(name, parent) as (container, root):
        _install(buildah, container, *packages)
        shutil.copytree(cuda, root / 'usr/local/cuda', symlinks=True)
        buildah('config', '--env', 'PATH=/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:'
                                   '/usr/sbin:/usr/bin:/sbin:/bin', container)


def find_cuda():
    """The folder of this machine's CUDA toolkit; None where there is no nvcc."""
    nvcc = shutil.which('nvcc')
    if nvcc is None:
        return None
    said = subprocess.run([nvcc, '--dryrun', '-x', 'cu', os.devnull], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout
    return Path(re.search(r'TOP=(\S+)', said).group(1)).resolve()


def copy_python(prefix, version, target):
    """Copies an interpreter and its standard library, without tests and installed packages."""
    prefix, library = Path(prefix), f'python{version}'
    (target / 'bin').mkdir(parents=True, exist_ok=True)
    shutil.copy2(prefix / 'bin' / library, target / 'bin' / library)
    shutil.copytree(prefix / 'lib' / library, target / 'lib' / library, symlinks=True,
                    ignore=shutil.ignore_patterns('__pycache__', 'test', 'tests', 'idlelib',
                                                  'site-packages', 'dist-packages', 'config-*'))
    (target / 'lib' / library / 'site-packages').mkdir()
    for shared in prefix.glob(f'lib/libpython{version}*.so*'):
        shutil.copy2(shared, target / 'lib' / shared.name)


def _needs(prefix, version):
    """The packages whose shared libraries a Python of this machine is linked to."""
    modules = Path(prefix, 'lib', f'python{version}', 'lib-dynload').glob('*.so')
    linked = subprocess.run(['ldd', *modules], text=True, stdout=subprocess.PIPE).stdout
    packages = set()
    for path in set(re.findall(r'=> (/\S+)', linked)):
        # A package lists the file in /lib or in /usr/lib, which are one.
        for name in (path, str(Path(path).resolve()), path.replace('/usr/lib', '/lib', 1),
                     '/usr' + path):
            owner = subprocess.run(['dpkg', '-S', name], text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
            if owner.returncode == 0:
                packages.add(owner.stdout.split(':')[0])
                break
    return sorted(packages)


def _package(archive, name, depends, fill):
    """Builds a Debian package and adds it to an archive's index."""
    tree = archive / 'tree'
    (tree / 'DEBIAN').mkdir(parents=True)
    fill(tree)
    control = textwrap.dedent(f'''\
        Package: {name}
        Version: 9:3.7.99
        Architecture: amd64
        Maintainer: tests/images
        Depends: {', '.join(depends)}
        Description: this machine's own, in place of Ubuntu's
        ''')
    (tree / 'DEBIAN/control').write_text(control)
    deb = archive / f'{name}.deb'
    subprocess.run(['dpkg-deb', '-Zgzip', '--root-owner-group', '--build', tree, deb], check=True,
                   stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)
    data = deb.read_bytes()
    with open(archive / 'Packages', 'a') as index:
        index.write(f'{control}Filename: ./{deb.name}\nSize: {len(data)}\n'
                    f'SHA256: {hashlib.sha256(data).hexdigest()}\n\n')


def _install(buildah, container, *packages):
    if packages:
        buildah('run', '--network=host', container, '--', 'sh', '-c',
                'apt-get update && apt-get install -y --no-install-recommends '
                f'{" ".join(packages)} && rm -rf /var/lib/apt/lists/*')
