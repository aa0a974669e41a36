"""Save a data set as image files."""
import json

from ash_distribution.parser import Parser
from ash_tf1 import marking
from ash_tf1.commands import options
from ash_tf1.commands.running import print_line, run
from ash_tf1.input_pipelines import load_dataset
from ash_tf1.input_pipelines.saving import save_image_folder
from ash_tf1.training.evaluation import SPLITS, find_split


def main(argv=None):
    """Parses argv and runs the command; returns its exit status."""
    parser = Parser(
        'save-images',
        'Save a data set as PNG files, OUT_DIR/LABEL/INDEX.png, for predict and '
        'evaluate-onnx. The files hold exactly the pixels of the data set.',
        ['digits images', 'cifar10 images --data-dir cifar-10-python.tar.gz --split train',
         'digits images --per-class 2 --overwrite'])
    options.add_name(parser, 'dataset', 'dataset', help='the data set; ' + options.LISTED)
    parser.add_argument('out_dir', metavar='OUT_DIR', help='folder to write to')
    parser.add_argument('--data-dir', metavar='PATH', help='folder or archive of the data set')
    parser.add_argument('--split', choices=SPLITS, default='test',
                        help='default: %(default)s')
    parser.add_argument('--image-size', type=int, nargs='+', metavar='N', default=(),
                        help='height and width of the images, or one number for both, for a data '
                             'set of photos in folders')
    parser.add_argument('--per-class', type=int, metavar='N',
                        help='save only the first N images of each class (default: all)')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace OUT_DIR, if this command wrote it and nothing in it has '
                             'changed')
    options.add_json(parser)
    return run(parser, _save_images, argv)


def _save_images(args):
    dataset = load_dataset(args.dataset, args.data_dir,
                           image_size=options.image_size(args.image_size) or None)
    split = find_split(dataset, args.split)
    with marking.replacing_folder(args.out_dir, args.overwrite) as folder:
        count = save_image_folder(split, dataset.labels, folder, args.per_class)
        marking.mark(folder)
    if args.json:
        print(json.dumps(dict(folder=args.out_dir, images=count, classes=len(dataset.labels)),
                         indent=2))
    else:
        print_line('{}: {} images of {} classes'.format(args.out_dir, count, len(dataset.labels)))
    return 0
