"""What the commands in tools/ share: their common arguments, and one function for each."""

import json
import os
import sys

from ash_onnx.annotation import annotate, check_picture_path
from ash_onnx.artifact import load_artifact, load_model
from ash_onnx.evaluation import evaluate, format_evaluation
from ash_onnx.files import describe_others, shown
from ash_onnx.prediction import format_predictions, predict
from ash_onnx.session import PROVIDERS
from ash_onnx.verify import format_verification, verify

OK, BEYOND_TOLERANCE, BAD_INPUT, READER_GONE = 0, 1, 2, 141


def add_model_arguments(parser):
    """Adds the arguments that say which artifact to run, and on what, to an argument parser."""
    parser.add_argument('artifact', help='artifact folder, or the model.onnx in it')
    parser.add_argument('--provider', choices=PROVIDERS, default='cpu',
                        help='execution provider; an error where it is not there, never another '
                             '(default: %(default)s)')
    parser.add_argument('--threads', type=int, metavar='N',
                        help='CPU threads within one operator (default: all cores)')
    parser.add_argument('--json', action='store_true', help='write JSON to stdout')


def run_command(program, command, **arguments):
    """Runs a command's function; bad input becomes one line on stderr.

    Args:
      program: name of the command for the line, `predict.py`.
      command: one of the functions below.
      **arguments: its arguments.

    Returns:
      The exit status: the function's own, or 2 where it raised a ValueError or an OSError.
    """
    for stream in (sys.stdout, sys.stderr):
        # A terminal of another encoding shows an escape for what it lacks.
        stream.reconfigure(errors='backslashreplace')
    try:
        return command(program=program, **arguments)
    except BrokenPipeError:  # the reader of the output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except (ValueError, OSError) as error:
        _complain(program, error)
        return BAD_INPUT


def verify_artifact(program, artifact, provider, threads, as_json, rtol, atol):
    """Prints a verification; returns 0, or 1 where it failed."""
    result = verify(load_artifact(artifact, provider, threads), rtol=rtol, atol=atol)
    if as_json:
        _print_json({'artifact': artifact, **result.to_dict()})
    else:
        _print_text(format_verification(result))
    return OK if result.passed else BEYOND_TOLERANCE


def predict_files(program, artifact, provider, threads, as_json, paths, top, save):
    """Prints predictions; returns 0, or 2 where a path could not be read (the others are done)."""
    if save is not None:
        check_picture_path(save)
    model = load_model(artifact, provider, threads)
    errors, others = [], []
    predictions = predict(model, paths, top, on_other=others.append,
                          on_error=lambda path, error: errors.append((path, error)))
    if as_json:
        _print_json({'artifact': artifact, 'provider': provider,
                     'predictions': [prediction.to_dict() for prediction in predictions],
                     'errors': [{'path': path, 'error': _one_line(error)}
                                for path, error in errors], 'others': others})
    elif predictions:
        _print_text(format_predictions(predictions))
    if others and not as_json:
        print(f'{program}: {describe_others(others)}', file=sys.stderr)
    for _, error in errors:
        _complain(program, error)
    if save is not None and predictions:
        annotate(predictions, save, model.input_shape, model.preprocessing)
    return BAD_INPUT if errors else OK


def evaluate_folder(program, artifact, provider, threads, as_json, image_dir, batch_size, quiet):
    """Prints an evaluation; returns 0."""
    model = load_model(artifact, provider, threads)
    result = evaluate(model, image_dir, batch_size, quiet)
    if as_json:
        _print_json({'artifact': artifact, **result.to_dict()})
    else:
        _print_text(format_evaluation(result))
    return OK


def _print_json(value):
    print(json.dumps(value, indent=2, allow_nan=False))


def _print_text(text):
    print('\n'.join(map(shown, text.split('\n'))))


def _one_line(error):
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return shown(f'{error.filename}: {error.strerror}')
    return shown(' '.join(str(error).split())) or type(error).__name__


def _complain(program, error):
    print(f'{program}: error: {_one_line(error)}', file=sys.stderr)
