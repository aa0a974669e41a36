#!/usr/bin/env python3
"""Import an old checkpoint, under the names of today's nets; see --help."""
import argparse
import sys

import _train_side  # noqa: F401

from ash_tf1 import commands


def main(argv=None):
    parser = argparse.ArgumentParser(
        description='Import a TensorFlow 1 checkpoint of other code: give its variables the names '
                    'that the nets have here, check them, and write them as a current checkpoint. '
                    'With --labels, tools/evaluate.py and tools/export_onnx.py take the folder of '
                    'NEW as they take the folder of a run. '
                    'The rules, which say what becomes what, are described in '
                    'docs/legacy-checkpoints.md; ready ones are: {}.'.format(
                        ', '.join(commands.ready_rules())),
        epilog='example: python tools/import_checkpoint.py resnet_v1_50.ckpt '
               'imported/resnet50.ckpt --map slim-resnet-v1 --net resnet_v1_50 --activation relu '
               '--net-options stride_placement=slim --labels imagenet.txt --preprocess vgg')
    parser.add_argument('old', metavar='OLD',
                        help='checkpoint, V1 or V2: its folder, its prefix, or its .index, .meta '
                             'or .data-* file')
    parser.add_argument('new', metavar='NEW', nargs='?',
                        help='prefix of the checkpoint to write, e.g. imported/model.ckpt')
    parser.add_argument('--map', metavar='RULES', action='append', default=[],
                        help='file of rules, or the name of ready ones; given several times, the '
                             'first rule that matches decides')
    parser.add_argument('--list', action='store_true',
                        help="print OLD's variables, with dtype and shape, and do no more")
    parser.add_argument('--dry-run', action='store_true', help='report, but write nothing')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace the checkpoint that is at NEW, and a model.json beside it')
    parser.add_argument('--ignore-unmatched', action='store_true',
                        help='leave out what matches no rule and is not in the net')
    group = parser.add_argument_group('the net that it is for (without: no shapes are checked)')
    group.add_argument('--net', metavar='NAME', help='a net, as for tools/train.py')
    group.add_argument('--classes', type=int, metavar='N', help='number of classes')
    group.add_argument('--net-options', nargs='*', default=[], metavar='KEY=VALUE',
                       help='options of the net, such as stride_placement=slim')
    group.add_argument('--labels', metavar='FILE',
                       help='text file with the name of a class on each line, in the order of the '
                            'classes: NEW gets a model.json, and --classes may be left out')
    commands.add_preprocess(group, 'how a photo becomes the input that the net was trained on, '
                                   'for model.json')
    group.add_argument('--input-size', type=int, nargs=3, default=(224, 224, 3),
                       metavar=('H', 'W', 'C'), help='size of the images (default: 224 224 3)')
    group.add_argument('--activation', default='ash', metavar='NAME',
                       help='its activation, as for tools/train.py (default: %(default)s)')
    group.add_argument('--scope', metavar='NAME',
                       help='variable scope of the net (default: its name)')
    group.add_argument('--initialize-missing', action='store_true',
                       help='give initial values to what nothing in OLD becomes')
    group.add_argument('--seed', type=int, default=0, metavar='N',
                       help='of these initial values (default: %(default)s)')
    return commands.run(parser, commands.import_checkpoint, argv)


if __name__ == '__main__':
    sys.exit(main())
