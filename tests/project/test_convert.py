"""docs/legacy.md's way from an own loop to an ONNX model, as it stands there: both sides."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import ash_onnx

ROOT = Path(__file__).resolve().parents[2]
TRAIN_PYTHON = os.environ.get('ASH_TRAIN_PYTHON', str(ROOT / '.venv/train/bin/python'))

pytestmark = pytest.mark.skipif(not Path(TRAIN_PYTHON).exists(),
                                reason='needs the training environment: make setup')


def section():
    """The Python block and the commands of the page's section."""
    page = (ROOT / 'docs/legacy.md').read_text(encoding='utf-8')
    text = page.partition('## From your loop to an ONNX model')[2].partition('\n## ')[0]
    program, = re.findall(r'^```python\n(.*?)^```', text, re.DOTALL | re.MULTILINE)
    return program, re.findall(r'^    \.venv/(train|serve)/bin/python (tools/.*)$', text,
                               re.MULTILINE)


def run(folder, *command, **environment):
    done = subprocess.run(command, cwd=folder, text=True, capture_output=True, timeout=600,
                          env=dict(os.environ, PYTHONPATH=str(ROOT), **environment))
    return done


def run_tool(folder, side, command, *more):
    tool, *arguments = command.split()
    python = TRAIN_PYTHON if side == 'train' else sys.executable
    done = run(folder, python, str(ROOT / tool), *arguments, *more)
    assert done.returncode == 0, done.stderr
    return done.stdout


# What TensorFlow says of a photo: read, fitted and normalised here, by the frozen graph.
CLASSIFY = """
import sys
import cv2
import numpy as np
import tensorflow.compat.v1 as tf
import ash_tf1
bgr = cv2.imread('photo.jpg')
side = min(bgr.shape[:2])
top, left = [(size - side) // 2 for size in bgr.shape[:2]]
bgr = cv2.resize(bgr[top:top + side, left:left + side], (64, 64), interpolation=cv2.INTER_AREA)
graph_def = tf.GraphDef.FromString(open('frozen/vgg19.pb', 'rb').read())
scores, = tf.import_graph_def(graph_def, return_elements=[graph_def.node[-1].name + ':0'])
with tf.Session() as session:
    np.savetxt(sys.stdout, session.run(scores, {'import/imgHolder:0': [bgr - [104., 117., 124.]]}))
"""


@pytest.mark.slow
def test_vgg19_in_an_own_loop_becomes_a_model_that_verifies(tmp_path):
    program, commands = section()
    program = program.replace('imgHolder =', 'tf.set_random_seed(0)\nimgHolder =', 1)
    # Smaller weights than at the start: 19 layers of those give one class everything.
    program = program.replace('    frozen =', '    session.run([v.assign(0.5 * v) for v in '
                              "tf.trainable_variables() if 'dense' in v.name])\n    frozen =")
    done = run(tmp_path, TRAIN_PYTHON, '-W', 'ignore', '-c', program)
    assert done.returncode == 0, done.stderr
    (tmp_path / 'labels.txt').write_text(''.join(f'class {i}\n' for i in range(10)))
    picture = np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8)
    cv2.imwrite(str(tmp_path / 'photo.jpg'), cv2.GaussianBlur(picture, (0, 0), 3))
    opsets = {'frozen/vgg19.pb artifacts/frozen': '11', 'saved_model artifacts/saved_model': '18'}
    for side, command in commands:
        opset = opsets.get(command.partition(' ')[2])
        run_tool(tmp_path, side, command, *(['--opset', opset] if opset else []))
    for name in ('frozen', 'saved_model', 'meta_graph', 'classifier', 'net'):
        result = json.loads(run_tool(tmp_path, 'serve', f'tools/verify_onnx.py artifacts/{name}',
                                     '--json'))
        assert result['passed']
        assert max(row['max_rel_difference'] for row in result['differences']) < 1e-5
    done = run(tmp_path, TRAIN_PYTHON, '-W', 'ignore', '-c', CLASSIFY)
    expected = [float(value) for value in done.stdout.split()]
    assert max(expected) < 0.9, 'one class has everything'
    predict, = (command for _, command in commands if 'predict.py' in command)
    for name, label in (('classifier', 'class {}'), ('net', '{}')):
        predicted, = json.loads(run_tool(
            tmp_path, 'serve', predict.replace('classifier', name), '--json', '--top',
            '10'))['predictions']
        found = {row['label']: row['probability'] for row in predicted['top']}
        # Another build of the JPEG decoder may be off by one in a pixel.
        np.testing.assert_allclose([found[label.format(i)] for i in range(10)], expected,
                                   atol=1e-3)


def test_without_native_ops_the_graph_holds_graph_ops_and_verifies(tmp_path):
    program, commands = section()
    program = program.replace('VGG19', 'VGG11')
    done = run(tmp_path, TRAIN_PYTHON, '-W', 'ignore', '-c', program, ASH_NATIVE='0')
    assert done.returncode == 0, done.stderr
    run_tool(tmp_path, *commands[0])
    result = json.loads(run_tool(tmp_path, 'serve', 'tools/verify_onnx.py artifacts/frozen',
                                 '--json'))
    assert result['passed']
    assert max(row['max_rel_difference'] for row in result['differences']) < 1e-5


TRAINING = '''
import tensorflow.compat.v1 as tf
x = tf.placeholder(tf.float32, (None, 6, 5, 3), name='x')
y = tf.layers.batch_normalization(tf.layers.conv2d(x, 4, 3), training=True, fused={fused})
tf.identity(y * y, name='y')
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    frozen = tf.graph_util.convert_variables_to_constants(
        session, session.graph.as_graph_def(), ['y'])
tf.train.write_graph(frozen, '.', 'net.pb', as_text=False)
'''


@pytest.mark.parametrize('fused', [True, pytest.param(False, marks=pytest.mark.slow)])
def test_batch_norm_that_is_meant_to_train_is_right(tmp_path, fused):
    done = run(tmp_path, TRAIN_PYTHON, '-W', 'ignore', '-c', TRAINING.format(fused=fused))
    assert done.returncode == 0, done.stderr
    refused = run(tmp_path, TRAIN_PYTHON, str(ROOT / 'tools/convert.py'), 'net.pb', 'out')
    assert refused.returncode == 2 and '--allow-training-mode' in refused.stderr
    run_tool(tmp_path, 'train', 'tools/convert.py net.pb out --allow-training-mode')
    result = json.loads(run_tool(tmp_path, 'serve', 'tools/verify_onnx.py out', '--json'))
    assert result['passed'] and result['tolerance']['relative'] < 1e-4


@pytest.fixture(scope='module')
def saved_models(tmp_path_factory):
    folder = tmp_path_factory.mktemp('saved_models')
    done = run(folder, TRAIN_PYTHON, '-W', 'ignore',
               str(Path(__file__).with_name('save_models.py')), str(folder))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize('name', [
    'module', 'lstm', *(pytest.param(name, marks=pytest.mark.slow)
                       for name in ('convolutional', 'gru'))])
def test_a_saved_model_whose_functions_hold_variables(saved_models, tmp_path, name):
    with np.load(saved_models / f'{name}.npz') as values:
        inputs, expected = dict(values), values['answer']
    del inputs['answer']
    np.savez(tmp_path / 'samples.npz', **inputs)
    run_tool(tmp_path, 'train', f'tools/convert.py {saved_models / name} out',
             '--samples', 'samples.npz')
    model = ash_onnx.load_artifact(tmp_path / 'out')
    assert ash_onnx.verify(model).passed
    answer, = model.answer(*(inputs[key] for key in model.input_names))
    np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_a_refusal_is_one_line_and_leaves_nothing(tmp_path):
    (tmp_path / 'graph.pb').write_bytes(b'no graph')
    done = run(tmp_path, TRAIN_PYTHON, str(ROOT / 'tools/convert.py'), 'graph.pb', 'out')
    assert (done.returncode, done.stderr.count('\n')) == (2, 1)
    assert done.stderr.startswith('convert.py: error: graph.pb is no GraphDef')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['graph.pb']
