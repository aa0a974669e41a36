"""The whole life of a run, from settings to its last checkpoint."""
import contextlib
import dataclasses
import sys
from typing import NamedTuple, Optional

import tensorflow.compat.v1 as tf
from tqdm import tqdm

from ash_tf1 import checkpoint
from ash_tf1.input_pipelines import load_dataset
from ash_tf1.input_pipelines.loading import epoch_batches, prefetch, steps_per_epoch
from ash_tf1.input_pipelines.transforms import get_augmentation
from ash_tf1.ops import resolve
from ash_tf1.sessions import session_config
from ash_tf1.tasks import get_task
from ash_tf1.training import hooks, plotting
from ash_tf1.training.checkpoints import Checkpoints, find_latest
from ash_tf1.training.graph import build_training_graph
from ash_tf1.training.initial_weights import find_initial_weights
from ash_tf1.training.run_dir import RunDir
from ash_tf1.training.run_log import RunLog


class Result(NamedTuple):
    """How far a run came."""

    step: int
    total_steps: int
    signal: Optional[int]  # the number of the signal that ended it; None where it ran to its end
    curve: Optional[str]   # path of the learning curve


def _say(line):
    """Prints a line above the progress bar, at once even where stdout is a file."""
    tqdm.write(line)
    sys.stdout.flush()


def train(settings, run_dir, resume=False, progress=True, report=_say, on_begin=None):
    """Trains a net and leaves in run_dir all that is needed to resume, evaluate and export it.

    Writes `settings.json`, `model.json`, a checkpoint an epoch (the latest two kept; where there is
    a validation split, the best on it in `best/`), `metrics.csv`, `activations.csv`, TensorBoard
    summaries and `learning_curve.png`. SIGINT, SIGTERM, SIGHUP and SIGUSR1 end the run after the
    current step, saved. A run that is resumed, after a signal or a crash at any moment, ends as it
    would have without: with the same weights, best checkpoint and log, bit for bit where sums are
    made in one thread.

    Args:
      settings: the `Settings`.
      run_dir: folder to write to; must not hold a run, unless that is resumed.
      resume: whether to go on from run_dir's latest checkpoint.
      progress: whether a terminal shows a progress bar.
      report: function of a line of text, for the user.
      on_begin: function without arguments that is called once the folder is the run's.

    Returns:
      A `Result`.

    Raises:
      ValueError: a setting or file does not fit, a loss became NaN or infinite, or another process
        writes to run_dir.
      OSError: a file cannot be written; what was saved before stays.
    """
    task = get_task(settings.task)
    settings = dataclasses.replace(settings, implementation=resolve(settings.implementation))
    dataset = load_dataset(settings.dataset, settings.data_dir or None, settings.validation_share,
                           settings.image_size or None)
    epoch_steps = steps_per_epoch(dataset.train, settings.batch_size)
    total_steps = _total_steps(settings, epoch_steps)
    spec = task.spec(settings, dataset)
    with tf.Graph().as_default():
        tf.set_random_seed(settings.seed)
        # Before the folder is touched: what does not exist, or does not fit, leaves no trace.
        graph = build_training_graph(task, spec, settings, total_steps)
        initial = None
        if settings.init_from and not (resume and find_latest(run_dir)):
            initial = find_initial_weights(settings.init_from, graph.net_variables, task, spec,
                                           settings.init_exclude)
        with contextlib.closing(RunDir(run_dir, settings, task, spec, resume)) as folder:
            if on_begin is not None:
                on_begin()
            report(_first_line(settings, dataset, total_steps, folder.step))
            if initial is not None:
                report(str(initial))
            step, received = _run(task, settings, graph, dataset, folder, initial, epoch_steps,
                                  total_steps, progress, report)
            return Result(step, total_steps, received,
                          plotting.plot_learning_curve(run_dir, task.metrics))


def _run(task, settings, graph, dataset, folder, initial, epoch_steps, total_steps, progress,
         report):
    """Steps through a run; (the step reached, the number of the signal that ended it or None)."""
    checkpoints = Checkpoints(folder.path, folder.resumed_from)
    checkpoints.clean()
    log = RunLog(folder, [metric.name for metric in task.metrics])
    batches = prefetch(_batches(dataset.train, settings, folder.step, total_steps, epoch_steps))
    stop = hooks.StopOnSignal()
    meter = hooks.LogMetrics(log, graph, task.metrics, settings.batch_size, settings.log_every,
                             epoch_steps, total_steps, checkpoints.open_interval())
    bar = hooks.ShowProgress(meter, total_steps, progress)
    save = hooks.SaveAndEvaluate(task, graph, dataset, checkpoints, log, meter, epoch_steps,
                                 total_steps, settings.eval_batch_size, report)
    scaffold = tf.train.Scaffold(saver=checkpoints.saver,
                                 init_fn=_init_fn(folder, checkpoints, initial))
    with contextlib.closing(log), contextlib.closing(batches), contextlib.closing(bar), \
            contextlib.closing(stop):
        # Not a session that recovers: one would go on from an older checkpoint with the batches
        # of later steps.
        with tf.train.SingularMonitoredSession(
                [hooks.StopAtNonFiniteLoss(graph), meter, bar, save, stop], scaffold,
                config=session_config()) as session:
            for batch in batches:
                _step(session, graph.train_ops, graph.feed(batch))
                if session.should_stop():
                    break
    if save.step < total_steps and stop.received is None:
        raise RuntimeError('the data ended at step {} of {}'.format(save.step, total_steps))
    return save.step, stop.received


def _step(session, train_ops, feeds):
    """Minimises each objective once; the hooks see the last one."""
    def step(step_context):
        for train_op in train_ops[:-1]:
            step_context.session.run(train_op, feeds)
        step_context.run_with_hooks(train_ops[-1], feeds)
    session.run_step_fn(step)


def _init_fn(folder, checkpoints, initial):
    """The init_fn of a Scaffold: goes on with a run, or begins with `InitialWeights`, if any."""
    if folder.resumed_from:
        return lambda scaffold, session: checkpoints.restore(session)
    if initial is None:
        return None
    saver = tf.train.Saver(initial.sources)
    return lambda scaffold, session: checkpoint.restore(session, initial.prefix, saver,
                                                        initial.sources)


def _first_line(settings, dataset, total_steps, step):
    sizes = ', '.join('{} {}'.format(len(split), name) for name, split in dataset.splits.items())
    return '{} with {} on {} ({} examples): {} steps of {} from {}'.format(
        settings.net, settings.activation, settings.dataset, sizes, total_steps,
        settings.batch_size, step)


def _batches(split, settings, start, total_steps, epoch_steps):
    """The batches of steps start, start + 1, ...; what a batch holds depends on its step only."""
    step = start
    while step < total_steps:
        epoch, first = divmod(step, epoch_steps)
        for batch in epoch_batches(split, settings.batch_size, settings.seed, epoch,
                                   get_augmentation(settings.augmentation), start=first):
            if step == total_steps:
                return
            yield batch
            step += 1


def _total_steps(settings, epoch_steps):
    if bool(settings.steps) == bool(settings.epochs):
        raise ValueError('give the length of the run as epochs or as steps, got {} epochs and {} '
                         'steps'.format(settings.epochs, settings.steps))
    return settings.steps or settings.epochs * epoch_steps
