"""What a run is: one frozen `Settings`, the recipes that fill it, and the `ModelSpec` it yields."""
import dataclasses
import json
import math
import os
import re
from typing import Tuple

from ash_tf1 import preprocessing
from ash_tf1.files import write_json
from ash_tf1.input_pipelines.transforms import AUGMENTATIONS
from ash_tf1.ops import AUTO, IMPLEMENTATIONS
from ash_tf1.preprocessing import Preprocessing

SETTINGS_FILE = 'settings.json'
MODEL_FILE = 'model.json'


def _setting(default, help_text, choices=None, of=None):
    """A field; `of` is the type of a tuple's elements, and `choices` are what a value may be."""
    return dataclasses.field(default=default, metadata={'help': help_text, 'choices': choices,
                                                        'of': of})


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything that decides how a net is trained. The command line is made from the fields."""

    net: str = _setting('resnet_v2_20', 'net to train')
    net_options: Tuple[str, ...] = _setting((), 'options of the net, such as dropout_rate=0.3',
                                            of=str)
    activation: str = _setting('ash', 'activation of every layer')
    dataset: str = _setting('digits', 'data set')
    data_dir: str = _setting('', 'folder or official archive of the data set')
    init_from: str = _setting('', 'checkpoint to begin with, or its folder: of a run, or as '
                                  'tools/import_checkpoint.py makes them; the scope of the net may '
                                  'be another one there (default: random weights)')
    init_exclude: Tuple[str, ...] = _setting((), 'what begins anew all the same: regular '
                                                 'expressions for scopes or variables below the '
                                                 'net\'s scope, such as logits or block4/.*',
                                             of=str)
    normalization: Tuple[str, ...] = _setting((), 'channels, mean and std of pixels, as in '
                                                  '--preprocess of tools/import_checkpoint.py: '
                                                  'vgg, or mean=127.5 std=127.5 (default: those '
                                                  'of the data set)', of=str)
    batch_size: int = _setting(128, 'images a step')
    epochs: int = _setting(0, 'length of the run in epochs; give this or --steps')
    steps: int = _setting(0, 'length of the run in steps; give this or --epochs')
    schedule: str = _setting('step', 'learning rate over the run',
                             choices=('step', 'cosine', 'one_cycle'))
    learning_rate: float = _setting(0.1, 'initial rate (step, cosine) or highest (one_cycle)')
    step_at: Tuple[float, ...] = _setting((0.5, 0.75), 'step: shares of the run where the rate '
                                                       'is multiplied by --step-factor', of=float)
    step_factor: float = _setting(0.1, 'step: what the rate is multiplied by')
    warmup: float = _setting(0.3, 'one_cycle: share of the run over which the rate rises')
    momentum: float = _setting(0.9, 'momentum of SGD')
    nesterov: bool = _setting(False, 'whether the momentum is Nesterov\'s')
    weight_decay: float = _setting(1e-4, 'L2 penalty of the kernels (not of z_k, alpha, beta, '
                                         'biases or BatchNorm)')
    clip_norm: float = _setting(0.0, 'largest norm that the gradient of all variables together may '
                                     'have; a larger one is scaled down (0: any)')
    augmentation: str = _setting('crop_flip', 'what is done to training images',
                                 choices=tuple(AUGMENTATIONS))
    implementation: str = _setting(AUTO, 'form of ASH in training; auto is native where that is '
                                         'built, else recompute',
                                   choices=(AUTO,) + tuple(IMPLEMENTATIONS))
    seed: int = _setting(0, 'of weights, order and augmentation')
    log_every: int = _setting(50, 'steps between two lines of the log')
    eval_batch_size: int = _setting(500, 'images a step in evaluation; changes no result')

    def __post_init__(self):
        """Raises ValueError, naming the setting, for a value that no run could have."""
        positive = ('batch_size', 'learning_rate', 'log_every', 'eval_batch_size', 'step_factor')
        natural = ('epochs', 'steps', 'momentum', 'weight_decay', 'clip_norm', 'seed')
        for name in positive + natural:
            value = getattr(self, name)
            if not (0 <= value < math.inf) or (value == 0 and name in positive):
                least = 'above 0' if name in positive else '0 or more'
                raise ValueError('{} must be finite and {}, got {!r}'.format(name, least, value))
        if self.seed >= 2 ** 32:
            raise ValueError('seed must be below 2**32, got {}'.format(self.seed))
        if not 0.0 < self.warmup < 1.0 or self.momentum >= 1.0:
            raise ValueError('warmup must be in (0, 1) and momentum in [0, 1), got {!r} and {!r}'
                             .format(self.warmup, self.momentum))
        if not all(0.0 < share < 1.0 for share in self.step_at):
            raise ValueError('step_at must be shares in (0, 1), got {!r}'.format(self.step_at))
        preprocessing.parse(self.normalization)
        for pattern in self.init_exclude:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError('init_exclude takes regular expressions, got {!r}: {}'.format(
                    pattern, error)) from None
        if self.init_exclude and not self.init_from:
            raise ValueError('init_exclude {} needs an init_from'.format(
                ' '.join(self.init_exclude)))
        for field in dataclasses.fields(self):
            choices, value = field.metadata['choices'], getattr(self, field.name)
            if choices and value not in choices:
                raise ValueError('{} must be one of {}, got {!r}'.format(
                    field.name, ', '.join(choices), value))


# Each recipe states what differs from the defaults above.
RECIPES = {
    # He et al., "Identity Mappings in Deep Residual Networks" (1603.05027): 64k steps of 128, the
    # rate divided by 10 at 32k and 48k.
    'resnet-cifar': dict(net='resnet_v2_110', dataset='cifar10', steps=64000, batch_size=128,
                         schedule='step', learning_rate=0.1, step_at=(0.5, 0.75), step_factor=0.1,
                         weight_decay=1e-4, augmentation='crop_flip'),
    # He et al., "Deep Residual Learning for Image Recognition" (1512.03385) and, for how long,
    # 1603.05027: 90 epochs of 256, the rate divided by 10 at 30 and 60. It names no data set, for
    # there is no reader of ImageNet; their scale augmentation is missing likewise.
    'resnet-imagenet': dict(net='resnet_v1_50', dataset='', epochs=90, batch_size=256,
                            schedule='step', learning_rate=0.1, step_at=(1 / 3, 2 / 3),
                            step_factor=0.1, weight_decay=1e-4, augmentation='crop_flip'),
    # Zagoruyko and Komodakis, "Wide Residual Networks" (1605.07146): 200 epochs of 128, the rate
    # times 0.2 at 60, 120 and 160.
    'wide-resnet-cifar': dict(net='wrn_28_10', dataset='cifar10', epochs=200, batch_size=128,
                              schedule='step', learning_rate=0.1, step_at=(0.3, 0.6, 0.8),
                              step_factor=0.2, nesterov=True, weight_decay=5e-4,
                              augmentation='crop_flip'),
    # Huang et al., "Densely Connected Convolutional Networks" (1608.06993): 300 epochs of 64, the
    # rate divided by 10 at 150 and 225.
    'densenet-cifar': dict(net='densenet_100_12', dataset='cifar10', epochs=300, batch_size=64,
                           schedule='step', learning_rate=0.1, step_at=(0.5, 0.75),
                           step_factor=0.1, nesterov=True, weight_decay=1e-4,
                           augmentation='crop_flip'),
    # About an hour on 2 CPU cores; our own, in the manner of "Super-Convergence" (1708.07120).
    'cifar-short': dict(net='resnet_v2_20', dataset='cifar10', epochs=7, batch_size=128,
                        schedule='one_cycle', learning_rate=0.2, weight_decay=5e-4,
                        augmentation='crop_flip'),
    # A minute on 2 CPU cores; flipped digits are other digits, so they are only shifted. The norm
    # is for the deep nets, whose first gradients on such small images are in the thousands.
    'digits': dict(net='resnet_v2_8', dataset='digits', epochs=12, batch_size=64,
                   schedule='one_cycle', learning_rate=0.1, weight_decay=5e-4, clip_norm=1.0,
                   augmentation='crop', log_every=5),
}


def get_recipe(name):
    """The `Settings` of a recipe; raises ValueError, listing the known ones, for another name."""
    if name not in RECIPES:
        raise ValueError('unknown recipe {!r}; known are {}'.format(
            name, ', '.join(sorted(RECIPES))))
    return Settings(**RECIPES[name])


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """What must be known to rebuild a trained net: its graph is a function of this alone."""

    net: str
    activation: str
    dataset: str
    input_shape: Tuple[int, int, int]
    channel_mean: Tuple[float, ...]
    channel_std: Tuple[float, ...]
    labels: Tuple[str, ...]
    training_images: int  # 0 where the weights were imported
    net_options: Tuple[str, ...] = ()
    scope: str = ''       # variable scope of the net; the net's own where it is empty
    channels: str = Preprocessing.channels
    resize: str = Preprocessing.resize
    crop: float = Preprocessing.crop
    interpolation: str = Preprocessing.interpolation

    def __post_init__(self):
        """Raises ValueError, naming the field, for a value of the wrong kind."""
        for name in ('net', 'activation', 'dataset', 'scope'):
            if not isinstance(getattr(self, name), str):
                raise ValueError('{} must be a name, got {!r}'.format(name, getattr(self, name)))
        if not _all(self.labels, str) or not self.labels:
            raise ValueError('labels must be a list of names, got {!r}'.format(self.labels))
        if not _all(self.input_shape, int) or len(self.input_shape) != 3:
            raise ValueError('input_shape must be [height, width, channels], got {!r}'.format(
                self.input_shape))
        if not _all(self.net_options, str):
            raise ValueError('net_options must be a list of KEY=VALUE, got {!r}'.format(
                self.net_options))
        if not isinstance(self.training_images, int):
            raise ValueError('training_images must be a number, got {!r}'.format(
                self.training_images))
        for name in ('channel_mean', 'channel_std'):
            value = getattr(self, name)
            if not _all(value, (int, float)) or len(value) != self.input_shape[2]:
                raise ValueError('{} must be a number for each channel, got {!r}'.format(
                    name, value))
        self.preprocessing  # noqa: B018 - which checks the rest

    @property
    def num_classes(self):
        return len(self.labels)

    @property
    def preprocessing(self):
        """The `Preprocessing` from a photo to the net's input."""
        return Preprocessing(self.channels, self.channel_mean, self.channel_std, self.resize,
                             self.crop, self.interpolation)


def _all(values, kind):
    return isinstance(values, tuple) and all(isinstance(value, kind) for value in values)


def model_spec(settings, dataset):
    """The `ModelSpec` of what `settings` train on a `Dataset`."""
    # An image of a data set has the net's size: how a photo is resized is not taken from a name.
    pixels = (preprocessing.parse(settings.normalization) if settings.normalization else
              Preprocessing(mean=tuple(dataset.channel_mean), std=tuple(dataset.channel_std)))
    return ModelSpec(net=settings.net, activation=settings.activation, dataset=dataset.name,
                     input_shape=tuple(dataset.train.images.shape[1:]),
                     channel_mean=pixels.mean, channel_std=pixels.std,
                     labels=tuple(dataset.labels), training_images=len(dataset.train.labels),
                     net_options=settings.net_options, channels=pixels.channels)


def save(run_dir, file_name, record):
    """Writes a `Settings` or `ModelSpec` as JSON into a run's folder."""
    write_json(os.path.join(run_dir, file_name), dataclasses.asdict(record))


def load(run_dir, file_name, kind):
    """Reads what `save` wrote.

    Args:
      run_dir: folder of a run.
      file_name: `SETTINGS_FILE` or `MODEL_FILE`.
      kind: the class of the record, `Settings` or `ModelSpec`.

    Returns:
      A `kind`.

    Raises:
      ValueError: the file is missing, is not JSON, or does not hold a `kind`.
    """
    path = os.path.join(run_dir, file_name)
    try:
        with open(path, encoding='utf-8') as handle:
            values = json.load(handle)
        values = {name: tuple(value) if isinstance(value, list) else value
                  for name, value in values.items()}
        return kind(**values)
    except FileNotFoundError:
        raise ValueError('{} is no folder of a training run: it has no {}'.format(
            run_dir, file_name)) from None
    except (TypeError, AttributeError, ValueError) as error:
        raise ValueError('{} does not hold the {} of a run: {}'.format(
            path, kind.__name__, error)) from None
