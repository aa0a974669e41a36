"""The images, built once from the Dockerfile as it is, on stand-in bases. `make image-test`.

Takes about 12 minutes on 2 cores and 30 GB of disk, which are free again afterwards; the
report stays in runs/images/report.txt. IMAGES_KEEP=1 keeps the store, and takes bases from it.
"""
import collections
import concurrent.futures
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.images import stand_in
from tests.images.buildah import PROJECT, Buildah, Image

RUNS = PROJECT / 'runs/images'
REPLACED = """\
Stand-ins for what cannot be pulled here; all that the Dockerfile adds is the real thing:
  TRAIN_BASE        this machine's distribution, with its Python 3.7 in an archive, for Ubuntu
                    18.04, CUDA 10.0 and cuDNN 7; so the GPU's TensorFlow runs on the CPU
  TRAIN_BUILD_BASE  the same with this machine's nvcc, for CUDA 11.8 and GCC 7
  NGC_BASE          the same with Python 3.7 and TensorFlow 1.15.5, for NVIDIA's on Python 3.8
  SERVE_BASE        the same with this machine's modern Python, for python:3.12-slim-bookworm
  SERVE_BUILD_BASE  the same with this machine's nvcc, for CUDA 12.9 on Ubuntu 22.04"""
KEEP = os.environ.get('IMAGES_KEEP') == '1'
# name -> (target, build arguments), whose bases are kinds of stand-ins.
IMAGES = {
    'train': ('train', dict(TRAIN_BASE='ubuntu', TRAIN_BUILD_BASE='ubuntu-build')),
    'train_ngc': ('train-ngc', dict(NGC_BASE='ngc', NGC_BUILD_BASE='ngc-build')),
    'serve': ('serve', dict(SERVE_BASE='slim', SERVE_BUILD_BASE='slim-build')),
    'train_cpu': ('train', dict(TRAIN_BASE='ubuntu', TRAIN_BUILD_BASE='ubuntu', DEVICE='cpu')),
    'serve_cpu': ('serve', dict(SERVE_BASE='slim', SERVE_BUILD_BASE='slim', DEVICE='cpu')),
}


class Lab:
    """The store, the stand-in bases, and the images on them, of which two are made at a time."""

    def __init__(self, names):
        """Takes the names of the images that will be asked for, and begins with them."""
        self.store = Buildah(RUNS / 'store')
        self.store.remove(images=not KEEP)  # what an interrupted run may have left
        self.times, self.sizes = {}, {}
        self._python37 = _prefix('train')
        self._modern = _prefix('serve')
        self._locks = collections.defaultdict(threading.Lock)
        self._pool = concurrent.futures.ThreadPoolExecutor(2)
        self._images = {name: self._pool.submit(self._image, name, *IMAGES[name])
                        for name in IMAGES if name in names}

    def image(self, name):
        """The `Image` of that name, once it is built."""
        return self._images[name].result()

    def close(self):
        """Ends what is still being made, and takes the store away."""
        self._pool.shutdown(cancel_futures=True)
        self.store.remove(images=not KEEP)

    def _image(self, name, target, build_args):
        bases = {key: self._base(value) for key, value in build_args.items() if 'BASE' in key}
        say(f'building {name}')
        self.times[name] = self.store.build(target, f'localhost/{name}', RUNS / f'{name}.log',
                                            **{**build_args, **bases})
        image = Image(self.store, f'localhost/{name}')
        self.sizes[name] = image.size(), self.sizes[next(iter(bases.values()))]
        say(f'built {name} in {self.times[name]:.0f} s')
        return image

    def _base(self, kind):
        name = f'localhost/stand-in-{kind}'
        with self._locks[kind]:
            if name not in self.sizes:
                self._make_base(kind, name)
        return name

    def _make_base(self, kind, name):
        if KEEP and self.store('images', '--quiet', name, check=False).returncode == 0:
            self.sizes[name] = Image(self.store, name).size()
            return
        parent = (None if kind == 'debian' else
                  self._base(kind[:-len('-build')] if kind.endswith('-build') else 'debian'))
        say(f'making {name}')
        start = time.monotonic()
        self._make(kind, name, parent)
        self.times[name] = time.monotonic() - start
        self.sizes[name] = self.store.sizes[name]

    def _make(self, kind, name, parent):
        if kind == 'debian':
            stand_in.make_debian(self.store, name)
        elif kind == 'ubuntu':
            stand_in.make_ubuntu(self.store, name, parent, self._python37)
        elif kind == 'ngc':
            stand_in.make_ngc(self.store, name, parent, self._python37,
                              PROJECT / 'requirements/train.txt')
        elif kind == 'slim':
            stand_in.make_slim(self.store, name, parent, self._modern, _version(self._modern))
        else:  # NVIDIA's image has a compiler; for the other the Dockerfile installs one
            stand_in.make_build(self.store, name, parent, cuda(),
                                *(['g++'] if kind == 'ngc-build' else []))

    def report(self):
        """The table of sizes and times, as text."""
        row = '{:26}{:>8}{:>12}{:>16}'.format
        lines = [row('image', 'build', 'size', 'of that, base')]
        for name in [name for name in self._images if name in self.sizes]:
            size, base = self.sizes[name]
            lines.append(row(name, f'{self.times[name]:.0f} s', f'{size / 1e6:,.0f} MB',
                             f'{base / 1e6:,.0f} MB'))
        lines += [row(name.split('/')[1], f'{self.times[name]:.0f} s', f'{size / 1e6:,.0f} MB', '')
                  for name, size in self.sizes.items() if name in self.times and '/' in name]
        return '\n'.join(lines)


def say(line):
    print(f'[{time.strftime("%H:%M:%S")}] {line}', flush=True)


def cuda():
    folder = stand_in.find_cuda()
    if folder is None:
        pytest.fail('there is no nvcc on the PATH, to stand in for that of TRAIN_BUILD_BASE')
    return folder


def _prefix(environment):
    return subprocess.check_output([PROJECT / '.venv' / environment / 'bin/python', '-c',
                                    'import sys; print(sys.base_prefix)'], text=True).strip()


def _version(prefix):
    return '.'.join(subprocess.check_output(
        [Path(prefix, 'bin/python3'), '-c', 'import sys; print(*sys.version_info[:2])'],
        text=True).split())


@pytest.fixture(scope='session')
def lab(request):
    if os.geteuid():
        pytest.fail('buildah with chroot isolation, and debootstrap, need root')
    shutil.rmtree(RUNS / 'shared', ignore_errors=True)
    names = set()
    for item in request.session.items:
        names.update(item.fixturenames)
        if hasattr(item, 'callspec'):
            names.update(value for value in item.callspec.params.values() if isinstance(value, str))
    lab = Lab(names)
    yield lab
    text = f'{lab.report()}\n\n{REPLACED}\n'
    (RUNS / 'report.txt').write_text(text)
    say('\n' + text)
    lab.close()


def _image_fixture(name):
    @pytest.fixture(scope='session', name=name)
    def built(lab):
        return lab.image(name)
    return built


train = _image_fixture('train')
train_cpu = _image_fixture('train_cpu')
train_ngc = _image_fixture('train_ngc')
serve = _image_fixture('serve')
serve_cpu = _image_fixture('serve_cpu')


@pytest.fixture(params=list(IMAGES))
def image(request):
    """Each image in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope='session')
def runs(lab):
    """The folder that is /runs in every image, as a user's own."""
    folder = RUNS / 'shared'
    folder.mkdir(parents=True)
    os.chown(folder, 1000, 1000)
    return folder


@pytest.fixture(scope='session')
def artifact(train, runs):
    """The demo in the train image, up to the artifact; its folder as the images see it."""
    run_demo(train, runs, 'digits')
    return '/runs/digits/artifact'


def run_demo(image, runs, name, *options):
    """Trains on digits, evaluates and exports, as the documentation says; returns all output."""
    volumes = [(runs, '/runs')]
    # An error where the native ops were not built, or do not load.
    return '\n'.join(image.run('env', 'ASH_NATIVE=1', 'python', *command, volumes=volumes)
                     for command in (
        ['tools/train.py', '--recipe', 'digits', '--run-dir', f'/runs/{name}/run', *options],
        ['tools/evaluate.py', f'/runs/{name}/run'],
        ['tools/export_onnx.py', f'/runs/{name}/run', f'/runs/{name}/artifact'],
        ['tools/save_images.py', 'digits', f'/runs/{name}/images', '--per-class', '2']))
