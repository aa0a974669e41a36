"""Train a net with a chosen activation."""
import dataclasses
import json
import os
import shutil
import signal
import sys

from ash_distribution.commands import to_paste
from ash_distribution.parser import Parser
from ash_tf1 import plugins, training
from ash_tf1.commands import listing, options, showing
from ash_tf1.commands.running import print_line, run
from ash_tf1.sessions import keep_memory
from ash_tf1.training.recipes import RECIPES, get_recipe
from ash_tf1.training.run_dir import SETTINGS_FILE, load_settings
from ash_tf1.training.settings import Settings

DEFAULT_RECIPE = 'digits'


def main(argv=None):
    """Parses argv and runs the command; returns its exit status."""
    parser = Parser(
        'train',
        'Train a net with a chosen activation. A recipe gives all settings; options '
        'change single ones. Ctrl-C stops after the current step and saves.',
        ['--recipe digits --run-dir runs/digits',
         '--recipe cifar-short --data-dir cifar-10-python.tar.gz --activation swish '
         '--run-dir runs/swish',
         '--resume --run-dir runs/digits'])
    parser.add_argument('--run-dir', metavar='DIR',
                        help='folder for checkpoints, logs and the learning curve')
    parser.add_argument('--resume', action='store_true',
                        help='go on with the run in --run-dir, under its own settings')
    parser.add_argument('--extend', action='store_true',
                        help='lengthen the run in --run-dir to the --epochs or --steps given; a '
                             'step schedule keeps its boundaries, another one needs a '
                             '--constant-rate for the steps that are added')
    parser.add_argument('--recipe', metavar='NAME|FILE',
                        help='a named recipe (--list shows all), or a JSON file with the settings '
                             'that differ from the defaults (default: {})'.format(DEFAULT_RECIPE)
                        ).names = RECIPES
    parser.add_argument('--list', nargs='?', const='all', choices=('all', *listing.KINDS),
                        metavar='KIND',
                        help='only print the names that can be given, with a line about each: of '
                             'all kinds, or of one: ' + ', '.join(listing.KINDS))
    parser.add_argument('--show-settings', action='store_true',
                        help='only print all settings that the recipe and the options give; with '
                             '--json as a recipe')
    options.add_json(parser)
    parser.add_argument('--quiet', action='store_true', help='no progress bar')
    options.add_plugin(parser)
    options.add_settings(parser)
    return run(parser, _train, argv)


def _train(args):
    keep_memory()
    args.resume = args.resume or args.extend
    if args.run_dir is None and (args.resume or not (args.list or args.show_settings)):
        raise ValueError('give the folder of the run by --run-dir')
    mine = plugins.load_for(args.run_dir, args.plugin) if args.resume else plugins.load(args.plugin)
    if args.list:
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        print('\n'.join(listing.listing(args.list, mine, columns)))
        return 0
    base, given = base_and_given(args)
    with options.as_typed(given):
        settings = dataclasses.replace(base, **given)
    if args.show_settings:
        print(showing.settings_as_json(settings) if args.json else
              showing.settings_as_text(settings, base, given))
        return 0
    if not settings.dataset:
        raise ValueError('the recipe {} names no data set: give --dataset'.format(args.recipe))
    go_on = 'go on: ' + to_paste('train', '--resume', '--run-dir', args.run_dir)
    # With --json, stdout has the figures alone.
    report = _say_on_stderr if args.json else training.say
    if not (args.recipe or args.resume):
        report('no --recipe is given, so all that no option sets is as in the recipe {}; '
               '--show-settings prints it'.format(DEFAULT_RECIPE))
    try:
        with options.as_typed(given):
            result = training.train(settings, args.run_dir, args.resume, progress=not args.quiet,
                                    on_begin=lambda: plugins.record(args.run_dir, mine),
                                    extend=args.extend, report=report)
    except OSError as error:
        if not os.path.exists(os.path.join(args.run_dir, SETTINGS_FILE)):
            raise
        raise OSError('{}; the checkpoints saved before are kept; when the cause is removed, {}'
                      .format(error, go_on)) from error
    stopped = result.signal is not None and result.step != result.total_steps
    if args.json:
        print(json.dumps(showing.figures(args.run_dir, result), indent=2, allow_nan=False))
    elif result.curve:
        print_line('learning curve: {}'.format(result.curve))
    if stopped:
        say = _say_on_stderr if args.json else print_line
        say('stopped by {} and saved at step {} of {}; {}'.format(
            _signal_in_words(result.signal), result.step, result.total_steps, go_on))
        return 128 + result.signal
    if not args.json:
        print_line('checkpoint: {}, step {}'.format(args.run_dir, result.step))
    return 0


def _signal_in_words(number):
    name = signal.Signals(number).name
    return name + ' (Ctrl-C)' if number == signal.SIGINT else name


def _say_on_stderr(line):
    training.say(line, sys.stderr)


def base_and_given(args):
    """What the arguments say about the settings.

    Returns:
      (the `Settings` of the recipe or of the resumed run, dict of the settings that options give).

    Raises:
      ValueError: a value is invalid, or --recipe is given for a resumed run.
    """
    given = {field.name: getattr(args, field.name) for field in dataclasses.fields(Settings)
             if hasattr(args, field.name)}
    given = {name: tuple(value) if isinstance(value, list) else value
             for name, value in given.items()}
    if 'image_size' in given:
        given['image_size'] = options.image_size(given['image_size'])
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
        base = get_recipe(args.recipe or DEFAULT_RECIPE)
    if 'steps' in given or 'epochs' in given:
        # The given length replaces that of the recipe, also if that is in the other unit.
        base = dataclasses.replace(base, steps=0, epochs=0)
    return base, given
