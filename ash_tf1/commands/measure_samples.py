"""Measure the samples of generators, and draw them side by side."""
import contextlib
import csv
import json
import os

from ash_distribution.parser import Parser
from ash_tf1 import files, plugins, preprocessing
from ash_tf1.commands import options
from ash_tf1.commands.artifacts import needing_tf2onnx
from ash_tf1.commands.running import print_line, run

FIGURES = {'frechet': ('Frechet', '{:.3f}'), 'faces': ('faces', '{:.1%}'),
           'nearest': ('nearest', '{:.1f}')}
COLUMNS = ('activation', 'epoch', 'run', 'frechet', 'faces', 'nearest')


def main(argv=None):
    """Parses argv and runs the command; returns its exit status."""
    parser = Parser(
        'measure-samples',
        'Measure the samples of generators beside the real images of the first run, at '
        'one or several epochs. The Frechet distance is that of features to the '
        'training images; less is better. It is called FID only where the features are '
        'those of Inception. "faces" is the share of samples in which OpenCV finds a '
        'face. "nearest" is the median distance of a sample to its nearest training '
        'image, in grey levels: far below that of real images, samples are copies. '
        'OUT_DIR gets samples.csv, grids.png, and nearest.png, which shows the '
        'nearest training image below each sample of the last run and epoch.',
        ['runs/ash --out measured', 'runs/ash runs/relu --epochs 10 50 100 --out measured '
         '--features checkpoints/resnet20-cifar10-ash/run',
         'runs/ash --face-count 1000 --out measured --json'])
    parser.add_argument('runs', metavar='RUN_DIR', nargs='+', help='folder of a run')
    parser.add_argument('--out', required=True, metavar='OUT_DIR', dest='out_dir',
                        help='folder to write to; files of these names in it are replaced')
    parser.add_argument('--epochs', type=int, nargs='+', metavar='N',
                        help='epochs whose checkpoints are measured (default: the latest one)')
    parser.add_argument('--data-dir', metavar='PATH',
                        help='folder or archive of the data set (default: as in training)')
    parser.add_argument('--count', type=int, default=4000, metavar='N',
                        help='samples for the Frechet distance (default: %(default)s)')
    parser.add_argument('--face-count', type=int, default=0, metavar='N',
                        help='samples in which faces are looked for (default: none)')
    parser.add_argument('--features', metavar='PATH',
                        help='the network for the Frechet distance: the folder of a run of a '
                             'classifier, or a frozen graph, .pb (default: no Frechet distance)')
    parser.add_argument('--features-output', metavar='NAME',
                        help='of a frozen graph: the tensor of features, such as pool_3:0')
    parser.add_argument('--features-input', metavar='NAME',
                        help='of a frozen graph: the tensor of images (default: the only '
                             'placeholder)')
    parser.add_argument('--features-size', type=int, nargs=2, metavar='N',
                        help='of a frozen graph: height and width (default: those of its input)')
    options.add_preprocess(parser, 'of a frozen graph: how images become its input')
    options.add_plugin(parser)
    options.add_json(parser)
    return run(parser, _measure, argv)


def _measure(args):
    for path in args.runs:
        plugins.load_for(path, args.plugin)
    for option, value, least in (('--count', args.count, 2), ('--face-count', args.face_count, 0)):
        if value < least:
            raise ValueError('{} must be {} or more, got {}'.format(option, least, value))
    samples = needing_tf2onnx('samples', 'ash_tf1.measuring')
    with _features(args) as net:
        rows, grids, last = _rows(args, samples, net)
    _write(args.out_dir, rows, grids, last)
    if args.json:
        print(json.dumps({'features': net and net.name, 'rows': rows}, indent=2))
        return 0
    if net is not None:
        print_line('features: {}'.format(net.name))
    _print_table(rows)
    print_line('written: {}'.format(', '.join(os.path.join(args.out_dir, name) for name in (
        'samples.csv', 'grids.png', 'nearest.png'))))
    return 0


def _features(args):
    """The network for the Frechet distance, to be closed after use, or what stands for none."""
    if not args.features:
        return contextlib.nullcontext()
    features = needing_tf2onnx('features', 'ash_tf1.measuring')
    if os.path.isdir(args.features):
        if args.features_output or args.features_input or args.features_size or args.preprocess:
            raise ValueError('{} is the folder of a run, which says all about its net: leave '
                             '--features-... and --preprocess out'.format(args.features))
        return features.of_run(args.features)
    if not args.features_output:
        raise ValueError('{} is a graph: name the tensor of its features by --features-output'
                         .format(args.features))
    return features.of_graph(args.features, args.features_output,
                             preprocessing.parse(args.preprocess), args.features_size,
                             args.features_input)


def _rows(args, samples, net):
    """(the rows of the table, the grids by run and epoch, (samples, their nearest images))."""
    from ash_tf1.measuring.neighbours import nearest
    real = samples.load_real(args.runs[0], args.data_dir)
    measures = samples.Measures(real, net, args.face_count)
    rows = [dict(measures.of_real(), activation='real images', epoch='', run='')]
    grids, images = {}, None
    for path in args.runs:
        with samples.Generator(path) as generator:
            name = generator.spec.activation
            if any(row == name for row, _ in grids):  # two runs of one activation
                name = os.path.basename(os.path.normpath(path))
            for epoch in args.epochs or [None]:
                images = generator(generator.prefix(epoch), max(args.count, args.face_count))
                rows.append(dict(measures.of_samples(images), activation=name,
                                 epoch='latest' if epoch is None else epoch, run=path))
                grids[name, _heading(epoch)] = images[:samples.SHOWN]
    shown = images[:samples.SHOWN]
    return rows, grids, (shown, real.train[nearest(shown, real.train, flip=False).indices])


def _heading(epoch):
    return 'latest' if epoch is None else 'epoch {}'.format(epoch)


def _write(folder, rows, grids, last):
    from ash_tf1.measuring import drawing
    with files.replacing(os.path.join(folder, 'samples.csv')) as temporary, \
            open(temporary, 'w', newline='', encoding='utf-8') as handle:
        writer = csv.DictWriter(handle, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    names = [list(dict.fromkeys(key[place] for key in grids)) for place in (0, 1)]
    with files.replacing(os.path.join(folder, 'grids.png')) as temporary:
        drawing.draw_grids(temporary, grids, *names)
    with files.replacing(os.path.join(folder, 'nearest.png')) as temporary:
        drawing.draw_pairs(temporary, *last)


def _print_table(rows):
    figures = [name for name in FIGURES if any(name in row for row in rows)]
    table = [['activation', 'epoch'] + [FIGURES[name][0] for name in figures]]
    table += [[row['activation'], str(row['epoch'])] + [
        FIGURES[name][1].format(row[name]) if name in row else '-' for name in figures]
        for row in rows]
    widths = [max(map(len, column)) for column in zip(*table)]
    for line in table:
        print_line('  '.join(cell.ljust(width) if place < 1 else cell.rjust(width) for place, (
            cell, width) in enumerate(zip(line, widths))).rstrip())
