"""Writes artifacts as a repository of NVIDIA's Triton."""

from ash_distribution.parser import Parser
from ash_onnx.commands.running import OK, run
from ash_onnx.session import PROVIDERS
from ash_onnx.triton.config import Options
from ash_onnx.triton.repository import export

_NOTES = """\
Each artifact becomes a model that is called by its folder, in a version that is one more than the
largest that is there; nothing that is there is changed. A classifier NAME gets NAME_image too, an
ensemble that takes JPEG and PNG files. REPOSITORY/README.md has the line that starts Triton.

exit status: 0 written, 2 bad input
"""


def main(argv=None):
    """Parses argv and runs the command; returns its exit status."""
    return run(build_parser(), _export, argv)


def build_parser():
    """The parser of the command's arguments."""
    parser = Parser('export-triton', __doc__, [
        'checkpoints/NAME repository',
        'artifacts/A artifacts/B repository --provider cuda --instances 2',
        'checkpoints/NAME repository --fused --mount /models'], _NOTES)
    parser.add_argument('artifacts', nargs='+', metavar='artifact',
                        help='artifact folder, or the model.onnx in it')
    parser.add_argument('repository', help='folder of the repository; made where there is none')
    parser.add_argument('--provider', dest='target', choices=PROVIDERS, default=Options.provider,
                        help='what Triton runs the models on (default: %(default)s)')
    parser.add_argument('--max-batch', type=int, default=Options.max_batch, metavar='N',
                        help='the largest batch (default: %(default)s)')
    parser.add_argument('--instances', type=int, default=Options.instances, metavar='N',
                        help='runs of a model at the same time, on each GPU where there are some '
                             '(default: %(default)s)')
    parser.add_argument('--threads', type=int, default=Options.threads, metavar='N',
                        help='CPU threads within one operator (default: %(default)s)')
    parser.add_argument('--fused', action='store_true',
                        help='put one fused op in the place of each ASH, and its library beside '
                             'the model')
    parser.add_argument('--version', type=int, metavar='N',
                        help='(default: one more than the largest that is there)')
    parser.add_argument('--mount', default='/models', metavar='PATH',
                        help='where Triton will see the repository, for the path of the library '
                             '(default: %(default)s)')
    return parser


def _export(args):
    """Prints what was written; returns 0."""
    options = Options(args.target, args.max_batch, args.instances, args.threads)
    for name, number in export(args.artifacts, args.repository, options, args.fused, args.version,
                               args.mount):
        print(f'{args.repository}/{name}/{number}')
    return OK
