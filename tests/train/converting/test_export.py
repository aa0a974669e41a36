"""Exporting a run: the artifact's files, metadata and answers, and what cannot be exported.

Tolerance where two implementations of one net are compared: 1e-5, in logits and probabilities,
relative to values of about 1; both are float32 and differ in the order of their sums.
"""
import hashlib
import json
import logging
import os
import shutil
from collections import Counter

import numpy as np
import onnx
import pytest
import tensorflow.compat.v1 as tf
import tf2onnx
from onnx import numpy_helper

import ash_tf1
from ash_tf1.checkpoint import find_checkpoint, restore
from ash_tf1.converting import artifact as artifact_module
from ash_tf1.converting import card, lowering, onnx_model, opsets, proof, runs
from ash_tf1.marking import MARK_FILE, mark
from ash_tf1.ops import get_activation
from ash_tf1.tasks.classification.net import build_classifier, pixels_placeholder
from ash_tf1.training import evaluation
from ash_tf1.training.run_dir import load_model
from tests.train.miniature import contents

pytestmark = pytest.mark.fast

ASH_LAYERS = 3
CLASSIFIER = onnx_model.Signature(
    (('images', 'images:0'),),
    (('logits', 'logits:0'), ('probabilities', 'probabilities:0')))
SWITCH = tf2onnx.constants.ENV_TF2ONNX_CATCH_ERRORS
TEST_DATA = ('input_0.pb', 'output_0.pb', 'output_1.pb')


def read_tensors(folder):
    tensors = []
    for name in TEST_DATA:
        tensors.append(onnx.TensorProto.FromString(
            (folder / 'test_data_set_0' / name).read_bytes()))
    return tensors


def arrays(folder):
    return [numpy_helper.to_array(tensor) for tensor in read_tensors(folder)]


@pytest.fixture(scope='module')
def model(artifact):
    return onnx.load(str(artifact[0] / 'model.onnx'))


@pytest.fixture(scope='module')
def frozen_graph(artifact):
    return tf.GraphDef.FromString((artifact[0] / 'frozen_graph.pb').read_bytes())


@pytest.fixture
def spec(tiny, tiny_run):
    return load_model(str(tiny_run))[1]


def test_the_artifact_has_the_layout_of_the_model_zoo(artifact):
    folder, _ = artifact
    assert sorted(contents(folder)) == [
        MARK_FILE, 'README.md', 'frozen_graph.pb', 'labels.txt', 'model.onnx'] + [
        'test_data_set_0/' + name for name in TEST_DATA]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_the_export_says_what_it_wrote(artifact, model):
    folder, exported = artifact
    assert exported == (str(folder), Counter(node.op_type for node in model.graph.node),
                        (folder / 'model.onnx').stat().st_size, 5)


def test_the_model_is_valid_and_says_what_it_takes_and_gives(model):
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import
            if entry.domain in ('', 'ai.onnx')] == [('', opsets.DEFAULT)]

    def signature(value):
        tensor = value.type.tensor_type
        return value.name, tensor.elem_type, [
            dim.dim_value or None for dim in tensor.shape.dim]
    assert [signature(value) for value in model.graph.input] == [
        ('images', onnx.TensorProto.UINT8, [None, 8, 8, 3])]
    assert [signature(value) for value in model.graph.output] == [
        ('logits', onnx.TensorProto.FLOAT, [None, 3]),
        ('probabilities', onnx.TensorProto.FLOAT, [None, 3])]


def test_the_metadata_tells_where_the_model_comes_from(model, tiny_run):
    values = {entry.key: entry.value for entry in model.metadata_props}
    digest = hashlib.sha256()
    for ending in ('.data-00000-of-00001', '.index'):
        digest.update((tiny_run / ('model.ckpt-15' + ending)).read_bytes())
    versions = json.loads(values.pop('versions'))
    assert json.loads(values.pop('labels')) == ['dark', 'grey', 'light']
    assert json.loads(values.pop('input_shape')) == [8, 8, 3]
    preprocessing = json.loads(values.pop('preprocessing'))
    assert (preprocessing['mean'], preprocessing['std']) == ([120.0] * 3, [60.0] * 3)
    assert (preprocessing['channels'], preprocessing['crop']) == ('RGB', 1.0)
    training = json.loads(values.pop('training'))
    assert (training['step'], training['seed'], training['batch_size']) == ('15', 0, 8)
    assert 0.0 <= float(training['validation_top1']) <= 1.0
    assert proof.LEAST <= json.loads(values.pop('tolerance'))['relative'] < 1e-3
    assert values == {'kind': 'image_classifier', 'model_version': digest.hexdigest()[:12],
                      'net': 'tiny', 'net_options': '[]',
                      'activation': 'ash', 'dataset': 'tiny', 'samples': 'validation split of tiny',
                      'checkpoint': 'model.ckpt-15', 'checkpoint_sha256': digest.hexdigest()}
    assert versions.pop('python')
    assert versions == {
        'ash_tf1': ash_tf1.__version__, 'tensorflow': tf.__version__, 'onnx': onnx.__version__,
        'tf2onnx': tf2onnx.__version__, 'numpy': np.__version__}


def test_the_folder_explains_itself(artifact, model):
    folder, _ = artifact
    assert (folder / 'labels.txt').read_text() == 'dark\ngrey\nlight\n'
    card = (folder / 'README.md').read_text().splitlines()
    assert card[0] == '# tiny'
    for row in ('| input | images uint8 [N, 8, 8, 3] |',
                '| output | logits float [N, 3]; probabilities float [N, 3] |',
                '| activation | ash |', '| trained on | tiny |', '| checkpoint | model.ckpt-15 |'):
        assert row in card
    training, = [row for row in card if row.startswith('| training |')]
    assert 'seed 0' in training and 'validation_top1 ' in training


def test_a_card_has_one_row_for_whatever_a_name_holds(model):
    text = card.text({'net': 'a|b\n# <script>\x1b', 'samples': 'x'}, model)
    assert text.startswith('# a\\|b # &lt;script>\n')
    assert '| net | a\\|b # &lt;script> |' in text.splitlines()


def test_the_graph_is_no_larger_than_it_must_be(model):
    nodes = model.graph.node
    counts = Counter(node.op_type for node in nodes)
    assert counts['Transpose'] == 1, 'NHWC to NCHW once, at the input'
    assert counts['Conv'] == 3
    assert counts['Sigmoid'] == ASH_LAYERS
    makers = {output: node for node in nodes for output in node.output}
    uses = Counter(name for node in nodes for name in node.input)
    for node in nodes:
        maker = makers.get(node.input[0])
        if node.op_type == 'BatchNormalization' and maker is not None:
            # After a convolution that nothing else reads, it belongs into the weights.
            assert maker.op_type != 'Conv' or uses[node.input[0]] > 1, node.name
    # Neither the other form of ASH, nor statistics of batches, nor anything of the training.
    assert set(counts) <= {
        'Add', 'BatchNormalization', 'Cast', 'Conv', 'Div', 'Gemm', 'GlobalAveragePool', 'MatMul',
        'Mul', 'ReduceMean', 'Sigmoid', 'Softmax', 'Sqrt', 'Squeeze', 'Sub',
        'Transpose', 'Flatten'}


def test_the_frozen_graph_holds_the_net_alone(frozen_graph):
    ops = Counter(node.op for node in frozen_graph.node)
    assert ops['Placeholder'] == 1
    assert not {'VariableV2', 'VarHandleOp', 'Assign', 'RestoreV2', 'SaveV2'} & set(ops)
    for word in ('Momentum', 'global_step', 'pass_share', 'gradients'):
        assert not [node.name for node in frozen_graph.node if word in node.name]


def test_the_test_data_are_real_images_and_what_tensorflow_answers(artifact, tiny, frozen_graph):
    images, logits, probabilities = arrays(artifact[0])
    assert [tensor.name for tensor in read_tensors(artifact[0])] == [
        'images', 'logits', 'probabilities']
    np.testing.assert_array_equal(images, tiny().validation.arrays['image'][:5])
    answers = onnx_model.run_frozen(frozen_graph, CLASSIFIER, images)
    for actual, expected in zip(answers, (logits, probabilities)):
        assert actual.dtype == expected.dtype == np.float32
        assert actual.shape == (5, 3)
        np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(probabilities, exponentials / exponentials.sum(1, keepdims=True),
                               rtol=1e-5, atol=1e-6)


def test_the_model_answers_as_an_evaluation_does(artifact, tiny, tiny_run):
    result, _, _ = evaluation.evaluate(str(tiny_run), split='validation', progress=False)
    np.testing.assert_array_equal(arrays(artifact[0])[1].argmax(1), result.predictions[:5])


def test_the_reference_implementation_of_onnx_gives_the_same(artifact, model):
    from onnx.reference import ReferenceEvaluator
    images, logits, probabilities = arrays(artifact[0])
    answers = ReferenceEvaluator(model).run(None, {'images': images[:2]})
    for actual, expected in zip(answers, (logits, probabilities)):
        np.testing.assert_allclose(actual, expected[:2], rtol=1e-4, atol=1e-5)


def test_both_forms_of_ash_give_the_same_logits(spec, tiny, tiny_run):
    with tf.Graph().as_default(), tf.Session() as session:
        pixels = pixels_placeholder(spec)
        forms = [build_classifier(pixels, spec, get_activation('ash', form), False,
                                  reuse=tf.AUTO_REUSE).logits
                 for form in ('recompute', 'plain')]
        restore(session, str(tiny_run / 'model.ckpt-15'))
        recompute, plain = session.run(forms, {pixels: tiny().validation.arrays['image']})
    np.testing.assert_allclose(plain, recompute, rtol=1e-5, atol=1e-5)
    assert np.abs(plain).max() > 0.1  # a net that answers nothing would pass too


@pytest.mark.parametrize('trained, built, recorded', [
    ('auto', True, 'native'), ('native', True, 'native'), ('recompute', True, 'recompute'),
    ('auto', False, 'recompute'), ('native', False, 'recompute')])
def test_the_answers_are_those_of_the_form_that_was_trained(tiny, tiny_run, tmp_path, monkeypatch,
                                                            trained, built, recorded):
    run_dir = tmp_path / 'run'
    shutil.copytree(str(tiny_run), str(run_dir))
    settings = json.loads((run_dir / 'settings.json').read_text())
    (run_dir / 'settings.json').write_text(json.dumps(dict(settings, implementation=trained)))
    if not built:
        monkeypatch.setenv('ASH_NATIVE', '0')
    proved = []
    prove = proof.prove
    monkeypatch.setattr(proof, 'prove', lambda *args: proved.append(args) or prove(*args))
    runs.export(str(run_dir), str(tmp_path / 'a'), samples=2)
    (graph_def, signature, inputs, _), = proved
    assert [layer.form for layer in lowering.find_ash(graph_def.node)] == [recorded] * ASH_LAYERS
    answers = onnx_model.run_frozen(graph_def, signature, *inputs)
    for found, expected in zip(arrays(tmp_path / 'a')[1:], answers):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_another_checkpoint_can_be_chosen_and_the_graph_left_out(tiny, tiny_run, tmp_path):
    best = find_checkpoint(str(tiny_run / 'best'))
    runs.export(str(tiny_run), str(tmp_path / 'a'), 'best', samples=100)
    assert sorted(contents(tmp_path / 'a')) == [
        MARK_FILE, 'README.md', 'labels.txt', 'model.onnx'] + [
        'test_data_set_0/' + name for name in TEST_DATA]
    values = {entry.key: entry.value
              for entry in onnx.load(str(tmp_path / 'a' / 'model.onnx')).metadata_props}
    assert values['checkpoint'] == os.path.basename(best)
    assert len(arrays(tmp_path / 'a')[0]) == 22  # all there are


def test_an_artifact_is_replaced_only_if_asked(tiny, tiny_run, tmp_path):
    out_dir = tmp_path / 'a'
    out_dir.mkdir()
    (out_dir / 'model.onnx').write_text('old')
    mark(str(out_dir))
    before = contents(out_dir)
    with pytest.raises(ValueError, match='a exists: .*--overwrite'):
        runs.export(str(tiny_run), str(out_dir))
    assert contents(out_dir) == before
    runs.export(str(tiny_run), str(out_dir), samples=1, overwrite=True)
    assert len(contents(out_dir)) == 7
    runs.export(str(tiny_run), str(out_dir), samples=1, overwrite=True)
    (out_dir / 'test_data_set_0' / 'notes.txt').write_text('mine')
    with pytest.raises(ValueError, match='a/test_data_set_0/notes.txt is not of what was written'):
        runs.export(str(tiny_run), str(out_dir), samples=1, overwrite=True)
    assert (out_dir / 'test_data_set_0' / 'notes.txt').read_text() == 'mine'
    onnx.checker.check_model(str(out_dir / 'model.onnx'))
    assert os.listdir(str(tmp_path)) == ['a']


@pytest.mark.parametrize('overwrite', [False, True])
@pytest.mark.parametrize('names', [['thesis.tex'], ['model.onnx', 'thesis.tex'], ['model.onnx'],
                                   None],
                         ids=['folder', 'artifact with more in it', 'a model', 'file'])
def test_what_is_no_artifact_is_never_replaced(tiny, tiny_run, tmp_path, names, overwrite):
    out = tmp_path / 'mine'
    if names is None:
        out.write_text('mine')
    else:
        out.mkdir()
        for name in names:
            (out / name).write_text('mine')
    before = contents(tmp_path)
    message = 'mine .*will not be replaced' if overwrite else 'mine exists'
    with pytest.raises(ValueError, match=message):
        runs.export(str(tiny_run), str(out), overwrite=overwrite)
    assert contents(tmp_path) == before
    assert out.exists()


def test_a_failed_write_leaves_the_old_artifact(tiny, tiny_run, tmp_path, monkeypatch):
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a' / 'model.onnx').write_text('old')
    mark(str(tmp_path / 'a'))
    before = contents(tmp_path)

    def full_disk(*args):
        raise OSError('no space left')
    monkeypatch.setattr(artifact_module, 'write_test_data', full_disk)
    with pytest.raises(OSError, match='no space'):
        runs.export(str(tiny_run), str(tmp_path / 'a'), overwrite=True)
    assert contents(tmp_path) == before


@pytest.mark.parametrize('samples', [0, -1])
def test_an_artifact_has_a_sample(tiny, tiny_run, tmp_path, samples):
    with pytest.raises(ValueError, match='at least one sample, got {}'.format(samples)):
        runs.export(str(tiny_run), str(tmp_path / 'a'), samples=samples)
    assert not (tmp_path / 'a').exists()


@pytest.mark.parametrize('optimizer', ['ConstFoldOptimizer', 'TransposeOptimizer'])
def test_a_failing_optimiser_is_not_passed_over(frozen_graph, monkeypatch, optimizer):
    def fail(*args):
        raise ZeroDivisionError('optimiser at fault')
    monkeypatch.setattr(getattr(tf2onnx.optimizer, optimizer), 'optimize', fail)
    monkeypatch.delenv(SWITCH, raising=False)
    with pytest.raises(RuntimeError, match='optimiser at fault'):
        onnx_model.convert(frozen_graph, CLASSIFIER)
    assert SWITCH not in os.environ


@pytest.mark.parametrize('before', [None, 'TRUE'])
@pytest.mark.parametrize('level, message, raised', [
    (logging.WARNING, 'Failed to apply fold_constants', True),
    (logging.ERROR, 'Tensorflow op [x: Y] is not supported', True),
    (logging.WARNING, 'a mere warning', False),
])
def test_what_tf2onnx_only_logs_is_raised(frozen_graph, monkeypatch, before, level, message,
                                          raised):
    def convert(*args, **kwargs):
        logging.getLogger('tf2onnx.optimizer').log(level, message)
        return onnx.ModelProto(), None
    monkeypatch.setattr(tf2onnx.convert, 'from_graph_def', convert)
    if before is None:
        monkeypatch.delenv(SWITCH, raising=False)
    else:
        monkeypatch.setenv(SWITCH, before)
    handlers = list(logging.getLogger('tf2onnx').handlers)
    if raised:
        with pytest.raises(RuntimeError, match='went on after: ') as error:
            onnx_model.convert(frozen_graph, CLASSIFIER)
        assert message in str(error.value)
    else:
        assert onnx_model.convert(frozen_graph, CLASSIFIER) == onnx.ModelProto()
    assert os.environ.get(SWITCH) == before
    assert logging.getLogger('tf2onnx').handlers == handlers


def test_an_op_that_onnx_lacks_is_not_passed_over():
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.uint8, (None, 8, 8, 3), name='images')
        flat = tf.reduce_mean(tf.cast(images, tf.float32), [1, 2])
        tf.identity(tf.betainc(flat, flat, flat), name='logits')
        tf.nn.softmax(flat, name='probabilities')
    with pytest.raises(RuntimeError, match='Betainc'):
        onnx_model.convert(graph.as_graph_def(), CLASSIFIER)
