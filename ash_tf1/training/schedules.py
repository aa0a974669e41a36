"""The learning rate over a run, as graph ops of the global step."""
import numpy as np
import tensorflow.compat.v1 as tf

ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = 1e-4


def total_steps(settings, epoch_steps):
    """The number of steps of a run, a Python int.

    Raises:
      ValueError: not exactly one of `epochs` and `steps` is given, or no step is left for the
        constant rate.
    """
    if bool(settings.steps) == bool(settings.epochs):
        raise ValueError('give the length of the run as epochs or as steps, got {} epochs and {} '
                         'steps'.format(settings.epochs, settings.steps))
    total = settings.steps or settings.epochs * epoch_steps
    if settings.constant_from >= total:
        raise ValueError('constant_from must be below the {} steps of the run, got {}'.format(
            total, settings.constant_from))
    return total


def step_boundaries(settings, length):
    """The steps of a schedule of `length` steps at which 'step' multiplies the rate, sorted."""
    return [int(round(share * length)) for share in sorted(settings.step_at)]


def learning_rate(settings, step, total_steps):
    """The learning rate of a step, by `settings.schedule`.

    - 'step' multiplies the rate by `step_factor` at each share of the run in `step_at`.
    - 'cosine' falls to 0 along half a cosine (arXiv 1608.03983).
    - 'one_cycle' rises linearly from 1/25 of the rate to the rate over the share `warmup` of the
      run. Then it falls along half a cosine to 1e-4 of the rate (arXiv 1708.07120).

    If the settings have a `constant_from`, the schedule is that of a run of so many steps, and the
    rate of all later steps is `constant_rate`.

    Args:
      settings: the `Settings`.
      step: integer tensor, the number of steps done so far.
      total_steps: Python int, the number of steps of the run.

    Returns:
      A float32 scalar tensor.
    """
    if not settings.constant_from:
        return _scheduled(settings, step, total_steps)
    return tf.where(step < settings.constant_from,
                    _scheduled(settings, step, settings.constant_from),
                    tf.constant(settings.constant_rate, tf.float32))


def _scheduled(settings, step, total_steps):
    """The rate by `settings.schedule` over `total_steps`."""
    rate = settings.learning_rate
    if settings.schedule == 'step':
        boundaries = step_boundaries(settings, total_steps)
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
