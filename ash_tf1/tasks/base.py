"""The contract between the training loop and a task, which says what a net is trained for."""
import collections
import dataclasses
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1.input_pipelines.transforms import get_augmentation
from ash_tf1.nets import default_scope


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """All that is needed to rebuild the graph of a trained net. A run keeps it as `model.json`.

    A task whose nets need more fields has a subclass.
    """

    net: str        # '' if the task has a net of its own
    activation: str
    dataset: str    # '' if the weights were imported

    def __post_init__(self):
        """Raises ValueError, naming the field, if a value is of the wrong kind."""
        for name in ('net', 'activation', 'dataset'):
            if not isinstance(getattr(self, name), str):
                raise ValueError('{} must be a name, got {!r}'.format(name, getattr(self, name)))

    scope = ''  # variable scope of the net; if empty, the net's default

    @property
    def net_scope(self):
        """The variable scope that all variables of the net are in."""
        return self.scope or (default_scope(self.net) if self.net else '')

    @property
    def normalization(self):
        """The setting `normalization` that gives another net the same input; '' if none does."""
        return ''

    @property
    def image_size(self):
        """(height, width) that a data set of photos is fitted to; None if it is not known."""
        return None


class Metric(NamedTuple):
    """A number that is logged for each training step and each evaluation."""

    name: str          # its column in metrics.csv, and its key in results
    title: str         # title of its plot
    text: str          # format of the number for the user, such as 'top-1 {:.2%}'
    unit: str = ''     # unit of the plot's axis
    scale: float = 1.  # the plot shows scale * number


class Alarm(NamedTuple):
    """A warning that a run gives while a metric stays below a value."""

    metric: str   # name of a `Metric` of training batches
    below: float
    steps: int    # how many in a row
    text: str     # what it means, for the user


class Objective(NamedTuple):
    """A loss, and the variables that it trains. A step minimises each objective once, in order."""

    name: str        # the name of the loss's `Metric`
    loss: tf.Tensor  # scalar, without weight decay
    scope: str = ''  # scope of the variables that it trains; all trainable ones by default


class Interface(NamedTuple):
    """The inputs and outputs of the graph that is exported."""

    inputs: Dict[str, tf.Tensor]   # key of an example -> placeholder, named as in the model
    outputs: Dict[str, tf.Tensor]  # name in the model -> tensor
    scope: str = ''                # variable scope of the part that is exported; '' for the net's
    levels: int = 0                # by how much another engine may differ in outputs of integers


class Evaluation:
    """What an evaluation found.

    Attributes:
      count: number of examples.
      metrics: dict of the names of a task's `Metric`s to floats.
    """

    def __init__(self, count, metrics):
        self.count, self.metrics = count, metrics

    def to_json(self, spec):
        """All results as JSON values, for a net of a `ModelSpec`; NaN and infinity become None."""
        del spec
        return dict({'count': self.count}, **{name: finite(value)
                                              for name, value in self.metrics.items()})

    def summary(self):
        """One line for the user."""
        return ', '.join('{} {:.6g}'.format(name, value) for name, value in self.metrics.items())

    def table(self, spec):
        """Rows (name, text) beyond the metrics, for the user."""
        del spec
        return []


def finite(value):
    """A number for JSON, which has no NaN and no infinity: these become None."""
    return value if np.isfinite(value) else None


class Evaluator:
    """The ops that an evaluation runs on each batch, and the way to sum up their values.

    Attributes:
      fetches: what `tf.Session.run` fetches for each batch.
    """

    fetches = ()

    def summarize(self, answers):
        """Makes the `Evaluation` from an iterable of (values of the fetches, batch)."""
        raise NotImplementedError


class MeanEvaluator(Evaluator):
    """An evaluator for metrics that are the mean of one value per example."""

    def __init__(self, values):
        """Takes an ordered dict: name of a `Metric` -> tensor [N] with a value per example."""
        self.fetches = dict(values)

    def summarize(self, answers):
        parts = [values for values, _ in answers]
        means = {name: np.concatenate([part[name] for part in parts]) for name in self.fetches}
        count = len(next(iter(means.values())))
        return Evaluation(count, collections.OrderedDict(
            (name, float(np.mean(values, dtype=np.float64))) for name, values in means.items()))


class Task:
    """What a net is trained for. A subclass sets the attributes and implements the methods.

    Attributes:
      name: its name in `TASKS`.
      spec_type: `ModelSpec`, or the task's own subclass.
      metrics: the `Metric`s that are logged, in order, including the losses of the objectives.
      best: (name of a metric, max or min): decides which checkpoint is the best on the validation
        split. None if the task has no best checkpoint.
      alarms: the `Alarm`s that warn of a training that goes wrong.
    """

    name: str
    spec_type: type = ModelSpec
    metrics: Tuple[Metric, ...]
    best: Optional[Tuple[str, Callable]] = None
    alarms: Tuple[Alarm, ...] = ()

    def spec(self, settings, dataset):
        """The `ModelSpec` of the net that `Settings` train on a `Dataset`."""
        return self.spec_type(settings.net, settings.activation, dataset.name)

    def prepare(self, spec, dataset):
        """The `Dataset` as a net of a `ModelSpec` takes it.

        Raises:
          ValueError: the net cannot be trained or evaluated on the data set.
        """
        del spec
        return dataset

    def transforms(self, spec, settings):
        """What changes training examples at random: functions (example, rng) -> example."""
        del spec
        return get_augmentation(settings.augmentation)

    def feeds(self, spec):
        """Makes the placeholders of a batch: a dict, key of the data set's examples -> tensor."""
        raise NotImplementedError

    def forward(self, feeds, spec, activation_fn, is_training, reuse=None):
        """Builds the net in the current graph.

        Args:
          feeds: the result of the method `feeds`.
          spec: the `ModelSpec`.
          activation_fn: the activation of every layer.
          is_training: bool.
          reuse: whether the net's variables are reused, as for `tf.variable_scope`.

        Returns:
          An object of the task's choice. The methods below take it as `outputs`.
        """
        raise NotImplementedError

    def objectives(self, outputs, feeds, settings):
        """A list of the `Objective`s of a training graph by `Settings`, one or more."""
        raise NotImplementedError

    def batch_metrics(self, outputs, feeds):
        """The metrics of a training batch besides the losses: a dict, name -> scalar tensor."""
        del outputs, feeds
        return {}

    def evaluator(self, outputs, feeds):
        """Makes the `Evaluator` of a net that was built for inference."""
        raise NotImplementedError

    def pictures(self, outputs, feeds):
        """What a run draws after each epoch of its first examples of the validation split.

        Returns:
          A dict, name -> uint8 tensor [N, H, W, 3].
        """
        del outputs, feeds
        return {}

    def samples(self, spec, count):
        """A batch for the inputs of `interface` that needs no data set; None if there is none.

        Args:
          spec: the `ModelSpec`.
          count: number of examples.

        Returns:
          (dict of key -> array, where the examples are from, as text), or None.
        """
        del spec, count

    def photos(self, spec, path):
        """A `Split` of the photos in files under a path, for a net of a `ModelSpec`.

        Raises:
          ValueError: the task cannot use photos in files, or a file does not fit.
          OSError: a folder or file cannot be read.
        """
        raise ValueError('photos at {} cannot be used: the task {} does not take photos'.format(
            path, self.name))

    def photo_samples(self, spec, paths):
        """Photos in files as a batch for the inputs of `interface`; raises as `photos` does."""
        return self.photos(spec, paths)

    def interface(self, spec, activation_fn):
        """Builds the graph that is exported, in the current graph; returns its `Interface`."""
        raise NotImplementedError

    def any_size_interface(self, spec, activation_fn):
        """As `interface`, for images of any height and width.

        Raises:
          ValueError: the task has no images, or the net needs those of one size.
        """
        raise ValueError('{} takes no images of any size'.format(self.name))

    def properties(self, spec) -> Dict[str, Any]:
        """The task's entries in an artifact's metadata, with the `kind`: a dict of strings."""
        del spec
        return {'kind': 'tensors'}

    def texts(self, spec) -> Dict[str, str]:
        """The text files beside the model in an artifact: a dict, name -> content."""
        del spec
        return {}
