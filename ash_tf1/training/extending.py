"""A run that is made longer than it was planned."""
import dataclasses

from ash_distribution.commands import to_paste
from ash_tf1.training.schedules import step_boundaries, total_steps

# What an extended run may have otherwise than the run that it extends.
MAY_DIFFER = ('epochs', 'steps', 'step_at', 'constant_from', 'constant_rate')


def command(run_dir, settings, times=1, *further):
    """The command that lengthens a run to `times` the length of settings, as a line to paste."""
    unit = 'epochs' if settings.epochs else 'steps'
    return to_paste('train', '--extend', '--run-dir', run_dir, '--' + unit,
                               str(times * getattr(settings, unit)), *further)


def extend(before, wanted, epoch_steps, run_dir):
    """The `Settings` under which a run goes on to a larger length.

    A step schedule keeps its boundaries: `step_at`, which has shares of the run, is written anew.
    So the extended run is the one that these settings would have given from the start. With a
    `constant_rate` all steps after those of the old length have that rate. Cosine and one-cycle
    schedules end with the run, so they can only be extended by a constant rate.

    Args:
      before: the `Settings` of the run.
      wanted: the same with the new `epochs` or `steps`, and perhaps a `constant_rate`.
      epoch_steps: Python int, the number of steps of an epoch.
      run_dir: folder of the run, for messages.

    Raises:
      ValueError: the new length is not larger, the schedule cannot be extended, or `wanted` has
        another `step_at` or `constant_from`, or another `constant_rate` than steps of the run have.
    """
    old, new = (total_steps(settings, epoch_steps) for settings in (before, wanted))
    if new <= old:
        raise ValueError('{} has {} steps: --extend needs a larger length by --epochs or --steps, '
                         'got {} steps'.format(run_dir, old, new))
    for name in ('step_at', 'constant_from'):
        if getattr(wanted, name) != getattr(before, name):
            raise ValueError('--extend keeps the {} of the run, {!r}; got {!r}'.format(
                name, getattr(before, name), getattr(wanted, name)))
    if before.constant_from:
        if wanted.constant_rate != before.constant_rate:
            raise ValueError('{} has the constant rate {:g} from step {} on: it is extended by '
                             'that, not by {:g}'.format(run_dir, before.constant_rate,
                                                        before.constant_from,
                                                        wanted.constant_rate))
        return wanted
    if wanted.constant_rate:
        return dataclasses.replace(wanted, constant_from=old)
    if before.schedule != 'step':
        raise ValueError(
            'a {} schedule ends with the run: of another length, it would have had other rates '
            'from the first step on. Name a constant rate for the rest: {}'.format(
                before.schedule, command(run_dir, wanted, 1, '--constant-rate',
                                         '{:g}'.format(before.learning_rate / 100))))
    # A boundary at step 0 needs a share above 0 that is still rounded to step 0.
    shares = tuple(max(boundary, 0.25) / new for boundary in step_boundaries(before, old))
    return dataclasses.replace(wanted, step_at=shares)
