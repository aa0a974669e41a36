"""Buildah as these tests need it: no daemon, no registry, everything under one folder."""
import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def files_of(root):
    """All that a folder holds but folders: a dict of path within it -> bytes."""
    return {str(path.relative_to(root)): path.lstat().st_size
            for path in root.rglob('*') if path.is_symlink() or not path.is_dir()}


class Buildah:
    """A store of images, and what is done with them; needs root.

    Chroot isolation and vfs storage run where containers cannot: in a container, or under a kernel
    without overlay mounts. The network is the machine's own.
    """

    def __init__(self, root):
        """Takes the store's folder."""
        self._root = Path(root)
        self._driver = os.environ.get('STORAGE_DRIVER', 'vfs')
        self._environment = dict(os.environ, BUILDAH_ISOLATION='chroot',
                                 TMPDIR=str(self._root / 'tmp'))
        self.sizes = {}  # bytes of the bases

    def __call__(self, *arguments, check=True, **options):
        """Runs a buildah command and returns what it printed, or raises with it."""
        (self._root / 'tmp').mkdir(parents=True, exist_ok=True)
        done = subprocess.run(self.command(*arguments), env=self._environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        if check and done.returncode:
            raise RuntimeError(f'buildah {" ".join(map(str, arguments))}\n'
                               f'{(done.stdout + done.stderr)[-6000:]}')
        return done.stdout.strip() if check else done

    def command(self, *arguments):
        return ['buildah', '--root', str(self._root / 'root'),
                '--runroot', str(self._root / 'runroot'), '--storage-driver', self._driver,
                *map(str, arguments)]

    def popen(self, *arguments, **options):
        return subprocess.Popen(self.command(*arguments), env=self._environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                start_new_session=True, **options)

    def build(self, target, tag, log, **build_args):
        """Builds a target of the project's Dockerfile, unchanged.

        Args:
          target: the stage.
          tag: the image's name.
          log: file for what the build says.
          **build_args: build arguments.

        Returns:
          How long it took, in seconds.
        """
        arguments = [f'--build-arg={name}={value}' for name, value in build_args.items()]
        start = time.monotonic()
        done = self('build', '--pull=never', '--network=host', '--layers=false', '--target', target,
                    '--tag', tag, *arguments, PROJECT, check=False)
        Path(log).write_text(done.stdout + done.stderr)
        if done.returncode:
            raise RuntimeError(f'{tag} was not built, see {log}:\n{done.stderr[-3000:]}')
        return time.monotonic() - start

    @contextlib.contextmanager
    def base(self, image, parent='scratch'):
        """A new image: yields (container, its root folder), and commits what became of it."""
        container = self('from', '--pull=never', parent)
        root = Path(self('mount', container))
        yield container, root
        self.sizes[image] = sum(files_of(root).values())
        self('umount', container)
        self('commit', '--quiet', '--rm', container, image)

    def remove(self, images=True):
        """Takes all containers away, and the whole store unless images are to stay."""
        self('umount', '--all', check=False)
        self('rm', '--all', check=False)
        if images:
            shutil.rmtree(self._root, ignore_errors=True)


class Image:
    """A built image, in which commands are run as a user would: its user, entry point, volumes."""

    def __init__(self, buildah, name):
        self._buildah = buildah
        self.name = name
        self._container = buildah('from', '--pull=never', name)
        self.root = Path(buildah('mount', self._container))
        self.files = files_of(self.root)  # as it was built: what is run here writes to it
        self.config = json.loads(buildah('inspect', '--type=image', name))['OCIv1']['config']

    def arguments(self, *command, volumes=(), user=None, entrypoint=True):
        """Buildah's arguments to run a command in the image.

        Args:
          *command: the command; the image's own where there is none.
          volumes: pairs (folder here, folder there).
          user: UID:GID in place of the image's user.
          entrypoint: whether to start by the image's entry point.
        """
        # Here tini is not process 1, which it says unless it is told that this is meant.
        return ['run', '--network=host', '--env=TINI_SUBREAPER=1',
                *(['--user', user] if user else []),
                *(f'--volume={here}:{there}' for here, there in volumes), self._container, '--',
                *(self.config['Entrypoint'] if entrypoint else []),
                *map(str, command or self.config['Cmd'])]

    def run(self, *command, check=True, **options):
        """Runs a command to its end; see `arguments`. Returns its output, or the process."""
        return self._buildah(*self.arguments(*command, **options), check=check)

    def start(self, *command, **options):
        """Starts a command; returns the process, whose stdout has both streams."""
        return self._buildah.popen(*self.arguments(*command, **options))

    @staticmethod
    def find_init(word):
        """The process of tini that has a word in its command line, as docker would signal it."""
        found = []
        for folder in Path('/proc').iterdir():
            with contextlib.suppress(OSError):  # it is no process, or has ended
                command = (folder / 'cmdline').read_text().split('\0')
                if Path(command[0]).name == 'tini' and word in command:
                    found.append(int(folder.name))
        [process] = found
        return process

    def size(self):
        """Bytes of all files in the image."""
        return sum(self.files.values())

    def find(self, *patterns):
        """The image's files whose path matches one of these regular expressions, sorted."""
        return sorted(path for path in self.files
                      if any(re.fullmatch(pattern, path) for pattern in patterns))
