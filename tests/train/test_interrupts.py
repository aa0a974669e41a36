"""Ctrl-C while a tool still imports packages, which takes its first second and a half."""
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
NAMES = ('convert', 'evaluate', 'export_onnx', 'import_checkpoint', 'measure_samples',
         'save_images', 'summarize', 'train')

pytestmark = pytest.mark.fast


def test_all_tools_of_this_side_are_tested():
    assert sorted(path.stem for path in TOOLS.glob('*.py')
                  if 'import _train_side' in path.read_text()) == sorted(NAMES)


@pytest.mark.timeout(60)
@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('caught', ['KeyboardInterrupt', 'BaseException'])
def test_it_is_one_line(tmp_path, name, caught):
    """A TensorFlow that waits stands for the real one, which also catches what it should not."""
    (tmp_path / 'tensorflow').mkdir()
    (tmp_path / 'tensorflow' / '__init__.py').write_text(
        'import time\nprint("importing", flush=True)\n'
        'try:\n    time.sleep(30)\nexcept {} as error:\n    raise ImportError(error)\n'.format(
            caught))
    process = subprocess.Popen(
        [sys.executable, str(TOOLS / (name + '.py')), '--help'], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, universal_newlines=True,
        env=dict(os.environ, PYTHONPATH=str(tmp_path)))
    assert process.stdout.readline() == 'importing\n'
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out, err) == (130, '', name + '.py: interrupted\n')


@pytest.mark.timeout(60)
@pytest.mark.parametrize('before, ending', [
    ('', (130, 'summarize.py: interrupted\n')),
    ('signal.signal(signal.SIGINT, signal.SIG_IGN)', (0, '')),  # as `nohup` and `&` of sh have it
    pytest.param('signal.signal(signal.SIGINT, lambda *_: sys.stderr.write("mine"))', (0, 'mine'),
                 marks=pytest.mark.slow)])
def test_then_a_command_takes_over_but_from_no_handler_of_others(before, ending):
    code = ('import os, signal, sys; {}\n'
            'sys.argv[0] = "summarize.py"; import _train_side\n'
            'from ash_tf1.commands import summarize\n'
            'def sent(*_): os.kill(os.getpid(), signal.SIGINT); return 0\n'
            'summarize._summarize = sent\n'
            'sys.exit(summarize.main(["vgg_11"]))'.format(before))
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True,
                          env=dict(os.environ, PYTHONPATH=str(TOOLS)))
    assert (done.returncode, done.stderr) == ending
