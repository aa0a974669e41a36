"""Save a data set as image files."""
import argparse

from ash_tf1 import marking
from ash_tf1.commands.running import run
from ash_tf1.input_pipelines import load_dataset
from ash_tf1.input_pipelines.saving import save_image_folder
from ash_tf1.training.evaluation import SPLITS, find_split


def main(argv=None):
    """Parses argv and runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        description='Save a data set as PNG files, OUT_DIR/LABEL/INDEX.png, for tools/predict.py '
                    'and tools/evaluate_onnx.py. The files hold exactly the pixels of the data '
                    'set.',
        epilog='example: python tools/save_images.py cifar10 images --data-dir cifar-10-batches-py')
    parser.add_argument('dataset', metavar='DATASET', help='name of the data set')
    parser.add_argument('out_dir', metavar='OUT_DIR', help='folder to write to')
    parser.add_argument('--data-dir', metavar='PATH', help='folder or archive of the data set')
    parser.add_argument('--split', choices=SPLITS, default='test',
                        help='default: %(default)s')
    parser.add_argument('--image-size', type=int, nargs=2, metavar=('H', 'W'),
                        help='size of the images, for a data set of photos in folders')
    parser.add_argument('--per-class', type=int, metavar='N',
                        help='save only the first N images of each class (default: all)')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace OUT_DIR, if this command wrote it and nothing in it has '
                             'changed')
    return run(parser, _save_images, argv)


def _save_images(args):
    dataset = load_dataset(args.dataset, args.data_dir, image_size=args.image_size)
    split = find_split(dataset, args.split)
    with marking.replacing_folder(args.out_dir, args.overwrite) as folder:
        count = save_image_folder(split, dataset.labels, folder, args.per_class)
        marking.mark(folder)
    print('{}: {} images of {} classes'.format(args.out_dir, count, len(dataset.labels)))
    return 0
