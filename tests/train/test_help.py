"""What the commands say about themselves: help, lists, settings, figures as JSON, completion."""
import dataclasses
import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ash_distribution.commands import TRAIN, to_paste
from ash_tf1 import names
from ash_tf1.commands import listing, running
from ash_tf1.commands import train as train_command
from ash_tf1.training.recipes import RECIPES, get_recipe
from ash_tf1.training.settings import Settings

pytestmark = pytest.mark.fast

TINY = ['--quiet', '--net', 'tiny', '--dataset', 'tiny', '--batch-size', '8', '--epochs', '2',
        '--log-every', '1']


@pytest.fixture(autouse=True)
def installed_command(monkeypatch):
    monkeypatch.setenv('COLUMNS', '80')
    monkeypatch.setattr(sys, 'argv', ['ash-train'])


def call(name, *arguments):
    return importlib.import_module('ash_tf1.commands.' + TRAIN.modules[name]).main(
        [str(argument) for argument in arguments])


def help_of(name, capsys):
    with pytest.raises(SystemExit) as stop:
        call(name, '--help')
    assert stop.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize('name', TRAIN.modules)
def test_help_shows_three_uses_that_parse_in_80_columns(name, capsys, monkeypatch):
    text = help_of(name, capsys)
    assert max(map(len, text.splitlines())) <= 80
    examples = re.search(r'^examples:\n((  .*\n)+)', text, re.MULTILINE).group(1)
    commands = examples.replace('\\\n', ' ').strip().splitlines()
    assert len(commands) == 3
    parsed = []
    module = importlib.import_module('ash_tf1.commands.' + TRAIN.modules[name])
    monkeypatch.setattr(module, 'run', lambda parser, function, argv: parsed.append(
        parser.parse_args(argv)))
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == 'ash-' + name
        module.main(arguments)
    assert len(parsed) == 3


@pytest.mark.parametrize('name', TRAIN.modules)
def test_messages_show_no_control_characters(name, capsys):
    with pytest.raises(SystemExit) as stop:
        call(name, *['x'] * 9, '--out=x', '--colour=\x1b[31mred\nline')
    assert stop.value.code == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert '\x1b' not in line and r'\x1b[31mred\nline' in line


@pytest.mark.parametrize('name, nearest', [
    ('resnet50', ['resnet_v1_50', 'resnet_v2_50']), ('VGG19', ['vgg_19']),
    ('wrn-28-10', ['wrn_28_10']), ('densenet_bc', ['densenet_bc_100_12']), ('xyz', [])])
def test_the_nearest_names_are_found(name, nearest):
    found = names.nearest(name, listing.NETS)
    assert set(nearest) <= set(found) and bool(found) == bool(nearest)


def test_a_list_has_every_name(capsys):
    assert call('train', '--list') == 0
    lines = capsys.readouterr().out.splitlines()
    for kind, registry in (('nets', listing.NETS), ('activations', listing.ACTIVATIONS),
                           ('datasets', listing.DATASETS), ('recipes', RECIPES),
                           ('tasks', listing.TASKS)):
        start = lines.index(kind) + 1
        found = lines[start:lines.index('', start)]
        assert {line.split()[0] for line in found} >= set(registry)
        assert len({re.match(r' *\S+ *', line).end() for line in found}) == 1  # aligned
        assert all(len(line.split()) > 1 and 'docstring' not in line for line in found)
        assert call('train', '--list', kind) == 0
        assert ['  ' + line for line in capsys.readouterr().out.splitlines()] == found
    assert set(names.KINDS.values()) < set(listing.KINDS)
    assert set(listing.LINES) <= {name for kind in listing.KINDS for name in listing.KINDS[kind]()}
    assert 'with labels' in listing.LINES['folder'] and 'without' in listing.LINES['photos']


@pytest.mark.parametrize('kind', ['all', 'activations'])
def test_a_list_is_cut_nowhere(monkeypatch, kind):
    monkeypatch.setitem(listing.LINES, 'ash', ' '.join('word{}'.format(i) for i in range(40)))
    whole, wrapped = listing.listing(kind), listing.listing(kind, width=60)
    assert any(line.split()[0] == 'ash' and line.endswith('word38 word39')
               for line in whole if line)
    assert max(map(len, wrapped)) <= 60 < max(map(len, whole))
    assert ' '.join(wrapped).split() == ' '.join(whole).split()


def test_parts_of_a_plugin_are_listed_and_the_plugin(capsys, tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text('from ash_tf1 import plugins\n\n\n@plugins.activation("listed")\n'
                    'def mine(x):\n    """Gives back what it gets."""\n    return x\n'
                    'plugins.activation("silent")(lambda x: x)\n')
    try:
        assert call('train', '--plugin', path, '--list') == 0
    finally:
        listing.ACTIVATIONS.pop('listed'), listing.ACTIVATIONS.pop('silent')
    out = capsys.readouterr().out
    assert re.search(r'^  listed +Gives back what it gets$', out, re.MULTILINE)
    assert re.search(r'^  silent +\(no docstring\)$', out, re.MULTILINE)
    assert re.search(r'^plugins\n  mine.py  {}, given by --plugin$'.format(path), out, re.MULTILINE)


def test_shown_settings_are_a_recipe(capsys, tmp_path):
    given = ['--recipe', 'wide-resnet-cifar', '--epochs', '3', '--step-at', '0.5']
    assert call('train', '--show-settings', '--json', *given) == 0
    (tmp_path / 'mine.json').write_text(capsys.readouterr().out)
    assert get_recipe(str(tmp_path / 'mine.json')) == dataclasses.replace(
        get_recipe('wide-resnet-cifar'), epochs=3, step_at=(0.5,))


def test_shown_settings_say_where_they_are_from(capsys, tiny_run):
    assert call('train', '--show-settings', '--recipe', 'wide-resnet-cifar', '--seed', '3') == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    rows = {line.split()[0]: line.split()[1:] for line in lines}
    assert list(rows) == [field.name for field in dataclasses.fields(Settings)]
    assert rows['step_at'] == ['0.3', '0.6', '0.8', 'recipe']
    assert rows['nesterov'] == ['yes', 'recipe'] and rows['momentum'] == ['0.9']
    assert rows['seed'] == ['3', 'option'] and rows['data_dir'] == ['-']
    assert call('train', '--show-settings', '--resume', '--run-dir', tiny_run) == 0
    assert ['net', 'tiny', 'recipe'] in [
        line.split() for line in capsys.readouterr().out.splitlines()]


def test_the_folder_of_a_run_is_asked_for(capsys):
    for given in ([], ['--resume', '--list']):
        assert call('train', *given) == 2
        assert capsys.readouterr().err == ('ash-train: error: give the folder of the run by '
                                           '--run-dir\n')


def test_the_figures_of_a_run_as_json(tiny, capsys, tmp_path):
    assert call('train', '--run-dir', tmp_path / 'run', *TINY, '--json') == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert 'validation' in err and (result['step'], result['signal']) == (10, None)
    assert result['checkpoint'] == str(tmp_path / 'run' / 'model.ckpt-10')
    assert result['validation']['step'] == 10 and 0 <= result['validation']['top1'] <= 1
    assert result['best'].endswith('model.ckpt-{}'.format(result['best_validation']['step']))
    assert result['best_validation']['top1'] >= result['validation']['top1']
    assert result['train']['loss'] > 0 and os.path.exists(result['learning_curve'])


def test_other_figures_as_json(tiny, capsys, tiny_run, tmp_path):
    assert call('export', tiny_run, tmp_path / 'artifact', '--samples', '2', '--json') == 0
    result = json.loads(capsys.readouterr().out)
    assert result['folder'] == str(tmp_path / 'artifact') and result['samples'] == 2
    assert result['nodes']['Sigmoid'] == 3
    assert result['size'] == os.path.getsize(str(tmp_path / 'artifact' / 'model.onnx'))
    assert call('save-images', 'tiny', tmp_path / 'images', '--per-class', '2', '--json') == 0
    assert json.loads(capsys.readouterr().out) == dict(
        folder=str(tmp_path / 'images'), images=6, classes=3)


@pytest.mark.skipif(not shutil.which('bash'), reason='needs bash')
@pytest.mark.parametrize('words, completions', [
    ('--sh', {'--show-settings'}), ('--net vgg_', {'vgg_11', 'vgg_19'}),
    ('--recipe dense', {'densenet-cifar'}), ('--schedule co', {'cosine'})])
def test_a_shell_completes_options_and_names(words, completions, capsys):
    with pytest.raises(SystemExit) as stop:
        call('train', '--print-completion', 'bash')
    assert stop.value.code == 0
    words = ['ash-train', *words.split()]
    script = capsys.readouterr().out + (
        'COMP_WORDS=({}); COMP_CWORD={}; _shtab_ash_train {}; echo "${{COMPREPLY[@]}}"'.format(
            ' '.join(words), len(words) - 1, ' '.join((words[0], words[-1], words[-2]))))
    done = subprocess.run(['bash', '-c', script], stdout=subprocess.PIPE, check=True)
    assert set(done.stdout.decode().split()) == completions


def test_completion_without_its_library_names_it(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'shtab', None)
    with pytest.raises(SystemExit) as stop:
        call('train', '--print-completion', 'zsh')
    assert stop.value.code == 2
    assert 'needs the package shtab' in capsys.readouterr().err


@pytest.mark.parametrize('program, line', [
    ('/opt/bin/ash-predict', "/opt/bin/ash-export 'my run'"),
    ('TOOLS/train.py', "PYTHON TOOLS/export_onnx.py 'my run'"),
    ('/some/where/pytest', "PYTHON -m ash_tf1 export 'my run'"),
    ('python -m ash_tf1 train', "PYTHON -m ash_tf1 export 'my run'")])
@pytest.mark.parametrize('folder, python', [
    ('.', 'venvs/train/bin/python3'), ('venvs/train', 'bin/python3'),
    ('venvs/trai', 'HERE/venvs/train/bin/python3'), ('aside', 'HERE/venvs/train/bin/python3')])
def test_a_command_to_paste_is_written_as_the_running_one(monkeypatch, tmp_path, program, line,
                                                          folder, python):
    tools = str(tmp_path / 'tools')
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'tools' / '_train_side.py').write_text('')
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path / folder)
    monkeypatch.setattr(sys, 'executable', str(tmp_path / 'venvs/train/bin/python3'))
    monkeypatch.setattr(sys, 'argv', [program.replace('TOOLS', tools)])
    assert to_paste('export', 'my run') == line.replace('TOOLS', tools).replace(
        'PYTHON', python.replace('HERE', str(tmp_path)))


def test_a_command_of_the_other_side_takes_the_environment_beside_this_one(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, 'argv', ['python -m ash_tf1'])
    monkeypatch.setattr(sys, 'executable', str(tmp_path / 'train/bin/python'))
    monkeypatch.chdir(tmp_path)
    assert to_paste('verify', 'net') == 'python -m ash_onnx verify net'
    (tmp_path / 'serve/bin').mkdir(parents=True)
    (tmp_path / 'serve/bin/python').write_text('')
    assert to_paste('verify', 'net') == 'serve/bin/python -m ash_onnx verify net'


def test_a_command_to_paste_without_a_current_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, 'argv', ['python -m ash_tf1'])
    (tmp_path / 'gone').mkdir()
    monkeypatch.chdir(tmp_path / 'gone')
    (tmp_path / 'gone').rmdir()
    assert to_paste('export') == sys.executable + ' -m ash_tf1 export'


def test_the_page_of_photos_has_the_size_of_its_recipe():
    page = (Path(__file__).resolve().parents[2] / 'docs/photos.md').read_text(encoding='utf-8')
    assert '{0} x {0} in the recipe `photos`'.format(*RECIPES['photos']['image_size']) in page


def test_the_parser_is_the_only_one():
    """So that what is above holds for each command."""
    for name, module in TRAIN.modules.items():
        module = importlib.import_module('ash_tf1.commands.' + module)
        assert 'ArgumentParser(' not in open(module.__file__).read(), name
    assert train_command.run is running.run
