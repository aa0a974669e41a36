"""What the commands say about themselves: help, messages, completion."""

import importlib
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from ash_distribution.commands import SERVE

pytestmark = pytest.mark.fast

STATUS = {'verify': '0 passed, 1 beyond', 'predict': '0 all classified', 'optimize': '0 written',
          'evaluate-onnx': '0 evaluated', 'generate': '0 made',
          'export-triton': '0 written', 'serve': '0 ended by a signal'}


@pytest.fixture(autouse=True)
def installed_command(monkeypatch):
    monkeypatch.setenv('COLUMNS', '80')
    monkeypatch.setattr(sys, 'argv', ['ash-predict'])


def build_parser(name):
    if name == 'serve':
        pytest.importorskip('kserve')
    return importlib.import_module(f'ash_onnx.commands.{SERVE.modules[name]}').build_parser()


@pytest.mark.parametrize('name', SERVE.modules)
def test_help_shows_three_uses_that_parse_in_80_columns(name):
    text = build_parser(name).format_help()
    assert max(map(len, text.splitlines())) <= 80
    assert f'exit status: {STATUS[name]}' in text
    examples = re.search(r'^examples:\n((  .*\n)+)', text, re.MULTILINE).group(1)
    commands = examples.replace('\\\n', ' ').strip().splitlines()
    assert len(commands) == 3
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == f'ash-{name}'
        build_parser(name).parse_args(arguments)


@pytest.mark.parametrize('name', SERVE.modules)
def test_messages_show_no_control_characters(name, capsys):
    with pytest.raises(SystemExit) as stop:
        build_parser(name).parse_args(['x', 'y', '--colour=\x1b[31mred\nline'])
    assert stop.value.code == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert '\x1b' not in line


@pytest.mark.skipif(not shutil.which('bash'), reason='needs bash')
def test_a_shell_completes_options(capsys):
    with pytest.raises(SystemExit) as stop:
        build_parser('predict').parse_args(['--print-completion', 'bash'])
    assert stop.value.code == 0
    script = capsys.readouterr().out + (
        'COMP_WORDS=(ash-predict --provider c); COMP_CWORD=2; '
        '_shtab_ash_predict ash-predict c --provider; echo "${COMPREPLY[@]}"')
    done = subprocess.run(['bash', '-c', script], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {'cpu', 'cuda'}
