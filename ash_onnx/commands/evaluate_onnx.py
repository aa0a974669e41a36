"""Measures the accuracy of an artifact on folders of images."""

from ash_distribution.parser import Parser
from ash_onnx.commands.options import add_model_arguments
from ash_onnx.commands.running import OK, open_model, print_json, print_text, run
from ash_onnx.kinds.classifier.evaluation import evaluate, format_evaluation
from ash_onnx.loading import load_model

_NOTES = """\
The tree has one folder for each class, named by its label: images/cat/1.png, images/dog/2.jpg.
Images are JPEG and PNG files, whatever their names end in, and are fitted to the model as
predict.py does. One that cannot be read ends the evaluation; other files are passed over and named.

exit status: 0 evaluated, 2 bad input
"""


def main(argv=None):
    """Parses argv and runs the command; returns its exit status."""
    return run(build_parser(), _evaluate, argv)


def build_parser():
    """The parser of the command's arguments."""
    parser = Parser('evaluate-onnx', __doc__, [
        'checkpoints/NAME images/', 'checkpoints/NAME images/ --provider cuda',
        'checkpoints/NAME images/ --batch-size 128 --json'], _NOTES)
    add_model_arguments(parser)
    parser.add_argument('image_dir', help='folder with one folder of images for each class')
    parser.add_argument('--batch-size', type=int, default=64, metavar='N',
                        help='images in one run (default: %(default)s)')
    parser.add_argument('--quiet', action='store_true', help='no progress bar')
    return parser


def _evaluate(args):
    """Prints an evaluation; returns 0."""
    model = open_model(load_model, args)
    result = evaluate(model, args.image_dir, args.batch_size, args.quiet)
    if args.json:
        print_json({'artifact': args.artifact, **result.to_dict()})
    else:
        print_text(format_evaluation(result))
    return OK
