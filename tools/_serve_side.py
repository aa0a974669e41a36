"""Each tool of the modern side imports this first.

It makes the packages of the checkout importable, and turns telemetry of onnxruntime off. If
packages are missing, it ends the tool with one line that says which Python has them.

From 1.29 on, onnxruntime on Linux reports its use to Microsoft, unless ORT_DISABLE_TELEMETRY=1 is
in the environment when it is imported. Set ORT_DISABLE_TELEMETRY=0 to allow the reports.
"""
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')


def _end(number, frame):
    """Ends the process at Ctrl-C, which packages that are being imported may catch or show."""
    del number, frame
    os.write(2, '{}: interrupted\n'.format(os.path.basename(sys.argv[0])).encode())
    os._exit(130)


if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end)  # until a command begins, which undoes this
try:
    if sys.version_info < (3, 10):
        raise ImportError('it is too old')
    import ash_onnx  # noqa: F401
except ImportError as error:
    sys.stderr.write('{}: error: this needs Python 3.10 or newer with requirements/serve.txt, as '
                     '.venv/serve/bin/python has after `make setup`; here is Python {}.{}: {}\n'
                     .format(Path(sys.argv[0]).name, *sys.version_info[:2], error))
    sys.exit(2)
