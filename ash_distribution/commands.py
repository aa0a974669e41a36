"""The commands of both packages, by name, and how each is started.

`main` is what each command calls that pip installs. tools/ and `python -m` start the same
commands. A command belongs to a side, of which each has its own Python. Where that or a package is
missing, the command ends with one line that says what is needed. So nothing here imports either
package before a command is called.
"""
import ast
import difflib
import importlib
import os
import shlex
import signal
import sys
import warnings

from ash_distribution import __version__


class Side:
    """One of the two packages and its commands.

    Args:
      package: name of the package. Its subpackage `commands` has the modules.
      modules: dict, name of a command -> name of its module, whose `main()` returns a status, and
        of its script in tools/.
      prepare: function that is called before the package is imported.
      needs: what the user needs, with places for the extra of `pip install` and for its source.
      extras: dict, name of a command -> the extra that it needs; under None for all others.
    """

    def __init__(self, package, modules, prepare, needs, extras):
        self.package, self.modules = package, modules
        self._prepare, self._needs, self._extras = prepare, needs, extras
        self.environment = extras[None]  # which `make setup` makes, named as the extra

    def load(self, program, advice, module=None):
        """Imports the package, or a module of its commands, as a command of it does.

        If that fails, it writes one line and ends the process with status 2.

        Args:
          program: name of the command, for the line.
          advice: what the user can do.
          module: name of the module; None for the package alone.

        Returns:
          The module.
        """
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, end)  # until a command begins, which undoes this
        try:
            self._prepare()
            return importlib.import_module('{}.commands.{}'.format(self.package, module)
                                           if module else self.package)
        except ImportError as error:
            sys.stderr.write('{}: error: {}; here is Python {}.{}: {}\n'.format(
                program, advice, *sys.version_info[:2], error))
            sys.exit(2)

    def run(self, name):
        """Runs a command as pip installs it; returns its exit status."""
        return self.load(os.path.basename(sys.argv[0]), self._advice(name),
                         self.modules[name]).main()

    def run_subcommand(self):
        """Runs the command that the first argument names, for `python -m`; returns its status."""
        start = 'python -m ' + self.package
        name = sys.argv[1] if len(sys.argv) > 1 else '--help'
        if name in ('-V', '--version'):
            print(__version__)
            return 0
        if name in ('-h', '--help'):
            width = max(map(len, self.modules))
            print('usage: {} COMMAND ...\n\ncommands, each of which has a --help:'.format(start))
            for name in self.modules:
                print('  {:<{}}  {}'.format(name, width, self._first_line(name)))
            return 0
        if name not in self.modules:
            near = difflib.get_close_matches(name, self.modules, 1)
            sys.stderr.write('{}: error: unknown command {}{}; known are {}\n'.format(
                start, ascii(name), ', did you mean {}?'.format(*near) if near else '',
                ', '.join(self.modules)))
            return 2
        sys.argv[:2] = ['{} {}'.format(start, name)]
        return self.run(name)

    def _first_line(self, name):
        """The first line of a module's docstring. It is not imported: it may need more packages."""
        path = os.path.join(os.path.dirname(sys.modules[self.package].__file__), 'commands',
                            self.modules[name] + '.py')
        with open(path, encoding='utf-8') as handle:
            return ast.get_docstring(ast.parse(handle.read())).partition('\n')[0]

    def _advice(self, name):
        extra = self._extras.get(name, self._extras[None])
        return self._needs.format(extra, extra)


def end(number, frame):
    """Ends the process at Ctrl-C, which packages that are being imported may catch or show."""
    del number, frame
    os.write(2, '{}: interrupted\n'.format(os.path.basename(sys.argv[0])).encode())
    os._exit(130)


def _prepare_train():
    """Turns the warnings off that TensorFlow 1.15 gives, which its user can do nothing about.

    Set TF_CPP_MIN_LOG_LEVEL=0 to see them.
    """
    if os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2') == '0':
        return
    warnings.filterwarnings('ignore', category=FutureWarning, module='tensor(flow|board)')
    warnings.filterwarnings('ignore', category=DeprecationWarning)
    importlib.import_module('ash_tf1')
    importlib.import_module('tensorflow.compat.v1').logging.set_verbosity('ERROR')


def _prepare_serve():
    """Turns telemetry of onnxruntime off.

    From 1.29 on, onnxruntime on Linux reports its use to Microsoft, unless ORT_DISABLE_TELEMETRY=1
    is in the environment when it is imported. Set ORT_DISABLE_TELEMETRY=0 to allow the reports.
    """
    os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')
    if sys.version_info < (3, 10):
        raise ImportError('it is too old')


TRAIN = Side(
    'ash_tf1',
    {'train': 'train', 'evaluate': 'evaluate', 'export': 'export_onnx', 'convert': 'convert',
     'import-checkpoint': 'import_checkpoint', 'save-images': 'save_images',
     'summarize': 'summarize', 'measure-samples': 'measure_samples'}, _prepare_train,
    "this needs Python 3.7 and the extra {}, as from python3.7 -m pip install '.[{}]'",
    {None: 'train', 'export': 'train,convert', 'convert': 'train,convert',
     'measure-samples': 'train,convert'})
SERVE = Side(
    'ash_onnx',
    {'verify': 'verify_onnx', 'predict': 'predict', 'evaluate-onnx': 'evaluate_onnx',
     'generate': 'generate', 'optimize': 'optimize', 'export-triton': 'export_triton',
     'serve': 'serve'}, _prepare_serve,
    "this needs Python 3.10 or newer and the extra {}, as from python3 -m pip install '.[{}]'",
    {None: 'serve', 'serve': 'serving'})


def main():
    """What each installed command calls; `ash-NAME` is the command NAME. Returns its status."""
    program = os.path.basename(sys.argv[0])
    name = program[len('ash-'):]
    for side in (TRAIN, SERVE):
        if name in side.modules:
            return side.run(name)
    sys.stderr.write('{}: error: a command of this project is ash- and one of {}\n'.format(
        program, ', '.join([*TRAIN.modules, *SERVE.modules])))
    return 2


def to_paste(name, *arguments):
    """A line that runs a command, as a user can paste it into a shell.

    It is written as the running command was started: as a script of tools/, as an installed
    command, or by `python -m`, which a program of another name gets too. A script and `-m` get the
    interpreter that runs, since a user's `python` is often another one.

    Args:
      name: of the command.
      *arguments: strings.
    """
    side, = (side for side in (TRAIN, SERVE) if name in side.modules)
    folder, program = os.path.split(sys.argv[0] if sys.argv else '')
    if program.startswith('ash-'):
        start = [os.path.join(folder, 'ash-' + name)]
    elif os.path.isfile(os.path.join(folder, '_train_side.py')) or os.path.isfile(
            os.path.join(folder, '_serve_side.py')):
        start = [_interpreter(side), os.path.join(folder, side.modules[name] + '.py')]
    else:
        start = [_interpreter(side), '-m', side.package, name]
    return ' '.join(map(shlex.quote, start + list(arguments)))


def _interpreter(side):
    """The interpreter of a side: its path, relative where it is below the current folder.

    For the side that does not run it is that of the environment beside this one, as `make setup`
    makes them, or `python` if there is none.
    """
    path = sys.executable
    if side.package not in sys.modules:
        environments = os.path.dirname(os.path.dirname(os.path.dirname(path)))
        path = os.path.join(environments, side.environment, 'bin', 'python')
        if not os.path.isfile(path):
            return 'python'
    try:
        here = os.path.join(os.getcwd(), '')
    except OSError:  # the current folder has been removed
        return path
    return path[len(here):] if path.startswith(here) else path
