"""Classifies JPEG and PNG files with an exported artifact."""

from ash_distribution.parser import Parser
from ash_onnx import cli

NOTES = """\
An image is scaled and cropped as the artifact's metadata say (preprocessing); where they do not,
it is scaled until it covers the model's input, and its centre is cropped. A file that cannot be
read gets one line on stderr; the others are classified all the same, and the exit status is 2.

exit status: 0 all classified, 2 bad input
"""


def build_parser():
    """The parser of the command's arguments."""
    parser = Parser('predict', __doc__, [
        'checkpoints/NAME photo.jpg', 'checkpoints/NAME photos/ --top 1 --json',
        'checkpoints/NAME cat.png photos/ --top 3 --save predictions.png'], NOTES)
    cli.add_model_arguments(parser)
    parser.add_argument('paths', nargs='+', metavar='image',
                        help='image file, or a folder for the images in it')
    parser.add_argument('--top', type=int, default=5, metavar='K',
                        help='labels for each image (default: %(default)s, or all there are)')
    parser.add_argument('--save', metavar='PATH',
                        help='write an annotated picture of the images, .png or .jpg')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace the file that --save names')
    return parser


def main(argv=None):
    """Parses argv and runs the command; returns its exit status."""
    parser = build_parser()
    args = parser.parse_args(argv)
    return cli.run_command(parser.prog, cli.predict_files, **cli.model_arguments(args),
                           paths=args.paths, top=args.top, save=args.save,
                           overwrite=args.overwrite)

