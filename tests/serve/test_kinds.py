"""Kinds of artifacts: only their rooms know labels, and a new one needs no other change."""

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import ash_onnx
from ash_onnx.kinds import KINDS
from ash_onnx.kinds.base import Kind
from ash_onnx.metadata import shorten
from ash_onnx.optimizing import INT8, optimize
from ash_onnx.signature import check_values, graph_inputs
from tests.shared.identifiers import identifiers

pytestmark = pytest.mark.fast

PACKAGE = Path(ash_onnx.__file__).parent
WORDS = re.compile(r'label|top_?[15k]\b|probabilit|logit|class(es|ify)', re.IGNORECASE)
ALLOWED = {
    'verify.py': {'classes_agree'},  # a public name, and a key of the command's JSON
    'serving/metrics.py': {'labels'},  # of Prometheus
    'triton/config.py': {'labels', 'labels_of', 'LABELS_FILE'},  # a field of Triton's
    'commands/serve.py': {'dataclasses'},
}


def test_what_is_general_knows_no_label():
    found = {}
    for path in sorted(PACKAGE.rglob('*.py')):
        name = str(path.relative_to(PACKAGE))
        if name.startswith(('kinds/', 'serving/kinds/', 'triton/classifier.py')):
            continue
        words = {word for word in identifiers(path.read_text(encoding='utf-8'))
                 if WORDS.search(word)} - ALLOWED.get(name, set())
        if words:
            found[name] = sorted(words)
    assert not found


def test_the_walk_finds_a_label():
    source = "def run(labels): return self.top1, {'probabilities': [as_logits]}"
    assert {word for word in identifiers(source) if WORDS.search(word)} == {
        'labels', 'top1', 'probabilities', 'as_logits'}


class Thermometer(ash_onnx.Artifact):
    """A kind that the package does not know: readings [N], of which the sign is the decision."""

    companions = ('unit.txt',)

    def answer(self, *inputs):
        return super().answer(*(np.asarray(value, np.float32) for value in inputs))

    def count_agreeing(self, answers, recorded, rule):
        return int((np.sign(answers[0]) == np.sign(recorded[0])).sum())

    def check_companions(self):
        path = self.folder / 'unit.txt'
        if path.exists() and path.read_text() != self.metadata['unit']:
            raise ValueError(f'{path}: is not {self.metadata["unit"]}')


def interface(graph, metadata):
    if metadata['unit'] not in ('C', 'F'):
        raise ValueError(f'metadata \'unit\' must be C or F, got {shorten(metadata["unit"])}')
    check_values('inputs', graph_inputs(graph), {'readings': (TensorProto.FLOAT, [None])})
    check_values('outputs', graph.output, {'warmer': (TensorProto.FLOAT, [None])})
    return {'readings': np.zeros(1, np.float32)}, ('warmer',)


@pytest.fixture
def thermometer(monkeypatch, tmp_path):
    """Function that writes an artifact of that kind, with the metadata `unit`."""
    monkeypatch.setitem(KINDS, 'thermometer', Kind(
        'thermometer', 'a thermometer', ('unit',), interface, 'no thermometer', Thermometer))

    def make(unit):
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ['N'])
                  for name in ('readings', 'warmer')]
        graph = helper.make_graph(
            [helper.make_node('Add', ['readings', 'one'], ['warmer'])], 'thermometer', values[:1],
            values[1:], [numpy_helper.from_array(np.ones([], np.float32), 'one')])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
        helper.set_model_props(model, {'kind': 'thermometer', 'net': 'mercury', 'versions': '{}',
                                       'unit': json.dumps(unit)})
        folder = tmp_path / 'thermometer'
        (folder / 'test_data_set_0').mkdir(parents=True)
        onnx.save(model, folder / 'model.onnx')
        for name, file, array in (('readings', 'input_0.pb', [-3, 4]),
                                  ('warmer', 'output_0.pb', [-2, 5])):
            tensor = numpy_helper.from_array(np.array(array, np.float32), name)
            (folder / 'test_data_set_0' / file).write_bytes(tensor.SerializeToString())
        return folder
    return make


def test_a_kind_of_ones_own_opens_and_verifies(thermometer):
    folder = thermometer('C')
    model = ash_onnx.load_artifact(folder)
    assert type(model) is Thermometer and model.metadata['unit'] == 'C'
    np.testing.assert_array_equal(model.answer([1, 2])[0], [2, 3])
    result = ash_onnx.verify(model)
    assert result.passed and (result.images, result.classes_agree) == (2, 2)
    (folder / 'unit.txt').write_text('F')
    with pytest.raises(ValueError, match=r'unit\.txt: is not C'):
        ash_onnx.verify(model)


def test_a_kind_of_ones_own_refuses(thermometer, tmp_path):
    with pytest.raises(ValueError, match="model.onnx: metadata 'unit' must be C or F, got 'K'"):
        ash_onnx.load_artifact(thermometer('K'))
    (tmp_path / 'thermometer').rename(tmp_path / 'damaged')
    folder = thermometer('C')
    with pytest.raises(ValueError, match='is the artifact of a thermometer, no image classifier'):
        ash_onnx.load_model(folder)
    with pytest.raises(ValueError, match='int8 is for image classifiers'):
        optimize(folder, tmp_path / 'out', INT8, np.zeros([1, 4, 4, 3], np.uint8))


def test_a_kind_can_be_asked_for(thermometer, artifact):
    assert ash_onnx.load_artifact(thermometer('C'), kind='thermometer').kind == 'thermometer'
    with pytest.raises(ValueError, match='is the artifact of an image classifier, no thermometer'):
        ash_onnx.load_artifact(artifact, kind='thermometer')
    with pytest.raises(ValueError, match="kind must be one of image_cl.*, got 'barometer'"):
        ash_onnx.load_artifact(artifact, kind='barometer')
