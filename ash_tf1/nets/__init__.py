"""The nets, by name. Each is a function

    net(inputs, num_classes, activation_fn, is_training, reuse=None, scope=NAME)
        -> (logits [N, num_classes], end_points)

of normalised images [N, H, W, C]. The activation is always an argument.
"""
from ash_tf1.nets.resnet import (
    resnet_v2_8,
    resnet_v2_20,
    resnet_v2_56,
    resnet_v2_110,
    resnet_v2_164,
)
from ash_tf1.nets.vgg import vgg_11, vgg_19

NETS = {
    'resnet_v2_8': resnet_v2_8,
    'resnet_v2_20': resnet_v2_20,
    'resnet_v2_56': resnet_v2_56,
    'resnet_v2_110': resnet_v2_110,
    'resnet_v2_164': resnet_v2_164,
    'vgg_11': vgg_11,
    'vgg_19': vgg_19,
}


def get_net(name):
    """The net of a name; raises ValueError, listing the known ones, where there is none."""
    if name not in NETS:
        raise ValueError('unknown net {!r}; known are {}'.format(name, ', '.join(sorted(NETS))))
    return NETS[name]
