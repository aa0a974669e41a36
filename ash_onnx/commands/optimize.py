"""Writes another form of an artifact: float16, int8, or fused."""

from ash_distribution.parser import Parser
from ash_onnx.commands.running import OK, print_json, run
from ash_onnx.images import read_all
from ash_onnx.kinds.classifier import side_by_side
from ash_onnx.kinds.classifier.side_by_side import format_sides
from ash_onnx.loading import load_model
from ash_onnx.optimizing import FLOAT16, FUSED, INT8, optimize
from ash_onnx.verify import format_verification

_NOTES = """\
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


def main(argv=None):
    """Parses argv and runs the command; returns its exit status."""
    return run(build_parser(), _optimize, argv)


def build_parser():
    """The parser of the command's arguments."""
    parser = Parser('optimize', __doc__, [
        'checkpoints/NAME artifacts/NAME-int8 --int8 --images photos/ --compare test-images/',
        'checkpoints/NAME artifacts/NAME-fused --fused',
        'checkpoints/NAME artifacts/NAME-float16 --float16'], _NOTES)
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
    parser.add_argument('--json', action='store_true', help='write JSON to stdout')
    return parser


def _optimize(args):
    """Writes another form of an artifact, and prints how it compares; returns 0."""
    if args.form != INT8 and (args.images or args.reduce_range):
        raise ValueError('--images and --reduce-range are for --int8')
    pixels = None
    if args.form == INT8:
        source = load_model(args.artifact, fused=False)
        pixels = read_all(args.images or (), source.input_shape, source.preprocessing)
    verification, sides = optimize(args.artifact, args.out, args.form, pixels,
                                   args.reduce_range), None
    if args.compare is not None:
        models = {'float32': load_model(args.artifact, threads=args.threads),
                  args.form: load_model(args.out, threads=args.threads)}
        sides = side_by_side.compare(models, args.compare)
    if args.json:
        print_json({'artifact': args.out, **verification.to_dict(),
                    'compared': sides and [side.to_dict() for side in sides]})
    else:
        print(format_verification(verification))
        if sides:
            print('\n' + format_sides(sides))
    return OK
