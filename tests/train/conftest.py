"""A data set and a net so small that a whole run takes seconds, and runs trained on them.

Neither is registered but while a test of a run is under way. TensorFlow is imported only by what
uses it: the input pipelines' tests below this folder do without.
"""
import contextlib
import functools
import os

import numpy as np
import pytest

CLASSES = ('dark', 'grey', 'light')
TRAIN_COUNT, TEST_COUNT = 40, 22  # of 8 a batch: 5 steps an epoch; the last test batch is short


def _split(count, seed):
    """Noise, brighter by class: easy to learn, but not within one epoch."""
    from ash_tf1.input_pipelines import Split
    rng = np.random.RandomState(seed)
    labels = (np.arange(count) % len(CLASSES)).astype(np.int64)
    noise = rng.randint(0, 160, (count, 8, 8, 3))
    return Split((noise + 40 * labels[:, None, None, None]).astype(np.uint8), labels)


def tiny_dataset(data_dir=None, classes=CLASSES):
    from ash_tf1.input_pipelines import Dataset
    if data_dir is not None and not os.path.isdir(data_dir):
        raise FileNotFoundError('no data set at {}'.format(data_dir))
    return Dataset('tiny', _split(TRAIN_COUNT, 1), _split(TEST_COUNT, 2), classes,
                   (120.0, 120.0, 120.0), (60.0, 60.0, 60.0))


@contextlib.contextmanager
def _registered():
    """Registers the data set 'tiny' and the nets 'tiny' and 'tiny_deeper' while in use."""
    from ash_tf1 import input_pipelines, nets
    from ash_tf1.nets.resnet import Block, resnet_v2
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(input_pipelines.DATASETS, 'tiny', tiny_dataset)
        for name, units in (('tiny', 1), ('tiny_deeper', 2)):
            blocks = (Block(units, 16, 1, False),)

            def net(inputs, num_classes, activation_fn, is_training, reuse=None, scope='tiny',
                    blocks=blocks):
                return resnet_v2(inputs, blocks, num_classes, activation_fn, is_training, reuse,
                                 scope)

            patch.setitem(nets.NETS, name, net)
        yield


@pytest.fixture
def tiny():
    """Registers the miniatures for one test and gives the data set's loader."""
    with _registered():
        yield tiny_dataset


@pytest.fixture(scope='session')
def tiny_settings():
    """Function of changes: the `Settings` of a short run, every step of which is logged."""
    from ash_tf1.config import Settings
    return functools.partial(
        Settings, net='tiny', activation='ash', dataset='tiny', batch_size=8, epochs=3,
        schedule='one_cycle', learning_rate=0.1, augmentation='crop', log_every=1,
        eval_batch_size=8, weight_decay=1e-3)


@pytest.fixture(scope='session')
def tiny_run(tiny_settings, tmp_path_factory):
    """Folder of a finished run of the settings above; not to be written to."""
    from ash_tf1 import training
    run_dir = tmp_path_factory.mktemp('runs') / 'tiny'
    with _registered():
        training.train(tiny_settings(), str(run_dir), progress=False, report=lambda line: None)
    return run_dir
