"""The hooks of a run, each a `tf.train.SessionRunHook`: what happens beside the training steps."""
import datetime
import signal
import threading
import time

import numpy as np
import tensorflow.compat.v1 as tf
from tqdm import tqdm

from ash_tf1.input_pipelines.loading import ordered_batches
from ash_tf1.training.evaluation import evaluate_split
from ash_tf1.training.log_reading import TRAIN, VALIDATION

DRAWN = 50  # examples that a task's pictures after each epoch are made of


class DivergedError(ValueError):
    """A loss or a weight is no longer a finite number."""


class StopAtNonFiniteLoss(tf.train.SessionRunHook):
    """Ends the run, without saving, at the first step with a loss that is not finite."""

    def __init__(self, graph):
        """Takes the `TrainingGraph`."""
        self._fetches = graph.losses, graph.step, graph.rate

    def before_run(self, run_context):
        return tf.train.SessionRunArgs(self._fetches)

    def after_run(self, run_context, run_values):
        losses, step, rate = run_values.results
        for name, loss in losses.items():
            if not np.isfinite(loss):
                raise DivergedError('the {} became {} at step {} (learning rate {:g}); start again '
                                    'in another folder, with a lower learning rate'
                                    .format(name, loss, step, rate))


class StopOnSignal(tf.train.SessionRunHook):
    """Ends the run after the current step if one of SIGNALS comes; a second signal kills it.

    SIGHUP comes when a terminal closes. If it was ignored before, as under nohup, it stays ignored.
    Batch systems send SIGUSR1 as a warning before they end a job.

    `received` is the number of the signal; None if none has come.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)

    def __init__(self):
        self.received = None
        self._previous = {}

    def begin(self):
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._receive)
                              for number in self.SIGNALS
                              if number != signal.SIGHUP
                              or signal.getsignal(number) != signal.SIG_IGN}

    def _receive(self, number, frame):
        del frame
        self.received = number
        self.close()

    def after_run(self, run_context, run_values):
        if self.received is not None:
            run_context.request_stop()

    def close(self):
        """Restores the previous signal handlers; to be called when the run is over."""
        while self._previous:
            signal.signal(*self._previous.popitem())


class WarnAtAlarms(tf.train.SessionRunHook):
    """Warns the user if a metric stays below the value of an `Alarm`; again if that happens again.

    It counts from the start of the process, so a resume counts anew.
    """

    def __init__(self, alarms, graph, report):
        """Takes the task's `Alarm`s, the `TrainingGraph` and a function of a line of text."""
        self._alarms, self._report = alarms, report
        self._fetches = {alarm.metric: graph.metrics[alarm.metric] for alarm in alarms}, graph.step
        self._steps_below = [0] * len(alarms)

    def before_run(self, run_context):
        return tf.train.SessionRunArgs(self._fetches)

    def after_run(self, run_context, run_values):
        values, step = run_values.results
        for number, alarm in enumerate(self._alarms):
            below = values[alarm.metric] < alarm.below
            self._steps_below[number] = self._steps_below[number] + 1 if below else 0
            if self._steps_below[number] == alarm.steps:
                self._report('warning at step {}: {} was below {:g} for {} steps: {}'.format(
                    step, alarm.metric, alarm.below, alarm.steps, alarm.text))


class ShowProgress(tf.train.SessionRunHook):
    """A progress bar over the steps of the run, with the latest averages of the metrics.

    Where stderr, on which the bar is, is no terminal, a line once a minute takes its place.
    """

    SECONDS = 60  # between two lines

    def __init__(self, meter, total_steps, shown, report):
        """Takes the `LogMetrics`, a Python int, a bool, and a function of a line of text."""
        self._meter, self._total, self._shown, self._report = meter, total_steps, shown, report
        self._bar = None
        self._first = self._step = self._started = self._said = None

    def after_create_session(self, session, coord):
        step = int(session.run(tf.train.get_global_step()))
        self._bar = tqdm(total=self._total, initial=step,
                         desc='train', unit='step', dynamic_ncols=True, smoothing=0.05,
                         disable=None if self._shown else True)
        self._first = self._step = step
        self._started = self._said = time.monotonic()

    def after_run(self, run_context, run_values):
        self._bar.set_postfix_str(self._meter.text, refresh=False)
        self._bar.update()
        self._step += 1
        now = time.monotonic()
        if self._shown and self._bar.disable and now - self._said >= self.SECONDS:
            self._said = now
            seconds = (now - self._started) / (self._step - self._first)
            self._report('step {} of {}, {}; {:.3g} s a step, {} left'.format(
                self._step, self._total, self._meter.text or 'no line of the log yet', seconds,
                _duration(seconds * (self._total - self._step))))

    def close(self):
        """Ends the bar's display; to be called when the run is over, also after an error."""
        if self._bar is not None:
            self._bar.close()


def _duration(seconds):
    return str(datetime.timedelta(seconds=round(seconds)))


class LogMetrics(tf.train.SessionRunHook):
    """Averages the metrics of steps and logs them.

    A row is written after the first step, every `every` steps, at the end of each epoch and at the
    end of the run. So the steps of the rows are fixed. If a run stops between two rows, the metrics
    since the last row are saved with its checkpoint.

    Attributes:
      text: the latest averages, as text for the user.
      open_interval: the metrics of each step since the last row, a list of dicts.
    """

    def __init__(self, plan, graph, log, open_interval):
        """Takes the `Plan`, the `TrainingGraph` and the `RunLog`.

        open_interval is that of the checkpoint that the run resumes from.
        """
        self._plan, self._log = plan, log
        self._fetches = graph.metrics, graph.rate, graph.step
        self._started, self._timed = None, 0
        self.open_interval = list(open_interval)
        self.text = ''

    def before_run(self, run_context):
        # The time starts here, not at the end of the last interval, to leave out an evaluation.
        if self._started is None:
            self._started = time.perf_counter()
        return tf.train.SessionRunArgs(self._fetches)

    def after_run(self, run_context, run_values):
        values, rate, step = run_values.results
        self.open_interval.append({name: float(value) for name, value in values.items()})
        self._timed += 1
        if step == 1 or step % self._plan.settings.log_every == 0 or self._plan.ends_epoch(step):
            self._write(int(step), float(rate))

    def _write(self, step, rate):
        seconds = time.perf_counter() - self._started
        means = {name: float(np.mean([values[name] for values in self.open_interval]))
                 for name in self.open_interval[0]}
        self._log.metrics(step, self._plan.epoch(step), TRAIN, dict(
            means, learning_rate=rate,
            images_per_second=self._timed * self._plan.settings.batch_size / seconds))
        self.text = in_words(self._plan.task.metrics, means)
        self.open_interval, self._started, self._timed = [], None, 0


def in_words(metrics, values):
    """The given values of `Metric`s as text. Metrics without a value are left out."""
    return ', '.join(metric.text.format(values[metric.name]) for metric in metrics
                     if metric.name in values)


class SaveAndEvaluate(tf.train.SessionRunHook):
    """Saves, evaluates and logs after each epoch and at the end of the run.

    It saves the checkpoint, evaluates it on the validation split, draws the task's pictures and
    logs the result. If it is the best so far, it is also saved as the best one; that needs a
    validation split and a task with a `best`. A new run saves its initial values first. A run that
    is stopped early is saved, but not evaluated. If a process ended between a checkpoint and its
    evaluation, the run does the evaluation when it is resumed. Weights that are not finite are
    never saved.

    The line for the user has the latest averages of training too, the time since the last such line
    or the start of the process, and the time left, by the time that a step has taken until now,
    evaluations included.

    `step` is the step that was saved last.

    Args:
      plan: the `Plan`.
      graph: the `TrainingGraph`.
      checkpoints: the run's `Checkpoints`.
      log: the `RunLog`.
      meter: the `LogMetrics`.
      report: function that shows a line of text to the user.
    """

    def __init__(self, plan, graph, checkpoints, log, meter, report):
        self._plan, self._graph = plan, graph
        self._checkpoints, self._log, self._meter = checkpoints, log, meter
        settings, split = plan.settings, plan.dataset.validation or plan.dataset.train
        self._first = next(ordered_batches(split, settings.eval_batch_size))
        self._drawn = next(ordered_batches(split, DRAWN))
        self._timer = tf.train.SecondOrStepTimer(settings.save_seconds, settings.save_steps) \
            if settings.save_every else None
        self._report = report
        self._name, self._better = plan.task.best or (None, None)
        self._best = None
        self._finite = None
        self._first_step = self._started = self._said = None
        self.step = None

    def begin(self):
        self._finite = tf.reduce_all([tf.reduce_all(tf.is_finite(variable))
                                      for variable in tf.global_variables()
                                      if variable.dtype.is_floating])

    def after_create_session(self, session, coord):
        step = int(session.run(tf.train.get_global_step()))
        if self._timer:
            self._timer.update_last_triggered_step(step)
        self._best = self._find_best(step)
        if step == 0:
            self._save(session, step)
        self.step = step
        if self._is_evaluated(step) and not self._log.has_evaluation(
                step, self._plan.dataset.validation is not None, len(self._graph.layers)):
            self._log.drop_evaluation(step)
            self._measure(session, step)
        self._first_step, self._started = step, time.monotonic()
        self._said = self._started

    def before_run(self, run_context):
        return tf.train.SessionRunArgs(self._graph.step)

    def after_run(self, run_context, run_values):
        step = int(run_values.results)
        if self._is_evaluated(step):
            self._save(run_context.session, step)
            self._measure(run_context.session, step)
        elif self._timer and self._timer.should_trigger_for_step(step):
            self._save(run_context.session, step)

    def end(self, session):
        step = int(session.run(tf.train.get_global_step()))
        if step != self.step:
            self._save(session, step)

    def _is_evaluated(self, step):
        return step > 0 and self._plan.ends_epoch(step)

    def _find_best(self, step):
        """The deciding metric of the best checkpoint, read from the log's row for its step.

        None if there is no best checkpoint. Also None if it is the checkpoint of `step`, where the
        run resumes, and the evaluation at that step is not logged: it is then done again.
        """
        best = self._checkpoints.best_step() if self._name else None
        rows = [row for row in self._log.validation_rows() if int(row['step']) == best]
        if best is not None and not rows and best != step:
            raise ValueError('the run has a best checkpoint of step {}, and its log no evaluation '
                             'of that step'.format(best))
        return float(rows[0][self._name]) if rows else None

    def _save(self, session, step):
        if not session.run(self._finite):
            raise DivergedError('the weights after step {} are not finite, and not saved; start '
                                'again in another folder, with a lower learning rate'.format(step))
        self._checkpoints.save(session, step, self._meter.open_interval)
        self.step = step
        if self._timer:
            self._timer.update_last_triggered_step(step)

    def _measure(self, session, step):
        epoch, values, split = self._plan.epoch(step), {}, self._plan.dataset.validation
        if split is not None:
            values = evaluate_split(session, self._graph, split,
                                    self._plan.settings.eval_batch_size).metrics
        rows = self._layer_rows(session)
        if self._graph.pictures:
            self._log.pictures(step, epoch, session.run(self._graph.pictures,
                                                        self._graph.feed(self._drawn)))
        best = ''
        if self._name in values:
            if self._is_best(values[self._name]):
                self._checkpoints.save_best(session, step)
            best = ' (best {})'.format(in_words(self._plan.task.metrics, {self._name: self._best}))
        self._log.activations(step, rows)
        if values:
            self._log.metrics(step, epoch, VALIDATION, values)
            self._tell(step, 'validation {}{}'.format(
                in_words(self._plan.task.metrics, values), best))
        else:
            self._tell(step, 'saved')

    def _tell(self, step, text):
        """Shows the line after an epoch. A resumed run has no step yet, and then no times."""
        if self._meter.text:
            text = 'train {}; {}'.format(self._meter.text, text)
        if self._started is not None:
            now = time.monotonic()
            text += '; took {}'.format(_duration(now - self._said))
            if step < self._plan.total_steps:
                text += ', {} left'.format(_duration(
                    (now - self._started) / (step - self._first_step)
                    * (self._plan.total_steps - step)))
            self._said = now
        self._report('epoch {:g}: {}'.format(self._plan.epoch(step), text))

    def _is_best(self, value):
        """Whether a value of the deciding metric is better than all before; if so, keeps it."""
        if not np.isfinite(value):
            return False
        if self._best is not None and self._better(value, self._best) == self._best:
            return False
        self._best = value
        return True

    def _layer_rows(self, session):
        values = session.run([row for _, row in self._graph.layers], self._graph.feed(self._first))
        return [dict({name: float(value) for name, value in row.items()}, layer=layer)
                for (layer, _), row in zip(self._graph.layers, values)]
