"""The commands of the TensorFlow side: what they do, print and refuse."""
import dataclasses
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import tf2onnx

import ash_tf1
from ash_tf1 import input_pipelines, training
from ash_tf1.commands import evaluate as evaluate_command
from ash_tf1.commands import showing
from ash_tf1.commands import train as train_command
from ash_tf1.tasks.classification.evaluation import Evaluation
from ash_tf1.training import checkpoints, loop
from ash_tf1.training.settings import Settings
from tests.train.miniature import contents

pytestmark = pytest.mark.fast

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
TINY = ['--quiet', '--net', 'tiny', '--dataset', 'tiny', '--batch-size', '8', '--epochs', '1',
        '--log-every', '1']


@pytest.fixture
def command(tiny, monkeypatch, capsys):
    """Function (tool, *arguments) -> (exit status, stdout, stderr)."""
    def run(tool, *arguments):
        monkeypatch.setattr(sys, 'argv', [str(TOOLS / (tool + '.py'))])
        capsys.readouterr()
        status = importlib.import_module(tool).main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return status, output.out, output.err
    return run


@pytest.fixture
def refused(command):
    """Function (words, tool, *arguments): asserts status 2 and a single line with the words."""
    def check(words, tool, *arguments):
        status, _, err = command(tool, *arguments)
        assert status == 2
        line, = err.splitlines()
        assert line.startswith(tool + '.py: error: ')
        for word in words:
            assert word in line
    return check


@pytest.fixture
def run_copy(tiny_run, tmp_path):
    shutil.copytree(str(tiny_run), str(tmp_path / 'copy'))
    return tmp_path / 'copy'


def test_a_run_is_stopped_resumed_and_evaluated(command, tmp_path, before_step, monkeypatch):
    run_dir = tmp_path / 'run'
    (tmp_path / 'data').mkdir()
    monkeypatch.chdir(tmp_path)
    before_step(3, lambda: os.kill(os.getpid(), signal.SIGINT))
    status, out, err = command('train', '--run-dir', run_dir, *TINY, '--activation', 'relu',
                               '--data-dir', 'data')
    assert (status, err) == (128 + signal.SIGINT, '')
    assert 'stopped by SIGINT (Ctrl-C) and saved at step 3 of 5; go on: {} '.format(
        sys.executable) in out.splitlines()[-1]
    assert '--resume --run-dir {}'.format(run_dir) in out.splitlines()[-1]

    before_step()
    monkeypatch.chdir('/')  # the data are still found
    status, out, err = command('train', '--resume', '--quiet', '--run-dir', run_dir)
    assert (status, err) == (0, '')
    assert 'resnet' not in out, 'the settings of the run, not those of the default recipe'
    assert '{}, step 5'.format(run_dir) in out.splitlines()[-1]
    assert str(run_dir / 'learning_curve.png') in out

    status, out, err = command('evaluate', run_dir, '--json', '--quiet')
    assert (status, err) == (0, '')
    assert json.loads(out)['checkpoint'] == str(run_dir / 'model.ckpt-5')


@pytest.mark.parametrize('given, words', [
    (['--net', 'lenet'], ['lenet', 'resnet_v2_20', 'vgg_19', '--list nets']),
    (['--net', 'vgg19'], ['did you mean vgg_19', '--list nets']),
    (['--net-options', 'dropout_rate=0.3'], ["'dropout_rate=0.3' of tiny"]),
    (['--net', 'wrn_16_4', '--net-options', 'dropout_rate=2'], ['dropout_rate', '2.0']),
    (['--recipe', 'resnet-imagenet', '--dataset', ''], ['resnet-imagenet', 'give --dataset']),
    (['--activation', 'tanhh'], ['tanhh', 'ash', 'relu', 'f_ash_K', '--list activations']),
    (['--activation', 'swsh'], ['did you mean swish or f_ash_K', '--list activations']),
    (['--task', 'classify'], ['classify', 'known are classification', '--list tasks']),
    (['--activation', 'f_ash_100'], ['100']),
    (['--recipe', 'resnet_imagenet'], ['did you mean resnet-imagenet', '--list recipes']),
    (['--dataset', 'mnist'], ['mnist', 'cifar10', 'digits', '--list datasets']),
    (['--dataset', 'CIFAR-10'], ['did you mean cifar10', '--list datasets']),
    (['--dataset', 'cifar10'], ['CIFAR-10', '--data-dir']),
    (['--dataset', 'cifar10', '--data-dir', 'nowhere/at/all'], ['--data-dir', 'nowhere/at/all']),
    (['--data-dir', 'nowhere/at/all'], ['--data-dir: no data set at ', 'nowhere/at/all']),
    (['--dataset', 'folder', '--data-dir', 'nowhere/at/all'],
     ['--data-dir: there is no file or folder', 'nowhere/at/all']),
    (['--dataset', 'folder'], ['--data-dir']),
    (['--image-size', '64', '0'], ['--image-size is one number, or a height', 'got 64 0']),
    (['--image-size', '8', '8', '3'], ['--image-size is one number, or a height', 'got 8 8 3']),
    (['--learning-rate', '0'], ['--learning-rate must', '0.0']),
    (['--momentum', '1'], ['momentum', '1.0']),
    (['--step-at', '0.5', '2'], ['--step-at must', '2.0']),
    (['--batch-size', '41'], ['--batch-size must', '41', '40']),
    (['--steps', '9'], ['9 steps', '1 epochs']),
    (['--resume'], ['settings.json']),
], ids=lambda value: ' '.join(value))
def test_training_refuses_bad_input_in_one_line(refused, tmp_path, given, words):
    refused(words, 'train', '--run-dir', tmp_path / 'run', *TINY, *given)


def test_training_refuses_a_folder_in_use(refused, tiny_run, monkeypatch):
    # It is refused before its graph is used, which takes seconds to build.
    monkeypatch.setattr(loop, 'build_training_graph', lambda *args: None)
    refused([str(tiny_run), '--resume'], 'train', '--run-dir', tiny_run, *TINY)
    refused(['learning_rate', '0.25', '0.1'], 'train', '--run-dir', tiny_run, '--resume',
            '--learning-rate', '0.25')
    refused(['--recipe'], 'train', '--run-dir', tiny_run, '--resume', '--recipe', 'digits')


@pytest.mark.parametrize('given', [['--schedule', 'linear'], ['--batch-size', 'many'], ['--what']])
def test_an_option_that_does_not_parse_ends_with_status_2(command, capsys, tmp_path, given):
    with pytest.raises(SystemExit) as exit_:
        command('train', '--run-dir', tmp_path / 'run', *given)
    assert exit_.value.code == 2
    assert given[0] in capsys.readouterr().err


@pytest.mark.parametrize('best, said', [(10, True), (15, False), (None, False)])
def test_evaluate_says_where_a_better_checkpoint_is(best, said, command, tiny_run, monkeypatch):
    monkeypatch.setattr(checkpoints, 'best_of', lambda run_dir: best)
    _, out, _ = command('evaluate', tiny_run, '--quiet')
    line = out.splitlines()[-1]
    assert ('that of step 10 is the best one' in line and '--checkpoint best' in line) == said
    _, out, _ = command('evaluate', tiny_run, '--quiet', '--checkpoint', str(tiny_run))
    assert '--checkpoint best' not in out


def test_train_names_the_recipe_that_it_takes_by_default(command, tmp_path):
    words = 'as in the recipe digits; --show-settings prints it'
    assert words in command('train', '--run-dir', tmp_path / 'a', '--quiet', *TINY)[1]
    given = command('train', '--recipe', 'digits', '--run-dir', tmp_path / 'b', '--quiet', *TINY)[1]
    assert words not in given and given


@pytest.mark.parametrize('tool', ['evaluate', 'export_onnx'])
def test_what_lacks_a_checkpoint_is_refused(refused, tmp_path, run_copy, tool):
    out = [tmp_path / 'out'] if tool == 'export_onnx' else []
    refused(['nowhere', 'model.json'], tool, tmp_path / 'nowhere', *out)
    refused(['no checkpoint', 'model.ckpt-9'], tool, run_copy, *out, '--checkpoint', 'model.ckpt-9')
    refused(['nowhere'], tool, run_copy, *out, '--data-dir', tmp_path / 'nowhere')
    (run_copy / 'checkpoint').unlink()
    refused(['no checkpoint in folder', str(run_copy)], tool, run_copy, *out)
    (run_copy / 'model.json').write_text('{"net": ')
    refused(['model.json'], tool, run_copy, *out)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('tool', ['evaluate', 'export_onnx'])
def test_a_checkpoint_with_another_number_of_classes_is_refused(
        refused, tiny, run_copy, tmp_path, monkeypatch, tool):
    labels = ['dark', 'grey', 'light', 'black']
    record = json.loads((run_copy / 'model.json').read_text())
    (run_copy / 'model.json').write_text(json.dumps(dict(record, labels=labels)))
    monkeypatch.setitem(input_pipelines.DATASETS, 'tiny',
                        lambda data_dir=None: tiny(data_dir, tuple(labels)))
    out = [tmp_path / 'out'] if tool == 'export_onnx' else []
    refused(['model.ckpt-15', 'tiny/logits/', '3]', '4]'], tool, run_copy, *out)
    assert not (tmp_path / 'out').exists()


def test_an_evaluation_is_printed_for_people(command, tiny_run):
    status, out, err = command('evaluate', tiny_run, '--quiet', '--checkpoint', 'best')
    assert (status, err) == (0, '')
    head, shares, *classes = out.splitlines()
    assert str(tiny_run / 'best' / 'model.ckpt-') in head
    assert ' of 23), loss ' in shares  # no top-5: there are 3 classes
    assert [line.split()[0] for line in classes] == ['dark', 'grey', 'light']


def test_an_evaluation_is_printed_for_programs(command, tiny_run):
    status, out, err = command('evaluate', tiny_run, '--quiet', '--json', '--split', 'train')
    assert (status, err) == (0, '')
    record = json.loads(out)
    assert (record['count'], record['split'], record['top5']) == (40, 'train', None)
    assert record['top1'] == record['correct'] / 40
    assert list(record['class_top1']) == ['dark', 'grey', 'light']
    assert np.dot(list(record['class_top1'].values()), [14, 13, 13]) == pytest.approx(
        record['correct'])


def test_a_class_without_examples_is_null_in_json(command, tiny_run, monkeypatch):
    def without_the_last(*args, **kwargs):
        result, spec, prefix = evaluate(*args, **kwargs)
        return Evaluation(result.loss, result.predictions % 2, result.labels % 2,
                          result.in_top5), spec, prefix
    evaluate = evaluate_command.evaluate
    monkeypatch.setattr(evaluate_command, 'evaluate', without_the_last)

    def no_constant(name):
        raise AssertionError('{} is no JSON'.format(name))
    _, out, _ = command('evaluate', tiny_run, '--quiet', '--json')
    assert json.loads(out, parse_constant=no_constant)['class_top1']['light'] is None


def test_an_export_says_what_it_wrote(command, refused, tiny_run, tmp_path):
    out_dir = tmp_path / 'out'
    status, out, err = command('export_onnx', tiny_run, out_dir, '--samples', '2')
    assert (status, err) == (0, '')
    assert out.startswith('{}: '.format(out_dir))
    assert ' 3 Sigmoid' in out
    assert '2 examples in the test data set' in out
    refused([str(out_dir), '--overwrite'], 'export_onnx', tiny_run, out_dir)
    refused([str(tiny_run), 'will not be replaced'], 'export_onnx', tiny_run, tiny_run,
            '--overwrite')
    refused(['0'], 'export_onnx', tiny_run, tmp_path / 'none', '--samples', '0')
    refused(['opset must be from 11 to 18, got 10'], 'export_onnx', tiny_run, tmp_path / 'none',
            '--opset', '10')


def test_a_run_converts_as_it_is_exported(command, refused, tiny_run, tmp_path):
    status, out, err = command('convert', tiny_run, tmp_path / 'out')
    assert (status, err) == (0, '')
    assert command('export_onnx', tiny_run, tmp_path / 'other')[0] == 0
    models = [(tmp_path / name / 'model.onnx').read_bytes() for name in ('out', 'other')]
    assert models[0] == models[1]
    refused(['model.json says that: leave out --labels'], 'convert', tiny_run, tmp_path / 'none',
            '--labels', 'labels.txt')


@pytest.mark.parametrize('given, words', [
    (['--net', 'tiny'], ['--net needs --labels, or --classes']),
    (['--net', 'tiny', '--classes', '3', '--labels', 'labels.txt'], ['--labels, or --classes']),
    (['--net', 'tiny', '--classes', '3', '--set', 'a=1'], ['--set is for graphs']),
    (['--net', 'tiny', '--classes', '3', '--input-size', '0'], ['--input-size', 'got 0']),
    (['--scope', 'a'], ['--scope is for checkpoints: give --net']),
    (['--input-size', '8'], ['--input-size is for image classifiers'])])
def test_what_does_not_go_with_a_checkpoint_is_refused(refused, tiny_run, tmp_path, given, words):
    for name in ('model.ckpt-15.index', 'model.ckpt-15.data-00000-of-00001'):
        shutil.copy(str(tiny_run / name), str(tmp_path / name))
    refused(words, 'convert', tmp_path / 'model.ckpt-15', tmp_path / 'none', *given)
    assert not (tmp_path / 'none').exists()


def test_what_failed_without_fault_of_the_input_has_another_status(command, tiny_run, tmp_path,
                                                                   monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError('no\nsuch luck')
    monkeypatch.setattr(tf2onnx.convert, 'from_graph_def', fail)
    status, _, err = command('export_onnx', tiny_run, tmp_path / 'out')
    assert status == 1
    assert err.splitlines()[-1].startswith('export_onnx.py: error: ')
    assert 'no such luck' in err
    assert not (tmp_path / 'out').exists()


def test_ctrl_c_outside_of_training_leaves_no_traceback(command, tiny_run, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt
    monkeypatch.setattr(evaluate_command, 'evaluate', interrupt)
    status, _, err = command('evaluate', tiny_run)
    assert (status, err) == (130, 'evaluate.py: interrupted\n')


def test_an_export_without_tf2onnx_says_what_to_install(refused, tiny_run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'tf2onnx', None)
    for name in [name for name in sys.modules if name.startswith('ash_tf1.converting')]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(ash_tf1, 'converting', raising=False)
    refused(['`convert`', 'tf2onnx'], 'export_onnx', tiny_run, tmp_path / 'out')


def test_every_setting_can_be_given_on_the_command_line(command, capsys):
    with pytest.raises(SystemExit):
        command('train', '--help')
    text = capsys.readouterr().out
    for field in dataclasses.fields(Settings):
        assert '--' + field.name.replace('_', '-') in text


def test_the_help_of_the_size_of_images_has_its_defaults(command, capsys):
    with pytest.raises(SystemExit):
        command('train', '--help')
    words = ' '.join(capsys.readouterr().out.split())
    assert '(default: 224 224 for folder, 64 64 for photos' in words
    assert 'of rank 2 or more' in words  # what has weight decay


@pytest.mark.parametrize('given, size', [(['8'], '8x8'), (['12', '16'], '12x16')])
def test_one_number_is_both_sides_of_an_image_and_the_first_line_says_so(
        command, tmp_path, monkeypatch, given, size):
    for number in range(9):
        path = tmp_path / 'photos' / 'ab'[number % 2] / '{}.png'.format(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((20, 20, 3), 20 * number, np.uint8))
    monkeypatch.setattr(loop, '_run', lambda plan, *args: (plan.total_steps, None))
    monkeypatch.setattr(loop.plotting, 'plot_learning_curve', lambda *args: None)
    status, out, err = command('train', '--run-dir', tmp_path / 'run', *TINY, '--dataset', 'folder',
                               '--data-dir', tmp_path / 'photos', '--batch-size', '2',
                               '--image-size', *given)
    assert (status, err) == (0, '')
    assert out.splitlines()[1].startswith('tiny with ash on folder at {} (5 train, '.format(size))
    images = tmp_path / 'images'
    assert command('save_images', 'folder', images, '--data-dir', tmp_path / 'photos',
                   '--image-size', *given)[0] == 0
    shape = cv2.imread(str(next(images.glob('a/*.png')))).shape
    assert '{}x{}'.format(*shape) == size


def test_a_setting_that_a_recipe_switches_on_is_switched_off(command, monkeypatch, tmp_path):
    given = []
    monkeypatch.setattr(train_command.training, 'train', lambda settings, *args, **kwargs: (
        given.append(settings) or training.Result(1, 1, None, None)))
    for option in ([], ['--no-nesterov']):
        command('train', '--recipe', 'densenet-cifar', '--run-dir', tmp_path / 'run', *option)
    assert [settings.nesterov for settings in given] == [True, False]


def test_a_net_is_summarized(command):
    status, out, err = command('summarize', 'resnet_v2_8', '--activation', 'ash')
    assert (status, err) == (0, '')
    lines = out.splitlines()
    assert lines[0] == 'resnet_v2_8 of 32x32x3 for 10 classes'
    assert lines[1].split() == ['layer', 'output', 'parameters', 'multiply-adds', 'activation']
    assert lines[3].split() == ['conv1', '32x32x16', '432', '442,368']
    assert lines[4].split() == ['block1/unit_1/preact', '32x32x16', '32', 'ash', '+2', 'parameters']
    assert lines[-1].split() == ['total', '77,850', '12,501,632', '7', '+14', 'parameters']


def test_a_summary_of_another_size_option_and_activation_as_json(command):
    status, out, err = command('summarize', 'resnet_v1_50', '--input-size', 64, 96, '--classes', 5,
                               '--activation', 'prelu', '--net-options', 'stride_placement=3x3',
                               '--json')
    assert (status, err) == (0, '')
    result = json.loads(out)
    assert result['input_shape'] == [64, 96, 3]
    assert result['parameters'] == 25557032 - 995 * 2049
    assert result['layers'][0]['output_shape'] == [32, 48, 64]
    assert result['layers'][0]['activation_parameters'] == 64  # a slope a channel
    assert result['layers'][-1]['output_shape'] == [5]
    assert result['activations'] == 49
    # The 3x3 of block4/unit_1 takes 4x6 places to 2x3; its 1x1 before sees the larger map.
    layers = {layer['name']: layer for layer in result['layers']}
    assert layers['block4/unit_1/conv1']['multiply_adds'] == 4 * 6 * 1024 * 512
    assert layers['block4/unit_1/conv2']['multiply_adds'] == 2 * 3 * 9 * 512 * 512


@pytest.mark.parametrize('given, words', [
    (['lenet'], ['lenet', 'wrn_28_10', 'tools/train.py --list nets']),
    (['vgg_11', '--activation', 'tanhh'], ['tanhh']),
    (['vgg_11', '--input-size', '32', '32', '3', '1'], ['--input-size', '32 32 3 1']),
    (['vgg_11', '--input-size', '0', '32'], ['--input-size', '0 32']),
    (['vgg_11', '--classes', '0'], ['--classes', '0']),
    (['wrn_16_4', '--net-options', 'depth=3'], ["'depth=3'", 'dropout_rate=0.0'])])
def test_a_summary_refuses_bad_input_in_one_line(refused, given, words):
    refused(words, 'summarize', *given)


def test_names_that_the_terminal_cannot_show(tmp_path):
    """A process of its own, for its streams' encoding."""
    name, shown = 'a\x1b[31m\nb\udcff\u2603', r'a\x1b[31m b\udcff\u2603'
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', 'from ash_tf1.commands.evaluate import main; '
         'import sys; sys.exit(main(sys.argv[1:]))', os.fsencode(str(tmp_path / name))],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=dict(os.environ, PYTHONIOENCODING='ascii', TF_CPP_MIN_LOG_LEVEL='3'))
    line = done.stderr.decode('ascii').splitlines()[-1]
    assert done.returncode == 2 and 'error: {}/{} is no folder'.format(tmp_path, shown) in line


def test_nor_in_the_name_of_what_was_written(tmp_path):
    name, shown = 'a\x1b[31m\nb\udcff\u2603', r'a\x1b[31m\nb\udcff\u2603'
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', 'from ash_tf1.commands.save_images import main; '
         'import sys; sys.exit(main(sys.argv[1:]))', 'digits', os.fsencode(str(tmp_path / name)),
         '--per-class', '1'], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=dict(os.environ, PYTHONIOENCODING='ascii', TF_CPP_MIN_LOG_LEVEL='3'))
    assert done.stdout.decode('ascii') == '{}/{}: 10 images of 10 classes\n'.format(
        tmp_path, shown), done.stderr


def test_neither_do_settings_and_lines_of_a_run(capsys):
    settings = Settings(init_from='a\x1b[31m')
    assert r'a\x1b[31m' in showing.settings_as_text(settings, settings, {})
    training.say('begins with\x1b[31m\nb')
    assert capsys.readouterr().out == 'begins with\\x1b[31m\\nb\n'


def test_saved_images_replace_only_what_was_saved(command, refused, tmp_path):
    arguments = ['digits', tmp_path / 'out', '--per-class', 1]
    assert command('save_images', *arguments)[0] == 0
    refused(['out exists', '--overwrite'], 'save_images', *arguments)
    assert command('save_images', *arguments, '--overwrite')[0] == 0
    (tmp_path / 'out' / '7' / 'thesis.txt').write_text('mine')
    before = contents(tmp_path)
    refused(['out/7/thesis.txt is not of what was written'], 'save_images', *arguments,
            '--overwrite')
    assert contents(tmp_path) == before
