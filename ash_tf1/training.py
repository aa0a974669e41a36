"""Training: the whole life of a run, from settings to its last checkpoint."""
import collections
import contextlib
import dataclasses
import glob
import os
import sys
import zlib

import tensorflow.compat.v1 as tf
from tqdm import tqdm

from ash_tf1 import checkpoint, config, hooks, plotting
from ash_tf1.classifier import build_classifier, pixels_placeholder
from ash_tf1.evaluation import Evaluator
from ash_tf1.initial_weights import find_initial_weights
from ash_tf1.input_pipelines import load_dataset
from ash_tf1.input_pipelines.batching import epoch_batches, prefetch, steps_per_epoch
from ash_tf1.monitoring import pass_shares
from ash_tf1.run_log import METRICS_FILE, RunLog, read_rows
from ash_tf1.schedules import learning_rate
from ash_tf1.sessions import session_config

EVALUATION_SCOPE = 'evaluation'
# Settings that change no weight. What the data set is must be the same, where it is need not.
RESUMABLE_WITH_ANOTHER = ('data_dir', 'log_every', 'eval_batch_size')

TrainingGraph = collections.namedtuple('TrainingGraph', [
    'pixels', 'labels', 'train_op', 'loss', 'top1', 'rate', 'step', 'evaluator', 'layers',
    'net_variables'])
Result = collections.namedtuple('Result', ['step', 'total_steps', 'signal', 'curve'])


def _say(line):
    """Prints a line above the progress bar, at once even where stdout is a file."""
    tqdm.write(line)
    sys.stdout.flush()


def train(settings, run_dir, resume=False, progress=True, report=_say):
    """Trains a net and leaves in run_dir all that is needed to resume, evaluate and export it.

    Writes `settings.json`, `model.json`, a checkpoint an epoch (the latest two kept, the best one
    in `best/`), `metrics.csv`, `activations.csv`, TensorBoard summaries and `learning_curve.png`.
    SIGINT and SIGTERM end the run after the current step, saved; a resumed run goes on with the
    very batches that an uninterrupted one would have seen.

    Args:
      settings: the `Settings`.
      run_dir: folder to write to; must not hold a run, unless that is resumed.
      resume: whether to go on from run_dir's latest checkpoint.
      progress: whether a terminal shows a progress bar.
      report: function of a line of text, for the user.

    Returns:
      A `Result`: the step reached and the total, the number of the signal that ended the run (None
      where it ran to its end), and the path of the learning curve.

    Raises:
      ValueError: a setting or file does not fit, or the loss became NaN or infinite.
    """
    dataset = load_dataset(settings.dataset, settings.data_dir or None)
    epoch_steps = steps_per_epoch(dataset.train, settings.batch_size)
    total_steps = _total_steps(settings, epoch_steps)
    spec = config.model_spec(settings, dataset)
    with tf.Graph().as_default():
        tf.set_random_seed(settings.seed)
        # Before the folder is touched: what does not exist, or does not fit, leaves no trace.
        graph = build_training_graph(spec, settings, total_steps)
        initial = None
        if settings.init_from and not resume:
            initial = find_initial_weights(settings.init_from, graph.net_variables, spec,
                                           settings.init_exclude)
        prefix = _prepare_run_dir(run_dir, settings, spec, resume)
        start = _step_of(prefix) if prefix else 0
        report('{} with {} on {}: {} training and {} test images, {} steps of {} from {}'.format(
            settings.net, settings.activation, settings.dataset, len(dataset.train.labels),
            len(dataset.test.labels), total_steps, settings.batch_size, start))
        if initial is not None:
            report(str(initial))
        saver = tf.train.Saver(max_to_keep=2, save_relative_paths=True)
        log = RunLog(run_dir, start)
        stop_on_signal, run_hooks, bar = _hooks(graph, settings, run_dir, saver, log, dataset.test,
                                                total_steps, epoch_steps, progress, report)
        batches = prefetch(_batches(dataset.train, settings, start, total_steps, epoch_steps))
        init_fn = _restorer(run_dir, prefix, saver) if prefix else _initializer(initial)
        creator = tf.train.ChiefSessionCreator(tf.train.Scaffold(saver=saver, init_fn=init_fn),
                                               config=session_config())
        with contextlib.closing(log), contextlib.closing(batches), contextlib.closing(bar), \
                contextlib.closing(stop_on_signal):
            with tf.train.MonitoredSession(creator, run_hooks) as session:
                for images, labels in batches:
                    session.run(graph.train_op, {graph.pixels: images, graph.labels: labels})
                    if session.should_stop():
                        break
    step = _step_of(checkpoint.find_checkpoint(run_dir))
    curve = plotting.plot_learning_curve(run_dir)
    return Result(step, total_steps, stop_on_signal.received, curve)


def _restorer(run_dir, prefix, saver):
    """The init_fn of a Scaffold that goes on with a run from its checkpoint."""
    def init_fn(scaffold, session):
        del scaffold
        checkpoint.restore(session, prefix, saver)
        # The saver goes on counting, and removing, where that of the run before stopped.
        saver.recover_last_checkpoints(checkpoint.listed_checkpoints(run_dir))
    return init_fn


def _initializer(initial):
    """The init_fn of a Scaffold whose net begins with `InitialWeights`, if any."""
    if initial is None:
        return None
    saver = tf.train.Saver(initial.sources)

    def init_fn(scaffold, session):
        del scaffold
        checkpoint.restore(session, initial.prefix, saver, initial.sources)
    return init_fn


def build_training_graph(spec, settings, total_steps):
    """Builds, in the current graph, the net twice over one set of variables, and its optimiser.

    Args:
      spec: the `ModelSpec`.
      settings: the `Settings`.
      total_steps: length of the run.

    Returns:
      A `TrainingGraph`; `step` is the global step after the train_op of the same run.
    """
    pixels = pixels_placeholder(spec)
    labels = tf.placeholder(tf.int64, (None,), name='labels')
    with tf.variable_scope(tf.get_variable_scope(), custom_getter=_seed_by_name):
        logits = build_classifier(pixels, spec, is_training=True,
                                  implementation=settings.implementation).logits
    loss = tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))
    top1 = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(logits, axis=1), labels), tf.float32))
    net_variables = tf.global_variables()
    penalty = settings.weight_decay * tf.add_n([tf.nn.l2_loss(v) for v in decayed_variables()])

    global_step = tf.train.get_or_create_global_step()
    rate = learning_rate(settings, global_step, total_steps)
    optimizer = tf.train.MomentumOptimizer(rate, settings.momentum,
                                           use_nesterov=settings.nesterov)
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        gradients = optimizer.compute_gradients(loss + penalty)
        if settings.clip_norm:
            gradients = _clip(gradients, settings.clip_norm)
        train_op = optimizer.apply_gradients(gradients, global_step=global_step)
    with tf.control_dependencies([train_op]):
        step = tf.identity(global_step.read_value(), name='step_done')

    with tf.name_scope(EVALUATION_SCOPE):
        classifier = build_classifier(pixels, spec, is_training=False,
                                      implementation=settings.implementation, reuse=True)
        evaluator = Evaluator(pixels, labels, classifier)
    return TrainingGraph(pixels, labels, train_op, loss, top1, rate, step, evaluator,
                         _layer_tensors(), net_variables)


def _clip(gradients, norm):
    """Scales the gradients of (gradient, variable) pairs down to a norm of all of them together."""
    gradients, variables = zip(*gradients)
    return list(zip(tf.clip_by_global_norm(gradients, norm)[0], variables))


def _seed_by_name(getter, name, *args, **kwargs):
    """Has random initial values depend on the graph's seed and the variable's name alone.

    TensorFlow would have them depend on how many ops there are before, so that another activation,
    or another form of it, began with other weights.
    """
    initializer = kwargs.get('initializer')
    if getattr(initializer, 'seed', 0) is None:
        settings = dict(initializer.get_config(), seed=zlib.crc32(name.encode()) % 2 ** 31)
        kwargs['initializer'] = type(initializer).from_config(settings)
    return getter(name, *args, **kwargs)


def decayed_variables():
    """The kernels: what has rank 2 or more. z_k, alpha, beta, biases and BatchNorm have rank 1."""
    return [v for v in tf.trainable_variables() if v.shape.ndims > 1]


def _layer_tensors():
    """For each layer of the evaluation's ASH family, its `run_log.ACTIVATIONS` as tensors."""
    variables = {v.op.name: v for v in tf.trainable_variables()}
    rows = []
    for layer, share in pass_shares(EVALUATION_SCOPE).items():
        row = {'pass_share': share}
        for name in ('z_k', 'alpha'):
            if '{}/{}'.format(layer, name) in variables:
                row[name] = variables['{}/{}'.format(layer, name)][0]
        rows.append((layer, row))
    return rows


def _hooks(graph, settings, run_dir, saver, log, test, total_steps, epoch_steps, progress, report):
    def evaluate(session):
        return graph.evaluator(session, test, settings.eval_batch_size)

    def layer_rows(session):
        values = session.run([row for _, row in graph.layers],
                             {graph.pixels: test.images[:settings.eval_batch_size]})
        return [dict({name: float(value) for name, value in row.items()}, layer=layer)
                for (layer, _), row in zip(graph.layers, values)]

    stop_on_signal = hooks.StopOnSignal()
    metrics = hooks.LogMetrics(log, graph.loss, graph.top1, graph.rate, graph.step,
                               settings.batch_size, settings.log_every, epoch_steps)
    save = hooks.SaveAndEvaluate(run_dir, saver, evaluate, layer_rows, log, graph.step,
                                 epoch_steps, total_steps, _best_so_far(run_dir), report)
    bar = hooks.ShowProgress(metrics, total_steps, progress)
    return stop_on_signal, [hooks.StopAtNonFiniteLoss(graph.loss, graph.step, graph.rate),
                            metrics, bar, save, stop_on_signal], bar


def _best_so_far(run_dir):
    return max((float(row['top1']) for row in read_rows(os.path.join(run_dir, METRICS_FILE))
                if row['split'] == 'test'), default=-1.0)


def _batches(split, settings, start, total_steps, epoch_steps):
    """The batches of steps start, start + 1, ...; what a batch holds depends on its step only."""
    step = start
    while step < total_steps:
        epoch, first = divmod(step, epoch_steps)
        for batch in epoch_batches(split, settings.batch_size, settings.seed, epoch,
                                   settings.augmentation, start=first):
            if step == total_steps:
                return
            yield batch
            step += 1


def _total_steps(settings, epoch_steps):
    if bool(settings.steps) == bool(settings.epochs):
        raise ValueError('give the length of the run as epochs or as steps, got {} epochs and {} '
                         'steps'.format(settings.epochs, settings.steps))
    return settings.steps or settings.epochs * epoch_steps


def _checkpoints(run_dir):
    """What there is of checkpoints in a run's folder, whole or not."""
    return glob.glob(os.path.join(glob.escape(run_dir), checkpoint.CHECKPOINT_PREFIX + '*'))


def _step_of(prefix):
    return int(prefix.rsplit('-', 1)[1])


def _prepare_run_dir(run_dir, settings, spec, resume):
    """Makes the run's folder, or checks that it fits.

    Returns:
      The checkpoint to go on from; None where the run is to begin.
    """
    if set(str(run_dir)) & set('*?[]\\'):
        raise ValueError('TensorFlow takes *, ?, [, ] and \\ in the name of a checkpoint for a '
                         'pattern; give a folder without them, not {}'.format(run_dir))
    if not resume:
        if os.path.exists(os.path.join(run_dir, config.SETTINGS_FILE)) or _checkpoints(run_dir):
            raise ValueError('{} holds a run already: go on with it by --resume, or give another '
                             'folder'.format(run_dir))
        config.save(run_dir, config.MODEL_FILE, spec)
        config.save(run_dir, config.SETTINGS_FILE, settings)
        return None
    for file_name, record in ((config.SETTINGS_FILE, settings), (config.MODEL_FILE, spec)):
        before = config.load(run_dir, file_name, type(record))
        for field in dataclasses.fields(record):
            old, new = getattr(before, field.name), getattr(record, field.name)
            if old != new and field.name not in RESUMABLE_WITH_ANOTHER:
                raise ValueError('{} was trained with {} {!r}: it cannot be resumed with {!r}'
                                 .format(run_dir, field.name, old, new))
    prefix = checkpoint.find_checkpoint(run_dir) if _checkpoints(run_dir) else None
    config.save(run_dir, config.SETTINGS_FILE, settings)
    return prefix
