"""From other code's checkpoint to what the commands make of it: thin nets, wide enough to be right.

Both implementations of a net are float32 and differ in the order of their sums: 1e-4, relative to
the largest answer.
"""
import functools
import importlib
import json
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import onnx
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
from onnx import numpy_helper
from tf_slim.nets import resnet_utils, resnet_v1

from ash_tf1 import ASH, VGG19, input_pipelines, nets
from ash_tf1.input_pipelines import ArraySplit, LabelledImages
from ash_tf1.nets import resnet, vgg
from ash_tf1.preprocessing import parse
from ash_tf1.training import plotting
from ash_tf1.training.run_dir import load_model
from tests.train.checkpoint_import.checkpoints import random_values, save

pytestmark = pytest.mark.slow

LABELS = ('crane', 'cat', 'crane', 'dog', 'owl')  # as in ImageNet, where two are cranes
PREPROCESS = ['vgg', 'std=64']
SIDE = 32


@pytest.fixture
def command(monkeypatch, capsys):
    """Function (tool, *arguments, status=0): runs a command; its stdout, or stderr if it fails."""
    monkeypatch.setattr(plotting, 'plot_learning_curve', lambda run_dir, metrics: None)

    def run(tool, *arguments, status=0):
        monkeypatch.setattr(sys, 'argv', [tool + '.py'])
        capsys.readouterr()
        found = importlib.import_module(tool).main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        assert found == status, output.err
        return output.err if status else output.out
    return run


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Six photos of three classes, larger than the net's input, and two data sets of such images.

    'fitted' has them as the net sees them; 'fewer' has classes that the net was not trained for.
    """
    rng, fitted, labels = np.random.RandomState(3), [], []
    for name in ('cat', 'dog', 'owl'):
        (tmp_path / 'photos' / name).mkdir(parents=True)
        for i in range(2):
            image = cv2.GaussianBlur(rng.randint(0, 256, (60, 48, 3)).astype(np.uint8), (0, 0), 3)
            image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
            cv2.imwrite(str(tmp_path / 'photos' / name / '{}.png'.format(i)), image)
            fitted.append(parse(PREPROCESS).fit(image[..., ::-1], SIDE, SIDE))
            labels.append(LABELS.index(name))
    images, labels = np.stack(fitted), np.array(labels, np.int64)
    means = (100.0,) * 3, (50.0,) * 3
    for name, classes in (('fitted', LABELS), ('fewer', ('even', 'odd'))):
        data = ArraySplit(image=images, label=labels % len(classes))
        monkeypatch.setitem(input_pipelines.DATASETS, name,
                            lambda data_dir, name=name, data=data, classes=classes:
                            LabelledImages(name, data, data, data, classes, *means))
    (tmp_path / 'labels.txt').write_text('\n'.join(LABELS) + '\n')
    return SimpleNamespace(images=images, labels=labels)


def answers(build, rename, save, random_values, path, images):
    """Saves a net of random weights under other names; (logits, probabilities) as it gives them."""
    with tf.Graph().as_default(), tf.Session() as session:
        logits, probabilities = build(tf.constant(images))
        values = random_values(tf.global_variables())
        for name in values:
            if name.endswith('/kernel'):  # of the VGG, whose biases would drown what is in an image
                values[name] *= 1.5
        for variable in tf.global_variables():
            variable.load(values[variable.op.name], session)
        stored = {rename(name): value for name, value in values.items()}
        save(path, dict(stored, global_step=np.array(7, np.int64)), 'v1')
        return session.run([logits, probabilities])


@pytest.fixture
def slims_resnet(monkeypatch):
    """tf-slim's ResNet-50 with fewer and thinner blocks, and ours of the same name likewise."""
    monkeypatch.setitem(nets.NETS, 'resnet_v1_50', functools.partial(
        lambda blocks, inputs, num_classes, activation_fn, is_training, reuse=None,
        scope='resnet_v1_50', stride_placement='first': resnet.resnet_v1(
            inputs, blocks, num_classes, activation_fn, is_training, reuse, scope,
            stride_placement=stride_placement),
        (resnet.Block(1, 32, 1, True), resnet.Block(1, 64, 2, True))))

    def build(images):
        blocks = [resnet_v1.resnet_v1_block('block1', 8, 1, 2),
                  resnet_v1.resnet_v1_block('block2', 16, 1, 1)]
        with slim.arg_scope(resnet_utils.resnet_arg_scope()):
            logits, _ = resnet_v1.resnet_v1(images, blocks, len(LABELS), is_training=False,
                                            scope='resnet_v1_50')
        return logits[:, 0, 0], tf.nn.softmax(logits[:, 0, 0])
    return build, str


@pytest.fixture
def authors_vgg(monkeypatch):
    """The published VGG19 with fewer and thinner layers, and what its variables are called."""
    monkeypatch.setattr(vgg, 'VGG_19_LAYERS', tuple(
        (number, channels and channels // 16) for number, channels in vgg.VGG_19_LAYERS
        if number in (1, 3, 4, 6, 9, 10, 20, 14, 21, 18)))

    def build(images):
        probabilities = VGG19(images, activation=ASH, num_classes=len(LABELS))
        return tf.get_default_graph().get_tensor_by_name('vgg/dense03/Relu:0'), probabilities

    def rename(name):
        return (name.replace('/kernel', '/W').replace('/bias', '/B') if 'vgg_layer' in name
                else name)
    return build, rename


@pytest.mark.parametrize('theirs, imported, trained, begins', [
    ('slims_resnet',
     ['--map', 'slim-resnet-v1', '--net', 'resnet_v1_50', '--activation', 'relu', '--net-options',
      'stride_placement=slim'],
     ['--net', 'resnet_v1_50', '--net-options', 'stride_placement=slim', '--init-exclude',
      'logits'],
     ', scope resnet_v1_50; 14 that only the activation has (alpha, z_k) with their initial '
     'values; 2 anew (logits)'),
    ('authors_vgg',
     ['--map', 'authors', '--net', 'vgg_19', '--scope', 'vgg', '--net-options',
      'activation2=relu'],
     ['--net', 'vgg_19', '--init-exclude', 'dense03'],
     ', scope vgg; 4 that only the activation has (alpha, z_k) with their initial values; 2 anew '
     '(dense03)')])
def test_from_a_checkpoint_to_training_evaluation_and_export(request, command, photos, tmp_path,
                                                             theirs, imported, trained, begins):
    build, rename = request.getfixturevalue(theirs)
    mean, std = parse(PREPROCESS).mean, parse(PREPROCESS).std
    images = ((photos.images - np.array(mean)) / np.array(std)).astype(np.float32)
    logits, probabilities = answers(build, rename, save, random_values,
                                    tmp_path / 'old' / 'm.ckpt', images)
    spread = logits.std(axis=0).max() / np.abs(logits).max()
    assert spread > 0.02, 'a net that answers every image alike would pass'
    exponents = logits - logits[np.arange(6), photos.labels][:, None].astype(float)
    loss = np.log(np.exp(exponents).sum(axis=1)).mean()
    folder, out = tmp_path / 'imported', tmp_path / 'artifact'

    command('import_checkpoint', tmp_path / 'old' / 'm.ckpt', folder / 'm.ckpt', *imported,
            '--labels', tmp_path / 'labels.txt', '--input-size', SIDE, SIDE, 3, '--preprocess',
            *PREPROCESS)
    for where in (['--images', tmp_path / 'photos', '--batch-size', 4], ['--dataset', 'fitted']):
        result = json.loads(command('evaluate', folder, '--json', '--quiet', *where))
        assert result['loss'] == pytest.approx(loss, rel=1e-4)
        assert result['correct'] == (probabilities.argmax(1) == photos.labels).sum()
        assert list(result['class_top1']) == ['crane [0]', 'cat', 'crane [2]', 'dog', 'owl']

    command('export_onnx', folder, out, '--images', tmp_path / 'photos', '--samples', 3)
    pixels, found, shares = (numpy_helper.to_array(onnx.TensorProto.FromString(
        (out / 'test_data_set_0' / name).read_bytes())) for name in (
            'input_0.pb', 'output_0.pb', 'output_1.pb'))
    np.testing.assert_array_equal(pixels, photos.images[::2])  # one of each class
    np.testing.assert_allclose(found, logits[::2], atol=1e-4 * np.abs(logits).max())
    np.testing.assert_allclose(shares, probabilities[::2], atol=1e-4)
    metadata = {entry.key: entry.value
                for entry in onnx.load(str(out / 'model.onnx')).metadata_props}
    assert 'dataset' not in metadata
    assert metadata['samples'] == '0.png, 0.png, 0.png'
    assert json.loads(metadata['labels']) == list(LABELS)

    output = command('train', '--run-dir', tmp_path / 'run', '--quiet', '--init-from', folder,
                     '--dataset', 'fewer', '--activation', 'ash', '--batch-size', 6, '--steps', 1,
                     '--normalization', *PREPROCESS, *trained)
    assert output.splitlines()[2].endswith(begins)
    _, spec = load_model(str(tmp_path / 'run'))
    assert (spec.scope, spec.channel_mean, spec.num_classes) == ('', mean, 2)
    command('evaluate', tmp_path / 'run', '--quiet')


@pytest.fixture
def tiny_import(command, old_tiny, tmp_path, tiny):
    """Folder of the miniature net, imported with labels that are not those of any data set."""
    (tmp_path / 'names.txt').write_text('cat\ndog\nowl\n')
    command('import_checkpoint', old_tiny(), tmp_path / 'new' / 'm.ckpt', '--map',
            old_tiny.rules[0], '--net', 'tiny', '--activation', 'relu', '--input-size', 8, 8, 3,
            '--labels', tmp_path / 'names.txt')
    return tmp_path / 'new'


@pytest.mark.parametrize('tool, given, words', [
    ('evaluate', [], ['no data set of its own', '--dataset', '--images']),
    ('evaluate', ['--dataset', 'tiny'], ['cat, dog, owl', 'dark, grey, light']),
    ('evaluate', ['--dataset', 'tiny', '--images', 'PHOTOS'], ['give one of the two']),
    ('evaluate', ['--images', 'nowhere'], ['nowhere']),
    ('evaluate', ['--images', 'PHOTOS', '--batch-size', 0], ['batch_size', '0']),
    ('evaluate', ['--images', 'BAD'], ['bad/1.png', 'not a JPEG or PNG file']),
    ('export_onnx', ['OUT'], ['no data set', 'imported', 'give --images']),
    ('export_onnx', ['OUT', '--images', 'nowhere.png'], ['nowhere.png']),
    ('export_onnx', ['OUT', '--images', 'BAD/cat/bad/1.png'], ['bad/1.png', 'no whole'])],
    ids=str)
def test_what_an_import_cannot_do_is_said_in_one_line(command, tiny_import, photos, tmp_path,
                                                      tool, given, words):
    (tmp_path / 'bad' / 'cat').mkdir(parents=True)
    (tmp_path / 'bad' / 'cat' / '1.png').write_text('no image')
    paths = {'PHOTOS': tmp_path / 'photos', 'OUT': tmp_path / 'out', 'BAD': tmp_path / 'bad',
             'BAD/cat/bad/1.png': tmp_path / 'bad' / 'cat' / '1.png'}
    error = command(tool, tiny_import, *(paths.get(word, word) for word in given), status=2)
    line, = error.splitlines()
    for word in words:
        assert word.replace('bad/1', 'cat/1') in line
    assert not (tmp_path / 'out').exists()


def test_a_run_without_its_data_set_is_exported_on_photos(tiny, command, tiny_run, photos,
                                                          monkeypatch, tmp_path):
    monkeypatch.delitem(input_pipelines.DATASETS, 'tiny')
    error = command('export_onnx', tiny_run, tmp_path / 'out', status=2)
    assert "unknown data set 'tiny'" in error and '; --images FILE' in error
    paths = [tmp_path / 'photos' / 'cat' / '1.png', tmp_path / 'photos' / 'owl']
    command('export_onnx', tiny_run, tmp_path / 'out', '--images', *paths)
    metadata = {entry.key: entry.value
                for entry in onnx.load(str(tmp_path / 'out' / 'model.onnx')).metadata_props}
    assert (metadata['dataset'], metadata['samples']) == ('tiny', '1.png, 0.png, 1.png')
    command('evaluate', tiny_run, '--images', tmp_path / 'photos', status=2)  # no such labels
