"""A run with the native ops is the run without them."""
import numpy as np
import pytest

from ash_tf1.training.run_dir import read_rows
from tests.train.miniature import tiny_settings, train_quietly


def losses(run_dir):
    return [float(row['loss']) for row in read_rows(str(run_dir / 'metrics.csv'))
            if row['split'] == 'train']


@pytest.mark.slow
def test_200_steps_of_one_seed_have_the_same_losses(library, tiny, tmp_path, monkeypatch):
    """At a rate at which roundings are not enlarged from step to step: 1e-5 relative."""
    curves = {}
    for value in ('0', '1'):
        monkeypatch.setenv('ASH_NATIVE', value)
        train_quietly(tiny_settings(epochs=0, steps=200, learning_rate=0.01, schedule='step',
                                    seed=3), tmp_path / value)
        curves[value] = losses(tmp_path / value)
    assert len(curves['0']) == 200
    assert curves['0'] != curves['1']  # two forms, which round differently
    np.testing.assert_allclose(curves['1'], curves['0'], rtol=1e-5)
    assert np.mean(curves['1'][-10:]) < 0.8 * np.mean(curves['1'][:10])
