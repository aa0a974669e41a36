"""Classifies JPEG and PNG files with an exported artifact."""

import sys

from ash_distribution.parser import Parser
from ash_onnx.commands.options import add_model_arguments
from ash_onnx.commands.running import (
    BAD_INPUT,
    OK,
    complain,
    one_line,
    open_model,
    print_json,
    print_text,
    run,
)
from ash_onnx.files import describe_others
from ash_onnx.kinds.classifier.annotation import annotate
from ash_onnx.kinds.classifier.prediction import format_predictions, predict
from ash_onnx.loading import load_model
from ash_onnx.pictures import check_picture_path

_NOTES = """\
An image is scaled and cropped as the artifact's metadata say (preprocessing); where they do not,
it is scaled until it covers the model's input, and its centre is cropped. A file that cannot be
read gets one line on stderr; the others are classified all the same, and the exit status is 2.

exit status: 0 all classified, 2 bad input
"""


def main(argv=None):
    """Parses argv and runs the command; returns its exit status."""
    return run(build_parser(), _predict, argv)


def build_parser():
    """The parser of the command's arguments."""
    parser = Parser('predict', __doc__, [
        'checkpoints/NAME photo.jpg', 'checkpoints/NAME photos/ --top 1 --json',
        'checkpoints/NAME cat.png photos/ --top 3 --save predictions.png'], _NOTES)
    add_model_arguments(parser)
    parser.add_argument('paths', nargs='+', metavar='image',
                        help='image file, or a folder for the images in it')
    parser.add_argument('--top', type=int, default=5, metavar='K',
                        help='labels for each image (default: %(default)s, or all there are)')
    parser.add_argument('--save', metavar='PATH',
                        help='write an annotated picture of the images, .png or .jpg')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace the file that --save names')
    return parser


def _predict(args):
    """Prints predictions; returns 0, or 2 where a path could not be read (the others are done)."""
    if args.save is not None:
        check_picture_path(args.save, args.overwrite, args.paths)
    model = open_model(load_model, args)
    errors, others = [], []
    predictions = predict(model, args.paths, args.top, on_other=others.append,
                          on_error=lambda path, error: errors.append((path, error)))
    if args.json:
        print_json({'artifact': args.artifact, 'provider': model.provider,
                    'predictions': [prediction.to_dict() for prediction in predictions],
                    'errors': [{'path': path, 'error': one_line(error)}
                               for path, error in errors], 'others': others})
    elif predictions:
        print_text(format_predictions(predictions))
    if others and not args.json:
        print(f'{args.program}: {describe_others(others)}', file=sys.stderr)
    for _, error in errors:
        complain(args.program, error)
    if args.save is not None and predictions:
        annotate(predictions, args.save, model.input_shape, model.preprocessing)
    return BAD_INPUT if errors else OK
