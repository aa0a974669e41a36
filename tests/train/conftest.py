"""A data set and a net so small that a whole run takes seconds, and a run trained on them.

Neither is registered but while a test of them is under way. TensorFlow is imported only by what
uses it: the input pipelines' tests below this folder do without.
"""
import contextlib
import functools
import gc
import inspect
import os

import numpy as np
import pytest


@pytest.hookimpl(tryfirst=True)  # before pytest looks at the markers
def pytest_collection_modifyitems(items):
    """Marks the combinations of a sweep as slow that its `chosen` does not choose."""
    for item in items:
        for sweep in item.iter_markers('sweep'):
            chosen = sweep.kwargs['chosen']
            names = inspect.signature(chosen).parameters
            if not chosen(**{name: item.callspec.params[name] for name in names}):
                item.add_marker(pytest.mark.slow)


def pytest_collection_finish():
    """Keeps the garbage collector from what imports made, which stays until the end.

    To build graphs makes so many objects that with Python's own settings it looks through all of
    those again and again, for 15 % of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20000, 20, 20)


CLASSES = ('dark', 'grey', 'light')
# By 8: 5 steps an epoch, and a short last batch of each other split.
TRAIN_COUNT, VALIDATION_COUNT, TEST_COUNT = 40, 22, 23


def _split(count, seed):
    """Noise, brighter by class: easy to learn, but not at once."""
    from ash_tf1.input_pipelines import ArraySplit
    rng = np.random.RandomState(seed)
    labels = (np.arange(count) % len(CLASSES)).astype(np.int64)
    noise = rng.randint(0, 120, (count, 8, 8, 3))
    images = (noise + 60 * labels[:, None, None, None]).astype(np.uint8)
    return ArraySplit(image=images, label=labels)


def tiny_dataset(data_dir=None, classes=CLASSES):
    from ash_tf1.input_pipelines import LabelledImages
    if data_dir is not None and not os.path.isdir(data_dir):
        raise FileNotFoundError('no data set at {}'.format(data_dir))
    return LabelledImages('tiny', _split(TRAIN_COUNT, 1), _split(VALIDATION_COUNT, 3),
                          _split(TEST_COUNT, 2), classes, (120.0, 120.0, 120.0),
                          (60.0, 60.0, 60.0))


def _net(blocks, inputs, num_classes, activation_fn, is_training, reuse=None, scope='tiny'):
    from ash_tf1.nets.resnet import resnet_v2
    return resnet_v2(inputs, blocks, num_classes, activation_fn, is_training, reuse, scope)


@contextlib.contextmanager
def _registered():
    """Registers the data set 'tiny' and the nets 'tiny' and 'tiny_deeper' while in use."""
    from ash_tf1 import input_pipelines, nets
    from ash_tf1.nets.resnet import Block
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(input_pipelines.DATASETS, 'tiny', tiny_dataset)
        for name, units in (('tiny', 1), ('tiny_deeper', 2)):
            blocks = (Block(units, depth=16, stride=1, bottleneck=False),)
            patch.setitem(nets.NETS, name, functools.partial(_net, blocks))
        yield


@pytest.fixture
def tiny():
    """Registers the miniatures for one test; gives the function that makes the data set."""
    with _registered():
        yield tiny_dataset


@pytest.fixture(scope='session')
def registered_tiny():
    """Context manager that registers the miniatures, for fixtures that outlive a test."""
    return _registered


@pytest.fixture(scope='session')
def tiny_settings():
    """Function of changes: the `Settings` of a run of 3 epochs, every step of which is logged."""
    from ash_tf1.training.settings import Settings
    return functools.partial(
        Settings, net='tiny', activation='ash', dataset='tiny', batch_size=8, epochs=3,
        schedule='one_cycle', learning_rate=0.1, augmentation='crop', log_every=1,
        eval_batch_size=8, weight_decay=1e-3)


@pytest.fixture(scope='session')
def train_quietly():
    """Function (settings, run_dir, resume=False, plot=False): `training.train` without a word.

    The learning curve is left out unless asked for: it takes a third of the time.
    """
    from ash_tf1 import training
    from ash_tf1.training import plotting

    def train(settings, run_dir, resume=False, plot=False):
        with pytest.MonkeyPatch.context() as patch:
            if not plot:
                patch.setattr(plotting, 'plot_learning_curve', lambda run_dir, metrics: None)
            return training.train(settings, str(run_dir), resume, progress=False,
                                  report=lambda line: None)
    return train


@pytest.fixture(scope='session')
def tiny_run(tiny_settings, train_quietly, tmp_path_factory):
    """Folder of a finished run of the settings above; not to be written to."""
    run_dir = tmp_path_factory.mktemp('runs') / 'tiny'
    with _registered():
        train_quietly(tiny_settings(), run_dir, plot=True)
    return run_dir


@pytest.fixture(scope='session')
def read_weights():
    """Function of a checkpoint's prefix: the values of all its variables, by name."""
    import tensorflow.compat.v1 as tf

    def read(prefix):
        reader = tf.train.NewCheckpointReader(str(prefix))
        return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    return read


@pytest.fixture(scope='session')
def contents():
    """Function of a folder: the bytes of every file in it, by relative path."""
    def read(folder):
        return {str(path.relative_to(str(folder))): path.read_bytes()
                for path in sorted(folder.rglob('*')) if path.is_file()}
    return read


@pytest.fixture
def before_step(monkeypatch):
    """Function (count, action): has an action done just before a training's count-th step.

    Without arguments it arranges for nothing, again.
    """
    from ash_tf1.training import loop
    prefetch = loop.prefetch

    def arrange(count=None, action=None):
        def batches(iterator):
            with contextlib.closing(prefetch(iterator)) as ahead:
                for number, batch in enumerate(ahead, 1):
                    if number == count:
                        action()
                    yield batch
        monkeypatch.setattr(loop, 'prefetch', batches)
    return arrange
