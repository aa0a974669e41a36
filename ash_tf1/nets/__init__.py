"""The nets, by name. Each is a function

    net(inputs, num_classes, activation_fn, is_training, reuse=None, scope=NAME, ...)
        -> (logits [N, num_classes], end_points)

of normalised images [N, H, W, C]. The activation is always an argument. A net's further arguments
are its options.
"""
import dataclasses
import functools
import inspect

from ash_tf1 import named_options
from ash_tf1.names import unknown
from ash_tf1.nets.dcgan import Dcgan
from ash_tf1.nets.densenet import densenet_100_12, densenet_bc_100_12
from ash_tf1.nets.resnet import (
    resnet_v1_18,
    resnet_v1_34,
    resnet_v1_50,
    resnet_v1_101,
    resnet_v1_152,
    resnet_v2_8,
    resnet_v2_18,
    resnet_v2_20,
    resnet_v2_34,
    resnet_v2_50,
    resnet_v2_56,
    resnet_v2_101,
    resnet_v2_110,
    resnet_v2_152,
    resnet_v2_164,
)
from ash_tf1.nets.vgg import vgg_11, vgg_19
from ash_tf1.nets.wide_resnet import wrn_16_4, wrn_28_10, wrn_40_4

CIFAR_NETS = (
    resnet_v2_8, resnet_v2_20, resnet_v2_56, resnet_v2_110, resnet_v2_164,
    wrn_16_4, wrn_28_10, wrn_40_4,
    densenet_100_12, densenet_bc_100_12,
)
IMAGENET_NETS = (
    resnet_v1_18, resnet_v1_34, resnet_v1_50, resnet_v1_101, resnet_v1_152,
    resnet_v2_18, resnet_v2_34, resnet_v2_50, resnet_v2_101, resnet_v2_152,
    vgg_11, vgg_19,
)
NETS = {net.__name__: net for net in CIFAR_NETS + IMAGENET_NETS}

# Pairs of a generator and a discriminator: classes whose fields are the options.
GANS = {'dcgan': Dcgan}

ARGUMENTS = ('inputs', 'num_classes', 'activation_fn', 'is_training', 'reuse', 'scope')


def get_net(name, options=()):
    """Finds a net by its name and sets some of its options.

    Args:
      name: a key of `NETS`.
      options: sequence of strings such as 'dropout_rate=0.3' or 'stride_placement=3x3'.

    Returns:
      The net, as a function.

    Raises:
      ValueError: the name or an option is unknown, or an option's value is of the wrong kind. The
        message has the nearest names, or the known options. The net checks the value itself when
        it is built.
    """
    if name not in NETS:
        raise unknown('net', name, NETS)
    if not options:
        return NETS[name]
    return functools.partial(NETS[name], **named_options.parse(name, net_options(name), options))


def get_gan(name, options=()):
    """Finds a pair of a generator and a discriminator, as `get_net` finds a net in `GANS`."""
    if name not in GANS:
        raise unknown('generator', name, GANS)
    known = named_options.settable(dataclasses.fields(GANS[name]))
    return GANS[name](**named_options.parse(name, known, options))


def reference_task(name):
    """The input shape [H, W, C] and the number of classes that a net was published for."""
    return ((32, 32, 3), 10) if NETS[name] in CIFAR_NETS else ((224, 224, 3), 1000)


def default_scope(name):
    """The default variable scope of a net; raises ValueError for an unknown net."""
    get_net(name)
    return inspect.signature(NETS[name]).parameters['scope'].default


def net_options(name):
    """The options of a net that a string can set: a dict, name -> default value."""
    parameters = inspect.signature(NETS[name]).parameters.values()
    return named_options.settable(p for p in parameters if p.name not in ARGUMENTS)
