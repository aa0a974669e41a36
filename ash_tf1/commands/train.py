"""Train a net with a chosen activation."""
import argparse
import dataclasses
import os

from ash_tf1 import invocation, plugins, training
from ash_tf1.commands import options
from ash_tf1.commands.running import run
from ash_tf1.training.recipes import RECIPES, get_recipe
from ash_tf1.training.run_dir import SETTINGS_FILE, load_settings
from ash_tf1.training.settings import Settings


def main(argv=None):
    """Parses argv and runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        description='Train a net with a chosen activation. A recipe gives all settings; options '
                    'change single ones. Ctrl-C stops after the current step and saves.',
        epilog='example: python tools/train.py --recipe cifar-short --data-dir cifar-10-batches-py '
               '--activation ash --run-dir runs/ash')
    parser.add_argument('--run-dir', required=True, metavar='DIR',
                        help='folder for checkpoints, logs and the learning curve')
    parser.add_argument('--resume', action='store_true',
                        help='go on with the run in --run-dir, under its own settings')
    parser.add_argument('--extend', action='store_true',
                        help='lengthen the run in --run-dir to the --epochs or --steps given; a '
                             'step schedule keeps its boundaries, another one needs a '
                             '--constant-rate for the steps that are added')
    parser.add_argument('--recipe', help='one of {} (default: digits)'.format(
        ', '.join(RECIPES)))
    parser.add_argument('--quiet', action='store_true', help='no progress bar')
    options.add_plugin(parser)
    options.add_settings(parser)
    return run(parser, _train, argv)


def _train(args):
    go_on = 'go on: ' + invocation.to_paste('train', '--resume', '--run-dir', args.run_dir)
    args.resume = args.resume or args.extend
    mine = plugins.load_for(args.run_dir, args.plugin) if args.resume else plugins.load(args.plugin)
    try:
        result = training.train(settings_from(args), args.run_dir, args.resume,
                                progress=not args.quiet,
                                on_begin=lambda: plugins.record(args.run_dir, mine),
                                extend=args.extend)
    except OSError as error:
        if not os.path.exists(os.path.join(args.run_dir, SETTINGS_FILE)):
            raise
        raise OSError('{}; the checkpoints saved before are kept; when the cause is removed, {}'
                      .format(error, go_on)) from error
    if result.curve:
        print('learning curve: {}'.format(result.curve))
    if result.signal is None or result.step == result.total_steps:
        print('checkpoint: {}, step {}'.format(args.run_dir, result.step))
        return 0
    print('stopped by signal {} and saved at step {} of {}; {}'.format(
        result.signal, result.step, result.total_steps, go_on))
    return 128 + result.signal


def settings_from(args):
    """The `Settings` for arguments: those of a recipe or a resumed run, changed by the options.

    Raises:
      ValueError: a value is invalid, --recipe is given for a resumed run, or neither the recipe
        nor an option names a data set.
    """
    given = {field.name: getattr(args, field.name) for field in dataclasses.fields(Settings)
             if hasattr(args, field.name)}
    given = {name: tuple(value) if isinstance(value, list) else value
             for name, value in given.items()}
    for name in ('data_dir', 'init_from'):
        if given.get(name):
            given[name] = os.path.abspath(given[name])
    if args.resume:
        if args.recipe:
            raise ValueError('--resume and --extend take the settings of the run; leave --recipe '
                             'out')
        if args.extend and not {'epochs', 'steps'} & set(given):
            raise ValueError('--extend needs the new length of the run, by --epochs or --steps')
        base = load_settings(args.run_dir)
    else:
        base = get_recipe(args.recipe or 'digits')
    if 'steps' in given or 'epochs' in given:
        # The given length replaces that of the recipe, also if that is in the other unit.
        base = dataclasses.replace(base, steps=0, epochs=0)
    settings = dataclasses.replace(base, **given)
    if not settings.dataset:
        raise ValueError('the recipe {} names no data set: give --dataset'.format(args.recipe))
    return settings
