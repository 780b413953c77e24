"""What the policies of T tasks sampled, as arrays of a fixed shape."""

from typing import NamedTuple

import numpy as np


class Trajectories(NamedTuple):
    """Complete trajectories of T tasks, concatenated along one axis of B time steps; the rest of it is zero.

    B is the budget of time steps of one task (PROTOCOL 3.5). The shape does not depend on the number of trajectories,
    so one compiled update serves every batch.

    Attributes:
        observations: float32 [T, B, O]
        actions: float32 [T, B, A], as the policy drew them: unclipped, in normalised units.
        rewards: float64 [T, B]
        steps: int32 [T, B], the time step within the trajectory, from 0.
        last: bool [T, B], the last step of its trajectory.
        mask: bool [T, B], False where there is no time step.
        physics_failures: int [T], how many of these trajectories ended because the physics broke down.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    steps: np.ndarray
    last: np.ndarray
    mask: np.ndarray
    physics_failures: np.ndarray

    @classmethod
    def empty(cls, num_tasks: int, budget: int, observation_size: int, action_size: int) -> "Trajectories":
        """Zeros [T, B, ...] to write trajectories into."""
        shape = (num_tasks, budget)
        return cls(
            np.zeros((*shape, observation_size), np.float32),
            np.zeros((*shape, action_size), np.float32),
            np.zeros(shape),
            np.zeros(shape, np.int32),
            np.zeros(shape, bool),
            np.zeros(shape, bool),
            np.zeros(num_tasks, int),
        )

    def tasks(self, start: int, stop: int) -> "Trajectories":
        """A view of the tasks start..stop-1."""
        return Trajectories(*(array[start:stop] for array in self))

    @property
    def num_trajectories(self) -> np.ndarray:
        """Complete trajectories of each task, int [T]."""
        return self.last.sum(axis=1)

    @property
    def mean_returns(self) -> np.ndarray:
        """The mean undiscounted return of each task's trajectories, [T]: the paper's curves."""
        return self.rewards.sum(axis=1) / self.num_trajectories

    @property
    def mean_lengths(self) -> np.ndarray:
        """The mean number of time steps of each task's trajectories, [T]."""
        return self.mask.sum(axis=1) / self.num_trajectories
