"""Makes images with an exported generator, and draws them."""

import argparse
import itertools
import re
from pathlib import Path

import numpy as np

from ash_distribution.parser import Parser
from ash_onnx.commands.options import add_model_arguments
from ash_onnx.commands.running import OK, open_model, print_json, print_text, run
from ash_onnx.kinds.generator.generation import BATCH_SIZE, check_positive, stream
from ash_onnx.kinds.generator.grid import check_grid, draw_grid
from ash_onnx.loading import load_generator
from ash_onnx.pictures import check_picture_path, same_file, write_picture

GRID, STEPS = (5, 10), 10

_NOTES = """\
Image i of a seed is the same however many are made, in batches of any size (but for rounding, by
one grey level). OUT shows the images row by row. With --walk it is a strip of --steps images from
the first of one seed to the first of another: along a straight line where z is uniform, which stays
where z was in training, and along an arc where z is normal, which keeps the distance from the mean.

exit status: 0 made, 2 bad input
"""


def main(argv=None):
    """Parses argv and runs the command; returns its exit status."""
    return run(build_parser(), _generate, argv)


def build_parser():
    """The parser of the command's arguments."""
    parser = Parser('generate', __doc__, [
        'checkpoints/NAME images.png --seed 3',
        'checkpoints/NAME strip.png --walk 0 1 --steps 12',
        'checkpoints/NAME first.png --count 10000 --separate images/'], _NOTES)
    add_model_arguments(parser)
    parser.add_argument('out', metavar='OUT', help='the picture to write, .png or .jpg')
    parser.add_argument('--seed', type=int, metavar='S', help='0 to 2**32 - 1 (default: 0)')
    parser.add_argument('--count', type=int, metavar='N',
                        help='images to make (default: as many as the grid has places); more than '
                             'those only with --separate')
    parser.add_argument('--grid', type=_grid, metavar='ROWSxCOLS',
                        help='places in the picture (default: {}x{})'.format(*GRID))
    parser.add_argument('--walk', type=int, nargs=2, metavar=('SEED1', 'SEED2'),
                        help='draw the way from one seed to another instead')
    parser.add_argument('--steps', type=int, metavar='N',
                        help=f'--walk: images of the strip, 2 or more (default: {STEPS})')
    parser.add_argument('--separate', metavar='DIR',
                        help='write each image as a PNG file too, 00000.png and on, into a folder '
                             'that is not there or empty')
    parser.add_argument('--batch-size', type=int, default=BATCH_SIZE, metavar='N',
                        help='images in one run (default: %(default)s)')
    parser.add_argument('--overwrite', action='store_true', help='replace OUT')
    parser.add_argument('--quiet', action='store_true', help='no progress bar')
    return parser


def _grid(text):
    match = re.fullmatch(r'([1-9][0-9]{0,4})x([1-9][0-9]{0,4})', text)
    if not match:
        raise argparse.ArgumentTypeError(f'must be like 5x10, got {text!r}')
    return tuple(map(int, match.groups()))


def _generate(args):
    """Writes the pictures and says what they show; returns 0."""
    _check_options(args)
    check_picture_path(args.out, args.overwrite)
    separate = None if args.separate is None else _empty_folder(Path(args.separate))
    if separate is not None and same_file(separate, Path(args.out).parent):
        raise ValueError(f'{args.out}: OUT must not be in the folder of --separate')
    model = open_model(load_generator, args)
    seed = args.walk[0] if args.walk else args.seed or 0
    grid = (1, STEPS if args.steps is None else args.steps) if args.walk else args.grid or GRID
    first = model.run(model.draw(seed)[np.newaxis])[0]
    check_grid(*grid, *first.shape[:2])  # before the others are made
    if args.walk:
        count, vectors = grid[1], model.walk(*args.walk, grid[1])
    else:
        count = grid[0] * grid[1] if args.count is None else args.count
        vectors = (model.draw(seed, i) for i in range(count))
    images = stream(model, vectors, count, args.batch_size, args.quiet)
    shown = list(itertools.islice(images, grid[0] * grid[1]))
    picture = draw_grid(shown, *grid)
    if separate is not None:
        separate.mkdir(exist_ok=True)
        for i, image in enumerate(itertools.chain(shown, images)):
            write_picture(separate / f'{i:05d}.png', image)
    write_picture(args.out, picture)
    _report(args, model, count, grid)
    return OK


def _check_options(args):
    if args.walk and not (args.seed is args.count is args.grid is None):
        raise ValueError('--seed, --count and --grid do not go with --walk, which draws one strip')
    if args.steps is not None and not args.walk:
        raise ValueError('--steps is for --walk')
    if args.count is not None:
        check_positive('--count', args.count)
        rows, columns = args.grid or GRID
        if args.count > rows * columns and args.separate is None:
            raise ValueError(f'--count {args.count} is more than the {rows * columns} places of '
                             f'the grid {rows}x{columns}: give a larger --grid, or --separate')


def _empty_folder(path):
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f'{path}: this is no folder')
    if path.is_dir() and any(path.iterdir()):
        raise ValueError(f'{path}: this folder is not empty; give another one')
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f'{path}: there is no folder {path.parent}')
    return path


def _report(args, model, count, grid):
    what = {'walk': args.walk} if args.walk else {'seed': args.seed or 0}
    if args.json:
        print_json({'artifact': args.artifact, 'provider': model.provider, **what, 'count': count,
                    'grid': grid, 'picture': args.out, 'separate': args.separate})
        return
    text = ('the way from seed {} to seed {}'.format(*args.walk) if args.walk else
            f'seed {args.seed or 0}')
    lines = [f'{count} images of {text} on {model.provider}',
             f'{args.out}: {min(count, grid[0] * grid[1])} of them, {grid[0]} x {grid[1]}']
    print_text('\n'.join(lines + ([f'{args.separate}: each as a PNG file'] if args.separate
                                  else [])))
