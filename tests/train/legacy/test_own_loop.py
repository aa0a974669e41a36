"""The loop of docs/legacy.md learns what `training.train` learns, and its net is restored."""
import dataclasses
import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ash_tf1.training.recipes import get_recipe
from ash_tf1.training.run_dir import read_rows
from tests.train.legacy.page import run_program
from tests.train.miniature import train_quietly

pytestmark = pytest.mark.slow

LOOP = 'A loop around a Session'
PLACEHOLDER = 'is_training as a placeholder'
TOWERS = 'Two towers instead of the placeholder'
EVALUATION = 'An evaluation graph of its own'
SHARES = 'What each layer passes'
EPOCHS, EPOCH_STEPS = 4, 20
TRAINING_IMAGES, VALIDATION_IMAGES = 64 * EPOCH_STEPS, 143  # of an epoch
# Before the page's own code: initial weights that depend on the seed and the variables' names
# alone, as those of `training.train` do, so that both begin alike.
SAME_WEIGHTS = """
import tensorflow.compat.v1
from ash_tf1.training import graph
tensorflow.compat.v1.get_variable_scope().set_custom_getter(graph._seed_by_name)
"""
EPOCH = re.compile(r'^epoch (\d) training ([\d.]+) validation ([\d.]+)$', re.MULTILINE)
TEST = re.compile(r'^test ([\d.]+)$', re.MULTILINE)


@pytest.fixture(scope='module')
def own(blocks, tmp_path_factory):
    """(folder, output, shares): the page's loop, and after it the section about shares."""
    folder = tmp_path_factory.mktemp('own')
    (first,), (loop,), (shares,) = blocks[LOOP], blocks[PLACEHOLDER], blocks[SHARES]
    output, layers = run_program(folder, SAME_WEIGHTS + first + loop + shares,
                                 'list(pass_shares())')
    return folder, output, layers


@pytest.fixture(scope='module')
def theirs(tmp_path_factory):
    """The rows of a run of the recipe as long, with the same seed: accuracies once an epoch."""
    folder = tmp_path_factory.mktemp('theirs')
    train_quietly(dataclasses.replace(get_recipe('digits'), epochs=EPOCHS, seed=1,
                                      log_every=EPOCH_STEPS), folder)
    return read_rows(str(folder / 'metrics.csv'))


def test_the_accuracies_are_those_of_the_training_here(own, theirs):
    """Same initial weights, same batches, another graph: BatchNorm is inside a tf.cond."""
    epochs = EPOCH.findall(own[1])
    assert [int(number) for number, _, _ in epochs] == list(range(1, EPOCHS + 1))
    for column, split, count in ((1, 'train', TRAINING_IMAGES),
                                 (2, 'validation', VALIDATION_IMAGES)):
        ours = [float(epoch[column]) for epoch in epochs]
        rows = [(int(row['step']), float(row['top1'])) for row in theirs if row['split'] == split]
        if split == 'train':  # the first step has a row of its own
            (_, first), (_, rest) = rows[:2]
            rows[:2] = [(EPOCH_STEPS, (first + (EPOCH_STEPS - 1) * rest) / EPOCH_STEPS)]
        reference = [value for _, value in rows]
        assert ours[-1] > 0.8
        np.testing.assert_allclose(ours, reference, rtol=0, atol=2.5 / count, err_msg=split)


def test_another_process_restores_what_was_saved(own, blocks):
    folder, output, _ = own
    _, restored = run_program(folder, blocks[LOOP][0] + blocks[EVALUATION][0],
                              'float(test_accuracy)')
    assert restored == pytest.approx(float(TEST.findall(output)[0]), abs=1e-6)


def test_two_towers_learn_as_the_placeholder_does(own, blocks, tmp_path):
    """The first epoch alone, with the rate that the whole run has there."""
    shorter = 'EPOCHS = 1\n'
    towers = blocks[TOWERS][0]
    setup, loop = re.split(r'(?=^with tf\.Session)', towers, flags=re.MULTILINE)
    output, updates = run_program(
        tmp_path, SAME_WEIGHTS + blocks[LOOP][0] + setup + shorter + loop,
        'len(tf.get_collection(tf.GraphKeys.UPDATE_OPS))')
    first, = re.findall(r'^epoch 1 validation ([\d.]+)$', output, re.MULTILINE)
    assert updates == 2 * 7  # of the training tower alone: mean and variance of each BatchNorm
    assert float(first) == pytest.approx(float(EPOCH.findall(own[1])[0][2]),
                                         abs=2.5 / VALIDATION_IMAGES)


def test_the_summary_has_three_values_of_each_layer(own):
    folder, _, layers = own
    assert len(layers) == 7 and layers[-1] == 'resnet_v2_8/postnorm'
    events, = (folder / 'summaries').iterdir()
    values = {value.tag: value.simple_value for event in tf.train.summary_iterator(str(events))
              for value in event.summary.value if event.step == EPOCHS * EPOCH_STEPS}
    assert set(values) == {'{}/{}'.format(what, layer) for layer in layers
                           for what in ('pass_share', 'z_k', 'alpha')}
    assert all(0.0 < values['pass_share/' + layer] < 1.0 for layer in layers)
    assert all(values['z_k/' + layer] != np.float32(1e-3) for layer in layers)
    assert all(values['alpha/' + layer] != 1.0 for layer in layers)
