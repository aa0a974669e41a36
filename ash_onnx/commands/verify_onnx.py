"""Verifies an exported artifact against what TensorFlow answered."""

from ash_distribution.parser import Parser
from ash_onnx.commands.options import add_model_arguments
from ash_onnx.commands.running import BEYOND_TOLERANCE, OK, open_model, print_json, print_text, run
from ash_onnx.comparison import ATOL, RTOL
from ash_onnx.loading import load_artifact
from ash_onnx.verify import format_verification, verify

_NOTES = """\
Every test_data_set_K of the artifact is run again. "relative" is max |a - b| / max |b|, b being
TensorFlow's output. What decides:

  - the artifact's own tolerance, where it has one and neither --rtol nor --atol
    is given: an output passes where max |a - b| <= relative * max |b|, and one
    of integers where none differs by more than integer_levels;
  - else |a - b| <= atol + rtol * |b| for each element of an output, and
    integers must be equal.

Bools and strings must be equal, NaN fails, and every class that a classifier predicts has to agree
too. Where the folder has a labels.txt, its lines have to be the labels of the metadata. A
verification that fails says what the likely cause is.

exit status: 0 passed, 1 beyond the tolerance, 2 bad input
"""


def main(argv=None):
    """Parses argv and runs the command; returns its exit status."""
    return run(build_parser(), _verify, argv)


def build_parser():
    """The parser of the command's arguments."""
    parser = Parser('verify', __doc__, ['checkpoints/NAME', 'checkpoints/NAME --provider cuda',
                                       'checkpoints/NAME --json'], _NOTES)
    add_model_arguments(parser)
    parser.add_argument('--rtol', type=float, metavar='R',
                        help='relative tolerance (default: the artifact\'s own tolerance decides; '
                             f'{RTOL:g} where it has none or --atol is given)')
    parser.add_argument('--atol', type=float, metavar='A',
                        help='absolute tolerance (default: the artifact\'s own tolerance decides; '
                             f'{ATOL:g} where it has none or --rtol is given)')
    return parser


def _verify(args):
    """Prints a verification; returns 0, or 1 where it failed."""
    result = verify(open_model(load_artifact, args), rtol=args.rtol, atol=args.atol)
    if args.json:
        print_json({'artifact': args.artifact, **result.to_dict()})
    else:
        print_text(format_verification(result))
    return OK if result.passed else BEYOND_TOLERANCE
