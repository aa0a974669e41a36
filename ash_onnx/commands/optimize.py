"""Writes another form of an artifact: float16, int8, or fused."""

from ash_distribution.parser import Parser
from ash_onnx import cli
from ash_onnx.optimizing import FLOAT16, FUSED, INT8

NOTES = """\
forms:
  --float16  weights and tensors of half the size, for GPUs; no faster on a CPU.
             What goes in and out keeps its type. ASH and the softmax are
             computed in float32.
  --int8     8 bits for the inputs and weights of convolutions and matrix
             products, for CPUs, chosen by the images of --images;
             --reduce-range where the CPU has no VNNI.
  --fused    one fused op in the place of each ASH, and its library beside the
             model, for programs that open the model with onnxruntime themselves
             and register the library.

OUT becomes a full artifact with the test data of the source. Its metadata say what was done and on
which processor; for float16 and int8 they have a tolerance: twice the difference that its answers
to the test data have. The file stays portable, but with --fused.

exit status: 0 written, 2 bad input
"""


def build_parser():
    """The parser of the command's arguments."""
    parser = Parser('optimize', __doc__, [
        'checkpoints/NAME artifacts/NAME-int8 --int8 --images photos/ --compare test-images/',
        'checkpoints/NAME artifacts/NAME-fused --fused',
        'checkpoints/NAME artifacts/NAME-float16 --float16'], NOTES)
    parser.add_argument('artifact', help='artifact folder, or the model.onnx in it')
    parser.add_argument('out', help='artifact folder to make')
    form = parser.add_mutually_exclusive_group(required=True)
    for name in (FLOAT16, INT8, FUSED):
        form.add_argument(f'--{name}', dest='form', action='store_const', const=name)
    parser.add_argument('--images', nargs='+', metavar='PATH',
                        help='--int8: images of what the classifier is for, or folders of them, '
                             'some hundreds')
    parser.add_argument('--reduce-range', action='store_true',
                        help='--int8: 7 bits for weights, for CPUs without VNNI')
    parser.add_argument('--compare', metavar='DIR',
                        help='print accuracy, agreement, size and latency of both, on a folder '
                             'with one folder of images for each class')
    parser.add_argument('--threads', type=int, metavar='N',
                        help='--compare: CPU threads within one operator (default: all cores)')
    parser.add_argument('--json', dest='as_json', action='store_true',
                        help='write JSON to stdout')
    return parser


def main(argv=None):
    """Parses argv and runs the command; returns its exit status."""
    parser = build_parser()
    args = parser.parse_args(argv)
    return cli.run_command(parser.prog, cli.optimize_artifact, **vars(args))

