"""A whole run, from its settings to its last checkpoint."""
import contextlib
import dataclasses
import sys
from typing import NamedTuple, Optional

import tensorflow.compat.v1 as tf
from tqdm import tqdm

from ash_distribution.parser import shown
from ash_tf1 import checkpoint
from ash_tf1.input_pipelines import load_dataset
from ash_tf1.input_pipelines.loading import prefetch, steps_per_epoch
from ash_tf1.ops import resolve
from ash_tf1.sessions import session_config
from ash_tf1.tasks import get_task
from ash_tf1.training import extending, hooks, plotting, schedules
from ash_tf1.training.checkpoints import Checkpoints, find_latest
from ash_tf1.training.graph import build_training_graph
from ash_tf1.training.initial_weights import find_initial_weights
from ash_tf1.training.log_reading import check_log
from ash_tf1.training.plan import Plan
from ash_tf1.training.run_dir import RunDir, load_settings
from ash_tf1.training.run_log import RunLog


class Result(NamedTuple):
    """How far a run has come."""

    step: int
    total_steps: int
    signal: Optional[int]  # number of the signal that stopped it; None if it ran to its end
    curve: Optional[str]   # path of the learning curve; None if nothing is logged yet


def say(line, stream=None):
    """Prints a line above the progress bar: on stdout, or on a stream. It may be a file.

    What is not printable, as in a name, is escaped.
    """
    stream = stream or sys.stdout
    tqdm.write(shown(line), stream)
    stream.flush()


def train(settings, run_dir, resume=False, progress=True, report=say, on_begin=None,
          extend=False):
    """Trains a net and writes all that is needed to resume, evaluate and export it into run_dir.

    This is `settings.json`, `model.json`, a checkpoint per epoch (of which the latest are kept),
    `metrics.csv`, `activations.csv`, TensorBoard summaries and `learning_curve.png`. If there is a
    validation split, the best checkpoint on it is kept in `best/`.

    After SIGINT, SIGTERM, SIGHUP or SIGUSR1 the run finishes the current step, saves and ends. A
    run can be resumed after a signal, and after a crash at any moment. It then ends with the same
    weights, best checkpoint and log as without the interruption. They are the same bit for bit if
    sums are computed in one thread.

    Args:
      settings: the `Settings`.
      run_dir: folder to write to; it must not hold a run, unless that is resumed.
      resume: whether to go on from run_dir's latest checkpoint.
      progress: whether to show a progress bar, if stderr is a terminal.
      report: function that shows a line of text to the user.
      on_begin: function without arguments that is called once the run owns the folder.
      extend: whether to go on to the larger length that the settings have, as `extending.extend`
        says; with `resume`.

    Returns:
      A `Result`.

    Raises:
      ValueError: a setting or file does not fit, a loss or a weight became NaN or infinite, or
        another process writes to run_dir.
      OSError: a file cannot be written. What was saved before is still there.
    """
    task = get_task(settings.task)
    settings = dataclasses.replace(settings, implementation=resolve(settings.implementation))
    dataset = load_dataset(settings.dataset, settings.data_dir or None, settings.validation_share,
                           settings.image_size or None, settings.dataset_options)
    epoch_steps = steps_per_epoch(dataset.train, settings.batch_size)
    if extend:
        settings = extending.extend(load_settings(run_dir), settings, epoch_steps, run_dir)
    total_steps = schedules.total_steps(settings, epoch_steps)
    spec = task.spec(settings, dataset)
    plan = Plan(task, spec, settings, task.prepare(spec, dataset), epoch_steps, total_steps)
    with tf.Graph().as_default():
        tf.set_random_seed(settings.seed)
        # The folder is made only after this: a setting or file that does not fit leaves no trace.
        graph = build_training_graph(task, spec, settings, total_steps)
        initial = None
        if settings.init_from and not (resume and find_latest(run_dir)):
            initial = find_initial_weights(settings.init_from, graph.net_variables, task, spec,
                                           settings.init_exclude)
            initial.check()
        may_differ = extending.MAY_DIFFER if extend else ()
        with contextlib.closing(RunDir(run_dir, settings, task, spec, resume,
                                       may_differ)) as folder:
            if on_begin is not None:
                on_begin()
            report(_first_line(plan, folder.step))
            if folder.step == total_steps:
                report('it is finished; to lengthen it: ' + extending.command(
                    run_dir, settings, 2))
            if initial is not None:
                report(str(initial))
            step, received = _run(plan, graph, folder, initial, progress, report)
            return Result(step, total_steps, received,
                          plotting.plot_learning_curve(run_dir, task.metrics))


def _run(plan, graph, folder, initial, progress, report):
    """Runs the steps; returns (the last step, the number of the signal that stopped it or None)."""
    settings = plan.settings
    checkpoints = Checkpoints(folder.path, folder.resumed_from, settings.keep,
                              settings.keep_every * plan.epoch_steps)
    names = [metric.name for metric in plan.task.metrics]
    interval = checkpoints.open_interval(list(graph.metrics))
    if folder.resumed_from:
        check_log(folder.path, names, folder.step, plan.epoch_steps,
                  plan.dataset.validation is not None, [name for name, _ in graph.layers],
                  len(interval))
    checkpoints.clean()
    log = RunLog(folder, names)
    log.settings(folder.step, settings)
    batches = prefetch(plan.batches(folder.step))
    stop = hooks.StopOnSignal()
    meter = hooks.LogMetrics(plan, graph, log, interval)
    bar = hooks.ShowProgress(meter, plan.total_steps, progress, report)
    save = hooks.SaveAndEvaluate(plan, graph, checkpoints, log, meter, report)
    scaffold = tf.train.Scaffold(saver=checkpoints.saver, init_fn=_init_fn(
        folder, checkpoints, initial, graph.begin_averages))
    with contextlib.closing(log), contextlib.closing(batches), contextlib.closing(bar), \
            contextlib.closing(stop):
        # Not a MonitoredSession: after an aborted op it restores an older checkpoint, and would go
        # on with the batches of later steps.
        with tf.train.SingularMonitoredSession(
                [hooks.StopAtNonFiniteLoss(graph), meter, bar, save, stop,
                 hooks.WarnAtAlarms(plan.task.alarms, graph, report)], scaffold,
                config=session_config()) as session:
            for number, batch in enumerate(batches):
                if number == 0:
                    log.inputs(folder.step, batch)
                _step(session, graph.train_ops, graph.feed(batch))
                if session.should_stop():
                    break
    if save.step < plan.total_steps and stop.received is None:
        raise RuntimeError('the data ended at step {} of {}'.format(save.step, plan.total_steps))
    return save.step, stop.received


def _step(session, train_ops, feeds):
    """Minimises each objective once. The hooks see only the run of the last one."""
    def step(step_context):
        for train_op in train_ops[:-1]:
            step_context.session.run(train_op, feeds)
        step_context.run_with_hooks(train_ops[-1], feeds)
    session.run_step_fn(step)


def _init_fn(folder, checkpoints, initial, begin_averages):
    """The init_fn of a Scaffold: restores a resumed run, or the `InitialWeights` if there are any.
    """
    if folder.resumed_from:
        return lambda scaffold, session: checkpoints.restore(session)
    if initial is None:
        return None
    saver = tf.train.Saver(initial.sources)

    def init(scaffold, session):
        checkpoint.restore(session, initial.prefix, saver, initial.sources)
        session.run(begin_averages)
    return init


def _first_line(plan, step):
    sizes = ', '.join('{} {}'.format(len(split), name)
                      for name, split in plan.dataset.splits.items())
    settings = plan.settings
    size = ' at {}x{}'.format(*plan.spec.image_size) if plan.spec.image_size else ''
    return '{} with {} on {}{} ({} examples): {} steps of {} from {}'.format(
        settings.net, settings.activation, settings.dataset, size, sizes, plan.total_steps,
        settings.batch_size, step)
