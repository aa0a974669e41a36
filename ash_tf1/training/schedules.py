"""The learning rate over a run, as graph ops of the global step."""
import numpy as np
import tensorflow.compat.v1 as tf

ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = 1e-4


def learning_rate(settings, step, total_steps):
    """The learning rate of a step, by `settings.schedule`.

    - 'step' multiplies the rate by `step_factor` at each share of the run in `step_at`.
    - 'cosine' falls to 0 along half a cosine (arXiv 1608.03983).
    - 'one_cycle' rises linearly from 1/25 of the rate to the rate over the share `warmup` of the
      run. Then it falls along half a cosine to 1e-4 of the rate (arXiv 1708.07120).

    Args:
      settings: the `Settings`.
      step: integer tensor, the number of steps done so far.
      total_steps: Python int, the number of steps of the run.

    Returns:
      A float32 scalar tensor.
    """
    rate = settings.learning_rate
    if settings.schedule == 'step':
        boundaries = [int(round(share * total_steps)) for share in sorted(settings.step_at)]
        step = tf.cast(step, tf.float32)
        drops = tf.add_n([tf.cast(step >= boundary, tf.float32) for boundary in boundaries]
                         or [tf.zeros([])])
        return rate * tf.pow(tf.constant(settings.step_factor, tf.float32), drops)
    progress = tf.cast(step, tf.float32) / max(total_steps, 1)
    if settings.schedule == 'cosine':
        return rate * _half_cosine(progress)
    warmup = settings.warmup
    rising = ONE_CYCLE_START + (1 - ONE_CYCLE_START) * progress / warmup
    falling = ONE_CYCLE_END + (1 - ONE_CYCLE_END) * _half_cosine((progress - warmup) / (1 - warmup))
    return rate * tf.where(progress < warmup, rising, falling)


def _half_cosine(progress):
    return 0.5 * (1.0 + tf.cos(np.pi * tf.clip_by_value(progress, 0.0, 1.0)))
