"""tools/import_checkpoint.py: what it reports, lists and refuses."""
import importlib
import json
import sys

import numpy as np
import pytest

from ash_tf1 import checkpoint
from tests.train.checkpoint_import.checkpoints import save
from tests.train.miniature import contents

pytestmark = pytest.mark.fast

FORMATS = ['v2', 'v1', 'v1 sharded']


@pytest.fixture
def command(monkeypatch, capsys):
    """Function of arguments of tools/import_checkpoint.py -> (exit status, stdout, stderr)."""
    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['import_checkpoint.py'])
        capsys.readouterr()
        status = importlib.import_module('import_checkpoint').main([str(a) for a in arguments])
        output = capsys.readouterr()
        return status, output.out, output.err
    return run


def test_the_command_reports_what_it_did(command, old_tiny, tiny_values, tmp_path):
    values = dict(old__logits__weights=tiny_values['tiny/logits/weights'][None, None],
                  old__logits__biases=None, old__slot=np.ones(2), other=np.ones(2),
                  tiny__postnorm__beta=np.ones(1, np.float32))
    arguments = [old_tiny(**values), tmp_path / 'new.ckpt', '--map', old_tiny.rules[0],
                 '--net', 'tiny', '--classes', '3', '--input-size', '8', '8', '3', '--activation',
                 'swish_beta', '--ignore-unmatched', '--initialize-missing', '--seed', '3']
    status, dry, err = command(*arguments, '--dry-run')
    assert (status, err) == (0, '')
    record = json.loads(command(*arguments, '--dry-run', '--json')[1])
    assert (record['new'], record['unmatched'], record['checked']) == (None, ['other'], True)
    assert not list(tmp_path.glob('new*'))
    status, out, err = command(*arguments)
    assert (status, err) == (0, '')
    head, *lines, last = out.splitlines()
    count = len(tiny_values)
    assert head == ('imported {}, of them renamed {}, reshaped 1; filled 2, initialized 1; '
                    'dropped 1, unmatched 1'.format(count, count - 1))
    assert dry.splitlines()[:-1] == [head] + lines
    assert dry.splitlines()[-1] == 'dry run: nothing was written'
    for line in ['renamed old/conv1/weights -> tiny/conv1/weights', 'imported tiny/postnorm/beta',
                 'reshaped tiny/logits/weights: [1, 1, 16, 3] -> [16, 3]',
                 'filled tiny/block1/unit_1/preact/beta', 'initialized tiny/logits/biases',
                 'dropped old/slot', 'unmatched other']:
        assert '  ' + line in lines
    assert last == 'checkpoint: {}'.format(tmp_path / 'new.ckpt')
    assert len(lines) == count + 1 + 2 + 1 + 1 + 1
    assert checkpoint.find_checkpoint(str(tmp_path)) == str(tmp_path / 'new.ckpt')


def test_the_command_says_what_was_not_checked(command, tmp_path, to_new, small):
    old = save(tmp_path / 'm.ckpt', small)
    status, out, _ = command(old, tmp_path / 'new.ckpt', '--map', to_new[0])
    assert status == 0
    assert 'without --net, neither shapes nor completeness were checked' in out.splitlines()


@pytest.mark.parametrize('kind', FORMATS)
def test_the_command_lists_variables(command, tmp_path, kind, small):
    old = save(tmp_path / 'm.ckpt', small, kind)
    status, out, err = command(old, '--list')
    assert (status, err) == (0, '')
    assert out.splitlines() == ['old/a  float32 [2, 3]', 'old/b  int64 [2]', 'old/c  float64 []',
                                'old/d  bool [2]']


def test_names_of_variables_reach_no_terminal_raw(command, tmp_path, rules):
    old = save(tmp_path / 'm.ckpt', {'a\x1b[31m\nb': np.zeros(2, np.float32),
                                     'c': np.zeros(1)})
    name = r'a\x1b[31m\nb'
    assert command(old, '--list')[1].splitlines()[0] == name + '  float32 [2]'
    _, out, _ = command(old, tmp_path / 'new.ckpt', '--map', *rules('rename c d'),
                        '--ignore-unmatched')
    assert '  unmatched ' + name in out.splitlines() and '\x1b' not in out


@pytest.mark.parametrize('arguments, words', [
    (['OLD'], ['NEW', '--dry-run', '--list']),
    (['OLD', 'NEW', '--map', 'nowhere.txt'], ['nowhere.txt', 'authors', 'slim-resnet-v1']),
    (['OLD', 'NEW', '--map', 'BAD'], ['bad.txt', 'line 2', 'renam old/a new/a']),
    (['OLD', 'NEW'], ['no rule matches old/a']),
    (['nowhere', 'NEW'], ['no checkpoint at nowhere']),
    (['nowhere', '--list'], ['no checkpoint at nowhere']),
    (['OLD', 'NEW', '--net', 'resnet_v2_8'], ['--net', '--classes']),
    (['OLD', 'NEW', '--classes', '3'], ['--net', '--classes']),
    (['OLD', 'NEW', '--initialize-missing'], ['--net']),
    (['OLD', 'NEW', '--net-options', 'a=1'], ['--net-options', '--net']),
    (['OLD', 'NEW', '--labels', 'LABELS'], ['--net', '--labels']),
    (['OLD', 'NEW', '--net', 'resnet_v2_8', '--labels', 'EMPTY'], ['empty.txt, line 2', "''"]),
    (['OLD', 'NEW', '--net', 'resnet_v2_8', '--labels', 'nowhere.txt'], ['nowhere.txt']),
    (['OLD', 'NEW', '--net', 'resnet_v2_8', '--labels', 'LABELS', '--classes', '3'],
     ['2 labels', '3 classes']),
    (['OLD', 'NEW', '--net', 'resnet_v2_8', '--classes', '3', '--preprocess', 'vgg'],
     ['--preprocess', '--labels']),
    (['OLD', 'NEW', '--net', 'resnet_v2_8', '--labels', 'LABELS', '--preprocess', 'imagenet'],
     ['imagenet', 'caffe, tf, torch, vgg', 'KEY=VALUE']),
    (['OLD', 'NEW', '--net', 'resnet_v2_8', '--labels', 'LABELS', '--input-size', '8', '8', '1'],
     ['channel_mean']),
    (['OLD', 'NEW', '--net', 'lenet', '--classes', '3'], ['lenet', 'vgg_19']),
    (['OLD', 'OLD', '--map', 'GOOD', '--overwrite'], ['is the checkpoint to import']),
], ids=' '.join)
def test_the_command_refuses_bad_input_in_one_line(command, tmp_path, arguments, words, small):
    paths = {'OLD': save(tmp_path / 'm.ckpt', small), 'NEW': tmp_path / 'new.ckpt',
             'BAD': tmp_path / 'bad.txt', 'GOOD': tmp_path / 'good.txt',
             'LABELS': tmp_path / 'labels.txt', 'EMPTY': tmp_path / 'empty.txt'}
    paths['LABELS'].write_text('crane\ncrane\n\n')
    paths['EMPTY'].write_text('cat\n\ndog\n')
    paths['BAD'].write_text('# comment\nrenam old/a new/a\n')
    paths['GOOD'].write_text('regex old/(.+) \\1\n')
    before = contents(tmp_path)
    status, out, err = command(*[paths.get(word, word) for word in arguments])
    assert (status, out) == (2, '')
    line, = err.splitlines()
    assert line.startswith('import_checkpoint.py: error: ')
    for word in words:
        assert word in line
    assert contents(tmp_path) == before


def test_help_gives_an_example_and_the_ready_rules(command, capsys):
    with pytest.raises(SystemExit) as exit_:
        command('--help')
    assert exit_.value.code == 0
    text = capsys.readouterr().out.replace('-\n', '-')
    for word in ['examples:', 'authors', 'slim-vgg-11',
                 'slim-vgg-19', 'slim-resnet-v1', '--labels', 'caffe, tf, torch, vgg', 'crop']:
        assert word in ' '.join(text.split())
