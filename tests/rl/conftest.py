"""Random samples for the tests of what learns from samples."""

import numpy as np
import pytest

from maml_tf.rl.sampling.trajectories import Trajectories


def _random_trajectories(seed, num_tasks=3, budget=40, observation_size=3, action_size=2, padding=np.nan):
    """Trajectories of random lengths with something missing at the end of each task's row, filled with `padding`."""
    rng = np.random.default_rng(seed)
    samples = Trajectories.empty(num_tasks, budget, observation_size, action_size)
    for array in samples[:3]:
        array[:] = rng.normal(size=array.shape)
    for task in range(num_tasks):
        start = 0
        while (length := int(rng.integers(1, 12))) <= budget - start:
            samples.steps[task, start : start + length] = np.arange(length)
            samples.mask[task, start : start + length] = True
            samples.last[task, start + length - 1] = True
            start += length
        for array in samples[:2]:
            array[task, start:] = padding
        samples.rewards[task, start:] = 0.0
    return samples


@pytest.fixture(scope="session")
def random_trajectories():
    return _random_trajectories
