"""Random weights for Keras models."""
import numpy as np


def randomize(model, seed=0):
    """Gives each weight of a model, biases and statistics too, a value of its own; returns it."""
    rng = np.random.RandomState(seed)
    model.set_weights([rng.uniform(0.2, 1.0, value.shape) * (
        rng.choice([-1, 1], value.shape) if value.ndim > 1 else 1)
        for value in model.get_weights()])
    return model
