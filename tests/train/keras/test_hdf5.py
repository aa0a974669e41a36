"""Keras models in HDF5 files: read without running what they hold, and converted."""
import json

import h5py
import numpy as np
import onnx
import pytest
import tensorflow.compat.v1 as tf
from onnx import numpy_helper

from ash_tf1.converting import foreign, lowering
from ash_tf1.keras import ASH, hdf5


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / 'model.h5')


def save(path, *layers, wrap=False):
    """Saves a model of [N, 6] and returns what it predicts for X."""
    with tf.Graph().as_default(), tf.Session().as_default():
        tf.set_random_seed(0)
        model = tf.keras.Sequential([tf.keras.layers.Dense(5, input_shape=(6,)), *layers])
        if wrap:
            x = tf.keras.Input((6,))
            model = tf.keras.Model(x, model(x))
        model.save(path, include_optimizer=False)
        return model.predict(X)


X = np.random.RandomState(0).randn(4, 6).astype('f')


@pytest.mark.parametrize('wrap', [False, True])
def test_a_model_converts_with_ash_in_its_own_form(tmp_path, path, wrap):
    expected = save(path, ASH(), tf.keras.layers.Dropout(0.5), tf.keras.layers.BatchNormalization(),
                    tf.keras.layers.Dense(2, activation='softmax', name='scores'), wrap=wrap)
    source = hdf5.read(path)
    assert [layer.form for layer in lowering.find_layers(source.graph_def)
            if layer.form != 'sigmoid']
    np.save(str(tmp_path / 'x.npy'), X)
    foreign.convert(source, str(tmp_path / 'a'), foreign.Options(samples=str(tmp_path / 'x.npy')))
    answer = onnx.TensorProto.FromString((tmp_path / 'a/test_data_set_0/output_0.pb').read_bytes())
    np.testing.assert_allclose(numpy_helper.to_array(answer), expected, rtol=1e-5)
    metadata = {entry.key: entry.value
                for entry in onnx.load(str(tmp_path / 'a/model.onnx')).metadata_props}
    assert (metadata['net'], metadata['kind']) == ('model.h5', 'tensors')


def test_a_lambda_is_refused_before_it_is_loaded(tmp_path, path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = save(path, tf.keras.layers.Lambda(lambda x: open('harm', 'a') and 2.0 * x),
                    wrap=True)
    (tmp_path / 'harm').unlink()
    with pytest.raises(ValueError, match='holds a Lambda layer, .*--trust-code allows it'):
        hdf5.read(path)
    assert not (tmp_path / 'harm').exists()
    source = hdf5.read(path, trust_code=True)
    assert (tmp_path / 'harm').exists()
    with tf.Graph().as_default(), tf.Session() as session:
        names = [source.inputs[0][1], source.outputs[0][1]]
        x, y = tf.import_graph_def(source.graph_def, name='', return_elements=names)
        np.testing.assert_allclose(session.run(y, {x: X}), expected, rtol=1e-5)


def change(path, function):
    with h5py.File(path, 'r+') as file:
        config = json.loads(tf.compat.as_text(file.attrs['model_config']))
        changed = function(file, config)
        if changed is not None:
            file.attrs['model_config'] = json.dumps(changed).encode()


def rename(file, config):
    config['config']['layers'][0]['class_name'] = 'Evil'
    return config


def nested(file, config):
    config['config']['layers'][0]['config']['kernel_initializer'] = {
        'class_name': 'TensorFlowOpLayer', 'config': {}}
    return config


def link(file, config):
    del file['model_weights']
    file['model_weights'] = h5py.ExternalLink('secret.h5', '/')


def without_config(file, config):
    del file.attrs['model_config']


def no_json(file, config):
    file.attrs['model_config'] = b'{'


def odd(file, config):
    config['config']['layers'][0]['config']['units'] = 'five'
    return config


@pytest.mark.parametrize('function, message', [
    (rename, "holds the class 'Evil'"), (nested, "holds the class 'TensorFlowOpLayer'"),
    (link, "has 'model_weights' in another file"), (without_config, 'holds no model'),
    (no_json, 'whose config is no JSON'), (odd, 'cannot be loaded by Keras')])
def test_what_is_no_model_is_named(path, function, message):
    save(path)
    change(path, function)
    with pytest.raises(ValueError, match=message):
        hdf5.read(path)


def test_what_is_no_hdf5_is_named(path):
    with open(path, 'wb') as handle:
        handle.write(b'no HDF5')
    with pytest.raises(ValueError, match='model.h5 cannot be read as HDF5'):
        hdf5.read(path)
