"""Print the layers of a net."""
import json

from ash_distribution.parser import Parser
from ash_tf1 import plugins
from ash_tf1.commands import options
from ash_tf1.commands.running import run
from ash_tf1.nets import get_net, reference_task
from ash_tf1.nets import summary as summaries
from ash_tf1.ops import get_activation


def main(argv=None):
    """Parses argv and runs the command; returns its exit status."""
    parser = Parser(
        'summarize',
        'Print what a net is made of: each layer\'s output (without the batch), its '
        'trained parameters, its multiply-adds for one image, and its activation. The '
        'parameters of the activation are counted separately.',
        ['resnet_v1_50', 'vgg_11 --input-size 32 --classes 10 --activation relu',
         'resnet_v1_50 --net-options stride_placement=3x3 --json'])
    options.add_name(parser, 'net', 'net', help='the net; ' + options.LISTED)
    options.add_input_size(parser, '32 or 224, the size that the net was published for')
    parser.add_argument('--classes', type=int, metavar='N',
                        help='number of classes (default: 10 or 1000, as published)')
    options.add_name(parser, 'activation', '--activation', default='ash',
                     help=options.LISTED + ' (default: %(default)s)')
    parser.add_argument('--net-options', nargs='*', default=[], metavar='KEY=VALUE',
                        help='options of the net, such as dropout_rate=0.3')
    options.add_plugin(parser)
    options.add_json(parser)
    return run(parser, _summarize, argv)


def _summarize(args):
    plugins.load(args.plugin)
    net = get_net(args.net, args.net_options)
    shape, classes = reference_task(args.net)
    shape = options.input_shape(args.input_size, shape)
    classes = classes if args.classes is None else args.classes
    if classes < 1:
        raise ValueError('--classes must be 1 or more, got {}'.format(classes))
    # The plain form has the same variables and is built faster.
    summary = summaries.summarize(net, shape, classes, get_activation(args.activation, 'plain'),
                                  args.activation)
    if args.json:
        print(json.dumps({
            'net': args.net, 'net_options': args.net_options, 'input_shape': shape,
            'classes': classes, 'activation': args.activation,
            'parameters': summary.parameters, 'multiply_adds': summary.multiply_adds,
            'activations': summary.activations,
            'activation_parameters': summary.activation_parameters,
            'layers': [layer._asdict() for layer in summary.layers]}, indent=2))
        return 0
    rows = [('layer', 'output', 'parameters', 'multiply-adds', 'activation')]
    rows += [(layer.name, 'x'.join(map(str, layer.output_shape)), _number(layer.parameters),
              _number(layer.multiply_adds), _activation(layer.activation,
                                                        layer.activation_parameters))
             for layer in summary.layers]
    rows.append(('total', '', _number(summary.parameters), _number(summary.multiply_adds),
                 _activation(str(summary.activations), summary.activation_parameters)))
    widths = [max(map(len, column)) for column in zip(*rows)]
    ruler = '  '.join('-' * width for width in widths)
    print(' '.join([args.net] + args.net_options), 'of {}x{}x{} for {} classes'.format(
        *shape, classes))
    for i, row in enumerate(rows):
        if i in (1, len(rows) - 1):
            print(ruler)
        print('{:<{}}  {:>{}}  {:>{}}  {:>{}}  {}'.format(
            *(part for pair in zip(row, widths[:4]) for part in pair), row[4]).rstrip())
    return 0


def _number(value):
    return '{:,}'.format(value) if value else ''


def _activation(text, parameters):
    return text + (' +{} parameters'.format(_number(parameters)) if parameters else '')
