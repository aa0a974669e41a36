"""What happens beside the training steps, each as a `tf.train.SessionRunHook`."""
import signal
import threading
import time

import numpy as np
import tensorflow.compat.v1 as tf
from tqdm import tqdm

from ash_tf1.input_pipelines.loading import ordered_batches
from ash_tf1.training.evaluation import evaluate_split


class DivergedError(ValueError):
    """The loss is no longer a finite number."""


class StopAtNonFiniteLoss(tf.train.SessionRunHook):
    """Ends the run, without saving, at the first step of which a loss is not finite."""

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
    """Ends the run after the current step at SIGINT (Ctrl-C) or SIGTERM; a second one kills it.

    `received` is the signal's number afterwards, None where there was none.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self):
        self.received = None
        self._previous = {}

    def begin(self):
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._receive)
                              for number in self.SIGNALS}

    def _receive(self, number, frame):
        del frame
        self.received = number
        self.close()

    def after_run(self, run_context, run_values):
        if self.received is not None:
            run_context.request_stop()

    def close(self):
        """Gives the signals back to whom they belonged; to be called when the run is over."""
        while self._previous:
            signal.signal(*self._previous.popitem())


class ShowProgress(tf.train.SessionRunHook):
    """A progress bar over the steps of the run, with the metrics of the last ones."""

    def __init__(self, meter, total_steps, shown):
        self._meter, self._total, self._shown = meter, total_steps, shown
        self._bar = None

    def after_create_session(self, session, coord):
        step = int(session.run(tf.train.get_global_step()))
        self._bar = tqdm(total=self._total, initial=step,
                         desc='train', unit='step', dynamic_ncols=True, smoothing=0.05,
                         disable=None if self._shown else True)

    def after_run(self, run_context, run_values):
        self._bar.set_postfix_str(self._meter.text, refresh=False)
        self._bar.update()

    def close(self):
        """Leaves the bar as it stands; to be called when the run is over, however it ended."""
        if self._bar is not None:
            self._bar.close()


class LogMetrics(tf.train.SessionRunHook):
    """Averages metrics over `every` steps, or up to an epoch's or the run's end, and logs them.

    `text` has the latest averages in words.
    """

    def __init__(self, log, graph, metrics, batch_size, every, steps_per_epoch):
        """Takes the `RunLog`, the `TrainingGraph` and the task's `Metric`s; the rest are ints."""
        self._log, self._metrics = log, metrics
        self._fetches = graph.metrics, graph.rate, graph.step
        self._batch_size, self._every, self._epoch = batch_size, every, steps_per_epoch
        self._values, self._started, self._last = [], None, None
        self.text = ''

    def before_run(self, run_context):
        # Not at the end of the interval before: an evaluation may have come in between.
        if self._started is None:
            self._started = time.perf_counter()
        return tf.train.SessionRunArgs(self._fetches)

    def after_run(self, run_context, run_values):
        values, rate, step = run_values.results
        self._values.append(values)
        self._last = int(step), float(rate)
        if step % self._every == 0 or step % self._epoch == 0:
            self._write()

    def end(self, session):
        if self._values:
            self._write()

    def _write(self):
        step, rate = self._last
        seconds = time.perf_counter() - self._started
        means = {name: float(np.mean([values[name] for values in self._values]))
                 for name in self._values[0]}
        self._log.metrics(step, step / self._epoch, 'train', dict(
            means, learning_rate=rate,
            images_per_second=len(self._values) * self._batch_size / seconds))
        self.text = in_words(self._metrics, means)
        self._values, self._started = [], None


def in_words(metrics, values):
    """The values of `Metric`s, by name, as text; those that there are."""
    return ', '.join(metric.text.format(values[metric.name]) for metric in metrics
                     if metric.name in values)


class SaveAndEvaluate(tf.train.SessionRunHook):
    """After each epoch and at the end: evaluates, saves, logs, and keeps the best checkpoint apart.

    Where the data set has no validation split, or the task no best, nothing is kept apart. A run
    that is stopped early is saved, but not evaluated. Weights that are not finite are never saved.

    `step` is the step that was saved last; that of the checkpoint that a run goes on from, before.

    Args:
      task: the `Task`.
      graph: the `TrainingGraph`.
      dataset: the `Dataset`.
      checkpoints: the run's `Checkpoints`.
      log: the `RunLog`.
      steps_per_epoch, total_steps, batch_size: Python ints.
      report: function of a line of text, for the user.
    """

    def __init__(self, task, graph, dataset, checkpoints, log, steps_per_epoch, total_steps,
                 batch_size, report):
        self._metrics, self._graph, self._split = task.metrics, graph, dataset.validation
        self._first = next(ordered_batches(dataset.validation or dataset.train, batch_size))
        self._checkpoints, self._log, self._report = checkpoints, log, report
        self._epoch, self._total, self._batch_size = steps_per_epoch, total_steps, batch_size
        self._name, self._better = task.best or (None, None)
        self._best = None
        for row in log.validation_rows() if self._name else ():
            self._is_best(float(row[self._name]))
        self._stepped = False
        self._finite = None
        self.step = None

    def begin(self):
        self._finite = tf.reduce_all([tf.reduce_all(tf.is_finite(variable))
                                      for variable in tf.global_variables()
                                      if variable.dtype.is_floating])

    def after_create_session(self, session, coord):
        self.step = int(session.run(tf.train.get_global_step()))

    def before_run(self, run_context):
        return tf.train.SessionRunArgs(self._graph.step)

    def after_run(self, run_context, run_values):
        self._stepped = True
        if run_values.results % self._epoch == 0:
            self._measure_and_save(run_context.session, int(run_values.results))

    def end(self, session):
        step = int(session.run(tf.train.get_global_step()))
        if step == self.step or not self._stepped:
            return
        if step == self._total:
            self._measure_and_save(session, step)
        else:
            self._save(session, step)

    def _save(self, session, step):
        if not session.run(self._finite):
            raise DivergedError('the weights after step {} are not finite, and not saved; start '
                                'again in another folder, with a lower learning rate'.format(step))
        self._checkpoints.save(session, step)
        self.step = step

    def _measure_and_save(self, session, step):
        epoch, values = step / self._epoch, {}
        if self._split is not None:
            values = evaluate_split(session, self._graph, self._split, self._batch_size).metrics
        rows = self._layer_rows(session)
        self._save(session, step)
        best = ''
        if self._name in values:
            if self._is_best(values[self._name]):
                self._checkpoints.save_best(session, step)
            best = ' (best {})'.format(in_words(self._metrics, {self._name: self._best}))
        if values:
            self._log.metrics(step, epoch, 'validation', values)
            self._report('epoch {:g}: validation {}{}'.format(
                epoch, in_words(self._metrics, values), best))
        else:
            self._report('epoch {:g}: saved'.format(epoch))
        self._log.activations(step, rows)

    def _is_best(self, value):
        """Whether a value of the deciding metric is better than all before; it is kept then."""
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
