"""Wide residual nets for CIFAR: few pre-activation units, many channels.

"Wide Residual Networks" (arXiv 1605.07146). WRN-d-k is the CIFAR net of `resnet.resnet_v2` with d
layers and with 3x3 convolutions that are k times as wide. Dropout between the two convolutions of a
unit is optional; the paper uses 0.3 on CIFAR.
"""
from ash_tf1.nets.resnet import CIFAR_STEM, Block, resnet_v2


def wide_blocks(depth, width):
    """The three blocks of WRN-depth-width; depth counts the three projections as layers."""
    units, rest = divmod(depth - 4, 6)
    assert rest == 0, depth
    return tuple(Block(units, width * channels, stride, bottleneck=False)
                 for channels, stride in ((16, 1), (32, 2), (64, 2)))


def _wide_net(depth, width):
    blocks = wide_blocks(depth, width)
    name = 'wrn_%d_%d' % (depth, width)

    def net(inputs, num_classes, activation_fn, is_training, reuse=None, scope=name,
            dropout_rate=0.0):
        return resnet_v2(inputs, blocks, num_classes, activation_fn, is_training, reuse, scope,
                         stem=CIFAR_STEM, dropout_rate=dropout_rate)

    net.__name__ = net.__qualname__ = name
    net.__doc__ = ('Wide ResNet %d-%d for CIFAR; arguments and result as `resnet.resnet_v2`.'
                   % (depth, width))
    return net


wrn_16_4 = _wide_net(16, 4)
wrn_28_10 = _wide_net(28, 10)
wrn_40_4 = _wide_net(40, 4)
