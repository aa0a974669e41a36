"""What happens beside the training steps, each as a `tf.train.SessionRunHook`."""
import os
import signal
import threading
import time

import numpy as np
import tensorflow.compat.v1 as tf
from tqdm import tqdm

from ash_tf1.checkpoint import BEST_FOLDER, CHECKPOINT_PREFIX, listed_checkpoints


class DivergedError(ValueError):
    """The loss is no longer a finite number."""


class StopAtNonFiniteLoss(tf.train.SessionRunHook):
    """Ends the run, without saving, at the first step whose loss is not finite."""

    def __init__(self, loss, step, rate):
        self._fetches = loss, step, rate

    def before_run(self, run_context):
        return tf.train.SessionRunArgs(self._fetches)

    def after_run(self, run_context, run_values):
        loss, step, rate = run_values.results
        if not np.isfinite(loss):
            raise DivergedError('the loss became {} at step {} (learning rate {:g}); start again '
                                'in another folder, with a lower learning rate'
                                .format(loss, step, rate))


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
    """A progress bar over the steps of the run, with the loss and accuracy of the last ones."""

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
    """Averages loss and accuracy over `every` steps, or up to an epoch's or the run's end; logs."""

    def __init__(self, log, loss, top1, rate, step, batch_size, every, steps_per_epoch):
        self._log = log
        self._fetches = loss, top1, rate, step
        self._batch_size, self._every, self._epoch = batch_size, every, steps_per_epoch
        self._sums, self._started, self._last = [], None, None
        self.text = ''

    def before_run(self, run_context):
        # Not at the end of the interval before: an evaluation may have come in between.
        if self._started is None:
            self._started = time.perf_counter()
        return tf.train.SessionRunArgs(self._fetches)

    def after_run(self, run_context, run_values):
        loss, top1, rate, step = run_values.results
        self._sums.append((loss, top1))
        self._last = int(step), float(rate)
        if step % self._every == 0 or step % self._epoch == 0:
            self._write()

    def end(self, session):
        if self._sums:
            self._write()

    def _write(self):
        step, rate = self._last
        loss, top1 = np.mean(self._sums, axis=0)
        seconds = time.perf_counter() - self._started
        self._log.metrics(step=step, epoch=step / self._epoch, split='train',
                          loss=float(loss), top1=float(top1), learning_rate=rate,
                          images_per_second=len(self._sums) * self._batch_size / seconds)
        self.text = 'loss {:.3f}, top-1 {:.1%}'.format(loss, top1)
        self._sums, self._started = [], None


class SaveAndEvaluate(tf.train.SessionRunHook):
    """After each epoch and at the end: evaluates, saves, logs, and keeps the best checkpoint apart.

    A run that is stopped early is saved, but not evaluated. Weights that are not finite are never
    saved.

    Args:
      run_dir: folder of the checkpoints; the best one is kept in its folder `best`.
      saver: `tf.train.Saver` of all variables.
      evaluate: function of a session that returns an `Evaluation`.
      layers: function of a session that returns the rows for `RunLog.activations`.
      log: the `RunLog`.
      step: tensor, the number of steps done after this one.
      steps_per_epoch: Python int.
      total_steps: Python int.
      best: top-1 accuracy to beat, that of the best checkpoint of a run that is resumed.
      report: function of a line of text, for the user.
    """

    def __init__(self, run_dir, saver, evaluate, layers, log, step, steps_per_epoch,
                 total_steps, best, report):
        self._prefix = os.path.join(run_dir, CHECKPOINT_PREFIX)
        self._best_prefix = os.path.join(run_dir, BEST_FOLDER, CHECKPOINT_PREFIX)
        self._saver, self._evaluate, self._layers = saver, evaluate, layers
        self._log, self._step = log, step
        self._epoch, self._total, self._report = steps_per_epoch, total_steps, report
        self._best_saver = None
        self._best = best
        self._stepped = False
        self._saved_at = None
        self._finite = None

    def begin(self):
        self._finite = tf.reduce_all([tf.reduce_all(tf.is_finite(variable))
                                      for variable in tf.global_variables()
                                      if variable.dtype.is_floating])
        self._best_saver = tf.train.Saver(max_to_keep=1, save_relative_paths=True)
        # That of a run which is resumed, to be removed when there is a better one.
        self._best_saver.recover_last_checkpoints(
            listed_checkpoints(os.path.dirname(self._best_prefix)))

    def before_run(self, run_context):
        return tf.train.SessionRunArgs(self._step)

    def after_run(self, run_context, run_values):
        self._stepped = True
        if run_values.results % self._epoch == 0:
            self._measure_and_save(run_context.session, int(run_values.results))

    def end(self, session):
        step = int(session.run(tf.train.get_global_step()))
        if step == self._saved_at or not self._stepped:
            return
        if step == self._total:
            self._measure_and_save(session, step)
        else:
            self._save(session, step)

    def _save(self, session, step):
        if not session.run(self._finite):
            raise DivergedError('the weights after step {} are not finite, and not saved; start '
                                'again in another folder, with a lower learning rate'.format(step))
        # Without the graph: a net is rebuilt from model.json, never from an untrusted graph file.
        self._saver.save(session, self._prefix, global_step=step, write_meta_graph=False)
        self._saved_at = step

    def _measure_and_save(self, session, step):
        evaluation = self._evaluate(session)
        rows = self._layers(session)
        self._save(session, step)
        if evaluation.top1 > self._best:
            self._best = evaluation.top1
            os.makedirs(os.path.dirname(self._best_prefix), exist_ok=True)
            self._best_saver.save(session, self._best_prefix, global_step=step,
                                  write_meta_graph=False)
        self._log.metrics(step=step, epoch=step / self._epoch, split='test',
                          loss=evaluation.loss, top1=evaluation.top1)
        self._log.activations(step, rows)
        self._report('epoch {:g}: test loss {:.4f}, top-1 {:.2%} (best {:.2%})'.format(
            step / self._epoch, evaluation.loss, evaluation.top1, self._best))
