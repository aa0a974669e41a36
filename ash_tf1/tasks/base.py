"""What a task is: the contract between the training loop and what a net is trained for."""
import collections
import dataclasses
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from ash_tf1.nets import default_scope


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """What must be known to rebuild a trained net: its graph is a function of this alone.

    A task whose nets need more has a subclass. A run keeps it as `model.json`.
    """

    net: str        # '' where it is the task's own
    activation: str
    dataset: str    # '' where the weights were imported

    def __post_init__(self):
        """Raises ValueError, naming the field, for a value of the wrong kind."""
        for name in ('net', 'activation', 'dataset'):
            if not isinstance(getattr(self, name), str):
                raise ValueError('{} must be a name, got {!r}'.format(name, getattr(self, name)))

    scope = ''  # variable scope that the net was given; its own where it is empty

    @property
    def net_scope(self):
        """The variable scope that all variables of the net are in."""
        return self.scope or (default_scope(self.net) if self.net else '')

    @property
    def normalization(self):
        """The setting `normalization` that gives another net the input of this one; '' for none."""
        return ''

    @property
    def image_size(self):
        """(height, width) that a data set of photos is fitted to; None where that is not known."""
        return None


class Metric(NamedTuple):
    """A number that is logged: of each training step, and of each evaluation."""

    name: str          # its column in metrics.csv, and its key in results
    title: str         # of its plot
    text: str          # of a line for the user, with one field, such as 'top-1 {:.2%}'
    unit: str = ''     # of the plot's axis
    scale: float = 1.  # from the number to that unit


class Objective(NamedTuple):
    """A loss, and the variables that it trains. A step minimises each objective once, in order."""

    name: str        # that of the loss's `Metric`
    loss: tf.Tensor  # scalar, without the penalty of the weights
    scope: str = ''  # variable scope of what it trains; all trainable variables by default


class Interface(NamedTuple):
    """The graph that a trained net is exported as, in the current graph."""

    inputs: Dict[str, tf.Tensor]   # key of an example -> placeholder, named as in the model
    outputs: Dict[str, tf.Tensor]  # name in the model -> tensor


class Evaluation:
    """What an evaluation found.

    Attributes:
      count: number of examples.
      metrics: dict of the names of a task's `Metric`s to floats.
    """

    def __init__(self, count, metrics):
        self.count, self.metrics = count, metrics

    def to_json(self, spec):
        """All of it as JSON values, of the net of a `ModelSpec`; what is not finite is None."""
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
    """A number as JSON has it: None for NaN and infinity."""
    return value if np.isfinite(value) else None


class Evaluator:
    """The ops that an evaluation runs on each batch, and what their values add up to.

    Attributes:
      fetches: what `tf.Session.run` is to fetch of each batch.
    """

    fetches = ()

    def summarize(self, answers):
        """The `Evaluation` of an iterable of (values of the fetches, batch), one for each batch."""
        raise NotImplementedError


class MeanEvaluator(Evaluator):
    """Averages over examples, for metrics that are means of a value of each example."""

    def __init__(self, values):
        """Takes an ordered dict: name of a `Metric` -> tensor [N] of a batch of N examples."""
        self.fetches = dict(values)

    def summarize(self, answers):
        parts = [values for values, _ in answers]
        means = {name: np.concatenate([part[name] for part in parts]) for name in self.fetches}
        count = len(next(iter(means.values())))
        return Evaluation(count, collections.OrderedDict(
            (name, float(np.mean(values, dtype=np.float64))) for name, values in means.items()))


class Task:
    """What a net is trained for. A subclass states the attributes and fills in the methods.

    Attributes:
      name: under which it is registered in `TASKS`.
      spec_type: `ModelSpec`, or the task's own subclass.
      metrics: the `Metric`s that are logged, in order; those of the objectives' losses among them.
      best: (name of a metric, max or min): what makes a checkpoint the best one, on the validation
        split; None where there is no such thing.
    """

    name: str
    spec_type: type = ModelSpec
    metrics: Tuple[Metric, ...]
    best: Optional[Tuple[str, Callable]] = None

    def spec(self, settings, dataset):
        """The `ModelSpec` of what `Settings` train on a `Dataset`."""
        return self.spec_type(settings.net, settings.activation, dataset.name)

    def check_dataset(self, spec, dataset):
        """Raises ValueError where a net of a `ModelSpec` cannot be evaluated on a `Dataset`."""

    def feeds(self, spec):
        """Makes the placeholders: a dict from the keys of the data set's examples."""
        raise NotImplementedError

    def forward(self, feeds, spec, activation_fn, is_training, reuse=None):
        """Builds the net in the current graph.

        Args:
          feeds: what the method `feeds` made.
          spec: the `ModelSpec`.
          activation_fn: the activation of every layer.
          is_training: bool.
          reuse: whether the net's variables are reused, as for `tf.variable_scope`.

        Returns:
          Whatever the methods below take as `outputs`.
        """
        raise NotImplementedError

    def objectives(self, outputs, feeds):
        """The `Objective`s of a training graph, a list of at least one."""
        raise NotImplementedError

    def batch_metrics(self, outputs, feeds):
        """A dict of the metrics of a training batch beyond the losses: name -> scalar tensor."""
        del outputs, feeds
        return {}

    def evaluator(self, outputs, feeds):
        """The `Evaluator` of a graph for inference."""
        raise NotImplementedError

    def photos(self, spec, path):
        """A `Split` of photos in files under a path, for a net of a `ModelSpec`.

        Raises:
          ValueError: the task has no form for them, or a file does not fit.
          OSError: a folder or file cannot be read.
        """
        raise ValueError('photos at {} cannot be used: {} has no form for them'.format(
            path, self.name))

    def photo_samples(self, spec, paths):
        """A batch of photos in files for the inputs of `interface`; raises as `photos` does."""
        return self.photos(spec, paths)

    def interface(self, spec, activation_fn):
        """Builds the graph that is exported: an `Interface`."""
        raise NotImplementedError

    def properties(self, spec) -> Dict[str, Any]:
        """What the metadata of an artifact say of its kind: a dict of strings."""
        del spec
        return {'kind': 'tensors'}

    def texts(self, spec) -> Dict[str, str]:
        """Text files beside the model of an artifact: name -> content."""
        del spec
        return {}
