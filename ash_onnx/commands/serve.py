"""Serves artifacts over HTTP and gRPC, on KServe's server."""

import argparse
import dataclasses

from ash_distribution.parser import Parser
from ash_onnx.commands.options import FUSED
from ash_onnx.commands.running import OK, run
from ash_onnx.serving.settings import Settings
from ash_onnx.session import PROVIDERS

_NOTES = """\
The protocol is the Open Inference Protocol v2. A model is called by its folder. Beside a classifier
NAME there is NAME_image, which takes JPEG and PNG files. http://HOST:PORT/ is a page to try them.
docs/serving.md has clients, and says what this is not: it has no TLS and no users.

SIGTERM: it is no longer ready, answers what has arrived, and ends.

exit status: 0 ended by a signal, 2 bad input
"""
# The options that are a `Settings`, each with its help; the default is that of `Settings`.
_OPTIONS = {
    'host': 'address that both protocols listen on',
    'http_port': 'port, or 0 for any',
    'grpc_port': 'port, or 0 for any',
    'workers': 'requests that are worked on at the same time (default: the cores)',
    'queue': 'requests that may wait; more are refused',
    'max_batch': 'examples in a request',
    'max_body': 'bytes of a request',
    'max_json': 'bytes of its JSON',
    'max_bodies': 'bytes of all requests that are being received over HTTP',
    'max_pixels': 'pixels of an image file',
    'max_connections': 'HTTP connections; more close those that are idle',
    'time_limit': 'seconds for a request',
    'drain': 'seconds after SIGTERM in which requests are still taken',
    'grace': 'seconds after that for what is in flight',
}


def main(argv=None):
    """Parses argv and serves; returns the exit status."""
    return run(build_parser(), _serve, argv)


def build_parser():
    """The parser of the command's arguments."""
    parser = Parser('serve', __doc__, [
        'checkpoints/NAME', 'artifacts/A artifacts/B --provider cuda',
        'checkpoints/NAME --host 0.0.0.0 --http-port 8080 --grpc-port 8081'], _NOTES)
    parser.add_argument('artifacts', nargs='+', metavar='artifact',
                        help='artifact folder, or the model.onnx in it')
    parser.add_argument('--provider', choices=PROVIDERS, default='cpu',
                        help='execution provider; an error where it is not there, never another '
                             '(default: %(default)s)')
    parser.add_argument('--threads', type=int, default=1, metavar='N',
                        help='CPU threads within one operator (default: %(default)s, since '
                             'several workers run models at the same time)')
    parser.add_argument('--fused', choices=FUSED, default='auto',
                        help='whether each ASH runs as one fused op: auto is yes where the op is '
                             'built (default: %(default)s)')
    parser.add_argument('--memory-limit', type=float, metavar='GB',
                        help='for the data of the process (default: three quarters of the memory '
                             'there is; none on a GPU)')
    fields = {field.name: field for field in dataclasses.fields(Settings)}
    for name, text in _OPTIONS.items():
        default = fields[name].default
        known = default is not dataclasses.MISSING
        parser.add_argument('--' + name.replace('_', '-'), default=argparse.SUPPRESS,
                            type=type(default) if known else int,
                            metavar='ADDRESS' if name == 'host' else 'N',
                            help=f'{text} (default: {default})' if known else text)
    parser.add_argument('--access-log', action='store_true',
                        help='write a line for each request to stdout')
    return parser


def _serve(args):
    """Serves until a signal comes; returns 0."""
    names = {field.name for field in dataclasses.fields(Settings)}
    settings = Settings(**{key: value for key, value in vars(args).items() if key in names})
    try:
        # Here, so that the command can say how it is used without them.
        from ash_onnx.serving.loading import load_models
        from ash_onnx.serving.log import configure
        from ash_onnx.serving.server import GuardedServer
        from ash_onnx.serving.version import describe_version
    except ImportError as error:
        raise ValueError('this needs requirements/serving.txt, as .venv/serving/bin/python has '
                         "after `make setup-serving`, or pip install '.[serving]': "
                         f'{error}') from error
    configure(settings.access_log)
    server = GuardedServer(settings, describe_version())
    server.start(load_models(args.artifacts, settings, server.gate, server.metrics,
                             server.report_stuck, provider=args.provider, threads=args.threads,
                             fused=FUSED[args.fused]))
    return OK
