"""The graph of a training run."""
import collections
import zlib
from typing import Any, Dict, List, NamedTuple, Tuple

import tensorflow.compat.v1 as tf

from ash_tf1.monitoring import pass_shares
from ash_tf1.ops import get_activation
from ash_tf1.tasks import Evaluator
from ash_tf1.training.averaging import Averages
from ash_tf1.training.optimizer import make_optimizer, minimize
from ash_tf1.training.schedules import learning_rate

EVALUATION_SCOPE = 'evaluation'


class TrainingGraph(NamedTuple):
    """The tensors that a run feeds and fetches."""

    feeds: Dict[str, tf.Tensor]    # key of examples -> placeholder of a batch
    train_ops: List[tf.Operation]  # one for each objective; the last one ends the step
    losses: Dict[str, tf.Tensor]   # scalar loss of each objective, by name
    metrics: Dict[str, tf.Tensor]  # scalar metrics of the batch, by name; with the losses
    rate: tf.Tensor                # learning rate
    step: tf.Tensor                # global step after the last train_op of the same session.run
    evaluator: Evaluator
    pictures: Dict[str, tf.Tensor]  # what is drawn of a batch: name -> uint8 [N, H, W, 3]
    layers: List[Tuple[str, Dict[str, tf.Tensor]]]  # ASH layers: (name, values to log)
    net_variables: List[Any]       # variables of the net, without those of the optimiser
    begin_averages: tf.Operation   # sets the moving averages, if any, to the variables themselves

    def feed(self, batch):
        """The feed_dict of a batch, which is a dict: key of examples -> array."""
        return {tensor: batch[key] for key, tensor in self.feeds.items()}


def build_training_graph(task, spec, settings, total_steps):
    """Builds a training graph in the current graph.

    The net is built twice with the same variables: for training, with its optimiser, and for
    evaluation. With `Settings.ema_decay` the net for evaluation has the moving averages of these
    variables, those of BatchNorm's averages too.

    Args:
      task: the `Task`.
      spec: the `ModelSpec`.
      settings: the `Settings`.
      total_steps: number of steps of the run.

    Returns:
      A `TrainingGraph`.

    Raises:
      ValueError: the net for evaluation would have variables of its own, which are never trained.
    """
    feeds = task.feeds(spec)
    global_step = tf.train.get_or_create_global_step()  # made first, because dropout depends on it
    activation_fn = get_activation(spec.activation, settings.implementation)
    with tf.variable_scope(tf.get_variable_scope(), custom_getter=_seed_by_name):
        outputs = task.forward(feeds, spec, activation_fn, is_training=True)
    objectives = task.objectives(outputs, feeds, settings)
    recorded = [_record(each.loss) for each in objectives[:-1]]
    losses = collections.OrderedDict(
        (each.name, loss) for each, loss in
        zip(objectives, [variable for variable, _ in recorded] + [objectives[-1].loss]))
    metrics = collections.OrderedDict(losses, **task.batch_metrics(outputs, feeds))
    net_variables = [v for v in tf.global_variables() if v is not global_step]

    rate = learning_rate(settings, global_step, total_steps)
    train_ops = [minimize(objective, make_optimizer(settings, rate), settings,
                          global_step if objective is objectives[-1] else None)
                 for objective in objectives]
    train_ops[:-1] = [tf.group(train_op, record)
                      for train_op, (_, record) in zip(train_ops, recorded)]
    averages = Averages(settings.ema_decay)
    train_ops[-1] = averages.follow(net_variables, global_step, train_ops[-1])
    with tf.control_dependencies(train_ops[-1:]):
        step = tf.identity(global_step.read_value(), name='step_done')

    trained = set(tf.global_variables())
    with tf.name_scope(EVALUATION_SCOPE), \
            tf.variable_scope(tf.get_variable_scope(), custom_getter=averages.getter):
        outputs = task.forward(feeds, spec, activation_fn, is_training=False, reuse=True)
        evaluator, pictures = task.evaluator(outputs, feeds), task.pictures(outputs, feeds)
    _check_shared([v.op.name for v in tf.global_variables() if v not in trained], spec)
    return TrainingGraph(feeds, train_ops, losses, metrics, rate, step, evaluator, pictures,
                         _layer_tensors(averages), net_variables, averages.begin())


def _check_shared(made_anew, spec):
    if made_anew:
        raise ValueError('{} with {} does not share its variables between training and evaluation: '
                         'it made {} anew. Make variables by tf.get_variable, not by tf.Variable'
                         .format(spec.net or 'the net', spec.activation, ', '.join(made_anew[:3])
                                 + (' and others' if len(made_anew) > 3 else '')))


def _record(loss):
    """A variable that keeps a loss of one `session.run` for a later one, and the op that sets it.

    The steps of the objectives are runs of their own. The last one gives the log all losses: those
    of the steps before it are read here, and not computed again. The variable is not saved.
    """
    variable = tf.Variable(tf.zeros([]), trainable=False, name='recorded_loss',
                           collections=[tf.GraphKeys.LOCAL_VARIABLES])
    return variable, variable.assign(loss)


def _seed_by_name(getter, name, *args, **kwargs):
    """Makes random initial values depend only on the graph's seed and the variable's name.

    By default TensorFlow derives an initialiser's seed from the number of ops made before it. Then
    a net with another activation, or another form of it, would begin with other weights.
    """
    initializer = kwargs.get('initializer')
    if getattr(initializer, 'seed', 0) is None:
        settings = dict(initializer.get_config(), seed=zlib.crc32(name.encode()) % 2 ** 31)
        kwargs['initializer'] = type(initializer).from_config(settings)
    return getter(name, *args, **kwargs)


def _layer_tensors(averages):
    """(name, dict of tensors to log) of each layer of the ASH family in the evaluation's net.

    The keys of the dict are columns of `log_reading.ACTIVATIONS`.
    """
    variables = {v.op.name: averages.of(v) for v in tf.trainable_variables()}
    rows = []
    for layer, share in pass_shares(EVALUATION_SCOPE).items():
        row = {'pass_share': share}
        for name in ('z_k', 'alpha'):
            if '{}/{}'.format(layer, name) in variables:
                row[name] = variables['{}/{}'.format(layer, name)][0]
        rows.append((layer, row))
    return rows
