"""Saving and loading, in graph mode; test_eager.py has them in eager mode."""
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1.keras import ASH, Swish

ROOT = Path(__file__).resolve().parents[3]
LAYERS = tf.keras.layers


def build():
    return tf.keras.Sequential([
        LAYERS.Conv2D(4, 3, input_shape=(8, 8, 3)), ASH(name='first'), LAYERS.Flatten(),
        LAYERS.Dense(5), ASH('plain'), Swish(), LAYERS.Dense(2)], name='net')


def trained():
    """A model, trained a little, so that no weight has its initial value; and inputs for it."""
    rng = np.random.RandomState(0)
    x = rng.randn(3, 8, 8, 3).astype(np.float32)
    model = build()
    model.compile('sgd', 'mse')
    model.train_on_batch(x, rng.randn(3, 2))
    return model, x


def save_and_load(model, path, way):
    if way == 'h5':
        model.save(path + '.h5')
        return tf.keras.models.load_model(path + '.h5')
    if way == 'tf':
        model.save(path, save_format='tf')
        return tf.keras.models.load_model(path)
    tf.keras.experimental.export_saved_model(model, path)
    return tf.keras.experimental.load_from_saved_model(path)


def check(path, way):
    """Weights and outputs are identical after loading; what keeps the layers goes on training."""
    model, x = trained()
    answers, weights = model.predict(x), model.get_weights()
    loaded = save_and_load(model, path, way)
    np.testing.assert_array_equal(loaded.predict(x), answers)
    assert len(loaded.get_weights()) == len(weights) == 10
    for actual, expected in zip(loaded.get_weights(), weights):
        np.testing.assert_array_equal(actual, expected)
    if way == 'tf':  # which keeps functions; a session that ran them cannot train them any more
        if not tf.executing_eagerly():
            return
    else:
        assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in model.layers]
        assert [layer.implementation for layer in loaded.layers if isinstance(layer, ASH)] == [
            'auto', 'plain']
    for each in (model, loaded):
        each.compile('sgd', 'mse')
    losses = [each.train_on_batch(x, np.ones((3, 2))) for each in (model, loaded)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    for actual, expected in zip(loaded.get_weights(), model.get_weights()):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize('way', ['h5', 'tf', 'export_saved_model'])
def test_graph_mode(new_session, tmp_path, way):
    check(str(tmp_path / 'model'), way)


def test_custom_objects_do_as_well(new_session, tmp_path, monkeypatch):
    """As in code that has its own registration, or none."""
    registry = tf.keras.utils.get_custom_objects()
    for name in ('ASH', 'Swish'):
        monkeypatch.delitem(registry, name)
    model, x = trained()
    path = str(tmp_path / 'model.h5')
    model.save(path)
    with pytest.raises(ValueError, match='Unknown layer: ASH'):
        tf.keras.models.load_model(path)
    loaded = tf.keras.models.load_model(path, custom_objects={'ASH': ASH, 'Swish': Swish})
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))


def test_weights_alone(new_session, tmp_path):
    model, x = trained()
    path = str(tmp_path / 'weights')
    for ending in ('.h5', ''):
        model.save_weights(path + ending)
        other = build()
        status = other.load_weights(path + ending)
        if status is not None:
            status.expect_partial()  # the optimizer's own are not asked for
        np.testing.assert_array_equal(other.predict(x), model.predict(x))


def test_a_registration_that_is_there_already_is_kept():
    code = ('import tensorflow.compat.v1 as tf\n'
            'mine = type("Swish", (tf.keras.layers.Layer,), {})\n'
            'registry = tf.keras.utils.get_custom_objects()\n'
            'registry["Swish"] = mine\n'
            'from ash_tf1.keras import ASH\n'
            'assert registry["Swish"] is mine and registry["ASH"] is ASH\n'
            'import sys; assert "tf2onnx" not in sys.modules\n')
    done = subprocess.run([sys.executable, '-c', code], env=dict(os.environ, PYTHONPATH=str(ROOT)),
                          universal_newlines=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
