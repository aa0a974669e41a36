"""The nets of the documents with fewer and thinner layers, and runs of few steps.

This runs on Python 3.7, with TensorFlow.
"""
import dataclasses
import functools

from ash_tf1 import nets
from ash_tf1.nets import resnet, vgg
from ash_tf1.training import extending, schedules

MOST_STEPS = 20


@dataclasses.dataclass(frozen=True)
class ThinDcgan(nets.dcgan.Dcgan):
    """`Dcgan` with fewer channels, if no option says how many."""

    width: int = 2


def make_thin():
    """Replaces nets, and limits the number of steps of a run, in this process."""
    cifar = (resnet.Block(1, 16, 1, False),)
    imagenet = (resnet.Block(1, 32, 1, True), resnet.Block(1, 64, 2, True))
    for name in ('resnet_v2_8', 'resnet_v2_20', 'resnet_v2_110'):
        nets.NETS[name] = _with_scope(resnet.resnet_v2, cifar, name)
    nets.NETS['resnet_v2_18'] = _with_scope(resnet.resnet_v2, imagenet, 'resnet_v2_18')

    def resnet_v1_50(inputs, num_classes, activation_fn, is_training, reuse=None,
                     scope='resnet_v1_50', stride_placement='first'):
        return resnet.resnet_v1(inputs, imagenet, num_classes, activation_fn, is_training, reuse,
                                scope, stride_placement=stride_placement)
    nets.NETS['resnet_v1_50'] = resnet_v1_50
    vgg.VGG_19_LAYERS = tuple(
        (number, channels and channels // 16) for number, channels in vgg.VGG_19_LAYERS
        if number in (1, 3, 4, 6, 9, 10, 20, 14, 21, 18))

    nets.GANS['dcgan'] = ThinDcgan

    whole = schedules.total_steps

    @functools.wraps(whole)
    def total_steps(settings, epoch_steps):
        return min(whole(settings, epoch_steps), MOST_STEPS)
    schedules.total_steps = extending.total_steps = total_steps


def _with_scope(builder, blocks, name):
    def net(inputs, num_classes, activation_fn, is_training, reuse=None, scope=name):
        return builder(inputs, blocks, num_classes, activation_fn, is_training, reuse, scope)
    return net
