"""Everything that decides how a net is trained: one frozen `Settings`."""
import dataclasses
import math
import re
from typing import Tuple

from ash_tf1 import preprocessing, reading
from ash_tf1.input_pipelines import ANY_SIZE
from ash_tf1.input_pipelines.transforms import AUGMENTATIONS
from ash_tf1.ops import AUTO, IMPLEMENTATIONS
from ash_tf1.records import make_record
from ash_tf1.training.optimizer import OPTIMIZERS


def _setting(default, help_text, choices=None, of=None):
    """A field. `choices` are the possible values; `of` is the type of a tuple's elements."""
    return dataclasses.field(default=default, metadata={'help': help_text, 'choices': choices,
                                                        'of': of})


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything that decides how a net is trained. Each field is an option of the command line."""

    task: str = _setting('classification', 'what the net is trained for')
    net: str = _setting('resnet_v2_20', 'net to train')
    net_options: Tuple[str, ...] = _setting((), 'options of the net, such as dropout_rate=0.3',
                                            of=str)
    activation: str = _setting('ash', 'activation of every layer')
    dataset: str = _setting('digits', 'data set')
    dataset_options: Tuple[str, ...] = _setting((), 'options of the data set, such as '
                                                    'attributes=Smiling,not-Male', of=str)
    data_dir: str = _setting('', 'folder or official archive of the data set')
    image_size: Tuple[int, ...] = _setting((), 'height and width that photos are fitted to, or one '
                                               'number for both (default: {})'.format(', '.join(
                                                   '{} {} for {}'.format(*size, name)
                                                   for name, size in ANY_SIZE.items())), of=int)
    validation_share: float = _setting(0.1, 'share of the training images that is held out to '
                                            'choose the best checkpoint, if the data set has no '
                                            'validation split of its own; with 0 nothing is held '
                                            'out, and no best checkpoint is chosen')
    init_from: str = _setting('', 'checkpoint that gives the initial weights, or its folder: that '
                                  'of a run, or one that tools/import_checkpoint.py wrote; the net '
                                  'may have another scope there (default: random weights)')
    init_exclude: Tuple[str, ...] = _setting((), 'what does not take its weights from --init-from: '
                                                 'regular expressions for scopes or variables '
                                                 'below the net\'s scope, such as logits or '
                                                 'block4/.*', of=str)
    normalization: Tuple[str, ...] = _setting((), 'channels, mean and std of pixels, as in '
                                                  '--preprocess of tools/import_checkpoint.py: '
                                                  'vgg, or mean=127.5 std=127.5 (default: those '
                                                  'of the data set)', of=str)
    batch_size: int = _setting(128, 'images per step')
    epochs: int = _setting(0, 'length of the run in epochs; give this or --steps')
    steps: int = _setting(0, 'length of the run in steps; give this or --epochs')
    schedule: str = _setting('step', 'learning rate over the run',
                             choices=('step', 'cosine', 'one_cycle'))
    learning_rate: float = _setting(0.1, 'initial rate (step, cosine) or highest (one_cycle)')
    step_at: Tuple[float, ...] = _setting((0.5, 0.75), 'step: shares of the run where the rate '
                                                       'is multiplied by --step-factor', of=float)
    step_factor: float = _setting(0.1, 'step: what the rate is multiplied by')
    warmup: float = _setting(0.3, 'one_cycle: share of the run over which the rate rises')
    constant_from: int = _setting(0, 'step from which the rate is --constant-rate; --schedule is '
                                     'that of a run of so many steps (0: of the whole run)')
    constant_rate: float = _setting(0.0, 'rate from --constant-from on; with --extend: of all '
                                         'steps that are added')
    optimizer: str = _setting('momentum', 'momentum is SGD with momentum; adam has a step for each '
                                          'weight (arXiv 1412.6980)',
                              choices=tuple(OPTIMIZERS))
    momentum: float = _setting(0.9, 'momentum: share of the last step that is added to the next')
    nesterov: bool = _setting(False, 'momentum: use Nesterov\'s form')
    beta1: float = _setting(0.9, 'adam: decay of the mean of the gradients')
    beta2: float = _setting(0.999, 'adam: decay of the mean of their squares')
    label_smoothing: float = _setting(0.0, 'what the target of the right label lacks to 1: in '
                                           'classification it is spread over all labels, in '
                                           'generation it is taken from the real images')
    weight_decay: float = _setting(1e-4, 'L2 penalty of the trained variables of rank 2 or more, '
                                         'which are the kernels: not of scalars and vectors, such '
                                         'as z_k, alpha, beta, biases and BatchNorm')
    clip_norm: float = _setting(0.0, 'largest norm of the gradient of all variables together; a '
                                     'larger gradient is scaled down to it (0: no limit)')
    ema_decay: float = _setting(0.0, 'decay of exponential moving averages of the weights, such as '
                                     '0.999: the averages are then evaluated and exported in '
                                     'place of the weights (0: no averages)')
    augmentation: str = _setting('crop_flip', 'how training images are changed at random',
                                 choices=tuple(AUGMENTATIONS))
    implementation: str = _setting(AUTO, 'form of ASH in training; auto is native if that is '
                                         'built, else recompute',
                                   choices=(AUTO,) + tuple(IMPLEMENTATIONS))
    seed: int = _setting(0, 'seed of weights, order and augmentation')
    log_every: int = _setting(50, 'steps between two lines of the log')
    save_every: str = _setting('', 'how often to save between the ends of epochs: a number of '
                                   'steps, as 500, or of minutes, as 10m (default: never)')
    keep: int = _setting(2, 'how many of the latest checkpoints stay')
    keep_every: int = _setting(0, 'epochs between two checkpoints that stay for good (0: none '
                                  'stays)')
    eval_batch_size: int = _setting(500, 'images per step in evaluation; changes no result')

    def __post_init__(self):
        """Raises ValueError, naming the setting, if a value is invalid."""
        positive = ('batch_size', 'learning_rate', 'log_every', 'eval_batch_size', 'step_factor',
                    'keep')
        natural = ('epochs', 'steps', 'constant_from', 'constant_rate', 'momentum', 'weight_decay',
                   'clip_norm', 'seed', 'keep_every')
        for name in positive + natural:
            value = getattr(self, name)
            if not (0 <= value < math.inf) or (value == 0 and name in positive):
                least = 'above 0' if name in positive else '0 or more'
                raise ValueError('{} must be finite and {}, got {!r}'.format(name, least, value))
        if not 0.0 <= self.validation_share < 1.0:
            raise ValueError('validation_share must be in [0, 1), got {!r}'.format(
                self.validation_share))
        if self.image_size and (len(self.image_size) != 2 or min(self.image_size) < 1):
            raise ValueError('image_size must be a height and a width, each 1 or more, got {!r}'
                             .format(self.image_size))
        for name in ('beta1', 'beta2', 'label_smoothing', 'ema_decay'):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ValueError('{} must be in [0, 1), got {!r}'.format(name, getattr(self, name)))
        if self.seed >= 2 ** 32:
            raise ValueError('seed must be below 2**32, got {}'.format(self.seed))
        if not 0.0 < self.warmup < 1.0 or self.momentum >= 1.0:
            raise ValueError('warmup must be in (0, 1) and momentum in [0, 1), got {!r} and {!r}'
                             .format(self.warmup, self.momentum))
        if not all(0.0 < share < 1.0 for share in self.step_at):
            raise ValueError('step_at must be shares in (0, 1), got {!r}'.format(self.step_at))
        if bool(self.constant_from) > bool(self.constant_rate):
            raise ValueError('constant_from {} needs a constant_rate'.format(self.constant_from))
        preprocessing.parse(self.normalization)
        self.save_steps, self.save_seconds  # noqa: B018 - which check save_every
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

    @property
    def save_steps(self):
        """How many steps lie between two saves, by `save_every`; None where it does not say."""
        return self._save_every('')

    @property
    def save_seconds(self):
        """How many seconds lie between two saves, by `save_every`; None where it does not say."""
        minutes = self._save_every('m')
        return None if minutes is None else 60 * minutes

    def _save_every(self, unit):
        if not re.fullmatch(r'([1-9]\d*m?)?', self.save_every):
            raise ValueError('save_every must be a number of steps, as 500, or of minutes, as 10m, '
                             'got {!r}'.format(self.save_every))
        found = re.fullmatch(r'(\d+)' + unit, self.save_every)
        return int(found.group(1)) if found else None


def read_settings(path):
    """Reads `Settings` from a JSON file.

    Args:
      path: path of a file with a JSON object that has some of the fields of `Settings`.

    Raises:
      OSError: the file cannot be read.
      ValueError: the file is not JSON, or does not hold settings.
    """
    values = reading.read_json(path)
    try:
        return make_record(Settings, values)
    except ValueError as error:
        raise ValueError('{} does not hold settings: {}'.format(path, error)) from None
