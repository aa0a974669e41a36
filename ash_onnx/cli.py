"""What the commands in tools/ share: their common arguments, and one function for each."""

import json
import math
import os
import signal
import sys

from ash_distribution.parser import shown
from ash_onnx import limits, side_by_side
from ash_onnx.annotation import annotate, check_picture_path
from ash_onnx.artifact import load_artifact, load_model
from ash_onnx.evaluation import evaluate, format_evaluation
from ash_onnx.files import describe_others
from ash_onnx.images import read_all
from ash_onnx.optimizing import INT8, optimize
from ash_onnx.prediction import format_predictions, predict
from ash_onnx.session import PROVIDERS
from ash_onnx.side_by_side import format_sides
from ash_onnx.verify import format_verification, verify

OK, BEYOND_TOLERANCE, BAD_INPUT, INTERRUPTED, READER_GONE = 0, 1, 2, 130, 141
_FUSED = {'auto': 'auto', 'yes': True, 'no': False}


def add_model_arguments(parser):
    """Adds the arguments that say which artifact to run, and on what, to an argument parser."""
    parser.add_argument('artifact', help='artifact folder, or the model.onnx in it')
    parser.add_argument('--provider', choices=PROVIDERS, default='cpu',
                        help='execution provider; an error where it is not there, never another '
                             '(default: %(default)s)')
    parser.add_argument('--threads', type=int, metavar='N',
                        help='CPU threads within one operator (default: all cores)')
    parser.add_argument('--time-limit', type=float, default=600, metavar='SECONDS',
                        help='for one run of the model, of a batch (default: %(default)s)')
    parser.add_argument('--memory-limit', type=float, metavar='GB',
                        help='for the data of the process (default: three quarters of the memory '
                             'there is; none on a GPU)')
    parser.add_argument('--fused', choices=_FUSED, default='auto',
                        help='whether each ASH runs as one fused op: auto is yes where the op is '
                             'built (default: %(default)s)')
    parser.add_argument('--json', action='store_true', help='write JSON to stdout')


def model_arguments(args):
    """What `add_model_arguments` added, of parsed arguments, as arguments of `run_command`."""
    opening = {'provider': args.provider, 'threads': args.threads, 'fused': _FUSED[args.fused],
               'time_limit': args.time_limit}
    return {'artifact': args.artifact, 'opening': opening, 'memory_limit': args.memory_limit,
            'as_json': args.json}


def run_command(program, command, memory_limit=None, **arguments):
    """Runs a command's function; bad input becomes one line on stderr.

    Args:
      program: name of the command for the line, `predict.py`.
      command: one of the functions below.
      memory_limit: gigabytes for the data of the process; None for three quarters of the memory,
        or for no limit where `opening`, as from `model_arguments`, has a provider other than
        `cpu`, for GPUs map more than they take.
      **arguments: its arguments.

    Returns:
      The exit status: the function's own, or 2 where it raised a ValueError or an OSError, or
      memory was short; 130 after Ctrl-C.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # as tools/ has it during imports
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):  # as what a caller puts in its place may not
            # A terminal of another encoding shows an escape for what it lacks.
            stream.reconfigure(errors='backslashreplace')
    if memory_limit is None and arguments.get('opening', {}).get('provider', 'cpu') == 'cpu':
        memory_limit = limits.default_gigabytes()
    try:
        with limits.memory_limit(memory_limit):
            return command(program=program, **arguments)
    except BrokenPipeError:  # the reader of the output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except (ValueError, OSError) as error:
        _complain(program, error)
        return BAD_INPUT
    except MemoryError:
        _complain(program, f'it needs more memory than {memory_limit:g} GB: give it more by '
                           '--memory-limit' if memory_limit else 'there is not enough memory')
        return BAD_INPUT
    except KeyboardInterrupt:
        print(f'{program}: interrupted', file=sys.stderr)
        return INTERRUPTED


def _open(load, program, artifact, time_limit, **opening):
    if not 0 < time_limit < math.inf:
        raise ValueError(f'--time-limit must be a number above 0, got {time_limit:g}')
    model = load(artifact, **opening)

    def overdue():
        _complain(program, f'{model.path}: one node takes more than {time_limit:g} seconds: give '
                           'it more by --time-limit, or fewer images')
        os._exit(BAD_INPUT)

    model.time_limit, model.overdue = time_limit, overdue
    return model


def verify_artifact(program, artifact, opening, as_json, rtol, atol):
    """Prints a verification; returns 0, or 1 where it failed."""
    result = verify(_open(load_artifact, program, artifact, **opening), rtol=rtol, atol=atol)
    if as_json:
        _print_json({'artifact': artifact, **result.to_dict()})
    else:
        _print_text(format_verification(result))
    return OK if result.passed else BEYOND_TOLERANCE


def predict_files(program, artifact, opening, as_json, paths, top, save, overwrite):
    """Prints predictions; returns 0, or 2 where a path could not be read (the others are done)."""
    if save is not None:
        check_picture_path(save, overwrite, paths)
    model = _open(load_model, program, artifact, **opening)
    errors, others = [], []
    predictions = predict(model, paths, top, on_other=others.append,
                          on_error=lambda path, error: errors.append((path, error)))
    if as_json:
        _print_json({'artifact': artifact, 'provider': model.provider,
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


def optimize_artifact(program, artifact, out, form, images, reduce_range, compare, threads,
                      as_json):
    """Writes another form of an artifact, and prints how it compares; returns 0."""
    if form != INT8 and (images or reduce_range):
        raise ValueError('--images and --reduce-range are for --int8')
    pixels = None
    if form == INT8:
        source = load_model(artifact, fused=False)
        pixels = read_all(images or (), source.input_shape, source.preprocessing)
    verification, sides = optimize(artifact, out, form, pixels, reduce_range), None
    if compare is not None:
        models = {'float32': load_model(artifact, threads=threads),
                  form: load_model(out, threads=threads)}
        sides = side_by_side.compare(models, compare)
    if as_json:
        _print_json({'artifact': out, **verification.to_dict(),
                     'compared': sides and [side.to_dict() for side in sides]})
    else:
        print(format_verification(verification))
        if sides:
            print('\n' + format_sides(sides))
    return OK


def evaluate_folder(program, artifact, opening, as_json, image_dir, batch_size, quiet):
    """Prints an evaluation; returns 0."""
    model = _open(load_model, program, artifact, **opening)
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
