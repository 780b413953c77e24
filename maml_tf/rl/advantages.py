"""Generalised advantage estimates with the linear value baseline, normalised for each task (PROTOCOL 3.2)."""

import numpy as np

from maml_tf.rl.sampling.trajectories import Trajectories
from maml_tf.rl.value_baseline import fitted_values

DISCOUNT = 0.99
GAE_LAMBDA = 1.0
STD_OFFSET = 1e-8


def discounted_sums(values: np.ndarray, last: np.ndarray, discount: float) -> np.ndarray:
    """sum_k discount^k values[t + k] up to the end of each trajectory.

    Args:
        values: [T, B]
        last: bool [T, B], the last step of its trajectory.
        discount: a number in [0, 1].

    Returns:
        float64 [T, B]
    """
    sums = np.array(values.T, np.float64, order="C")  # a copy with the time step as the first axis
    factors = discount * ~last.T
    for step in range(len(sums) - 2, -1, -1):
        sums[step] += factors[step] * sums[step + 1]
    return sums.T


def generalised_advantages(
    rewards: np.ndarray,
    values: np.ndarray,
    last: np.ndarray,
    discount: float = DISCOUNT,
    gae_lambda: float = GAE_LAMBDA,
) -> np.ndarray:
    """Unnormalised advantages float64 [T, B]; with lambda = 1 the discounted return minus the value.

    The value after a trajectory's last step is 0, also where the horizon cut it off.

    Args:
        rewards, values: [T, B], 0 where the mask is False.
        last: bool [T, B], the last step of its trajectory.
        discount: gamma.
        gae_lambda: lambda.
    """
    next_values = np.zeros(values.shape)
    next_values[:, :-1] = values[:, 1:]
    residuals = rewards + discount * next_values * ~last - values
    return discounted_sums(residuals, last, discount * gae_lambda)


def normalised(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(values - mean) / (standard deviation + 1e-8), within each task.

    Args:
        values: [T, B]
        mask: bool [T, B], which values count.

    Returns:
        float64 [T, B]; 0 where the mask is False.
    """
    count = mask.sum(axis=1, keepdims=True)
    mean = np.sum(values, axis=1, where=mask, keepdims=True) / count
    centred = np.where(mask, values - mean, 0.0)
    deviation = np.sqrt(np.square(centred).sum(axis=1, keepdims=True) / count)
    return centred / (deviation + STD_OFFSET)


def advantages(trajectories: Trajectories, discount: float = DISCOUNT, gae_lambda: float = GAE_LAMBDA) -> np.ndarray:
    """How much better each action turned out than the baseline expected; mean 0 and deviation 1 in every task.

    Args:
        trajectories: T tasks, B time steps each.
        discount: gamma.
        gae_lambda: lambda.

    Returns:
        float64 [T, B]; 0 where the mask is False.

    Raises:
        FloatingPointError: an observation or a reward is not finite; the message names the task.
    """
    rewards, last = trajectories.rewards, trajectories.last
    values = fitted_values(trajectories, discounted_sums(rewards, last, discount))
    return normalised(generalised_advantages(rewards, values, last, discount, gae_lambda), trajectories.mask)
