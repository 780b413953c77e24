"""The samples of one stage: what T tasks' policies did, as arrays of a fixed shape."""

from typing import NamedTuple

import numpy as np


class Trajectories(NamedTuple):
    """Complete trajectories of T tasks, laid end to end along one axis of B time steps, which is filled up with zeros.

    B is the budget: every task's trajectories hold at most so many time steps together (PROTOCOL 3.5). The shape does
    not depend on how many trajectories there are, so that a compiled update serves every batch.

    Attributes:
        observations: float32 [T, B, O]
        actions: float32 [T, B, A], as the policy drew them: unclipped, in normalised units.
        rewards: float64 [T, B]
        steps: int32 [T, B], the time step within the trajectory, from 0.
        last: bool [T, B], the last step of its trajectory.
        mask: bool [T, B], False where there is nothing.
        physics_failures: int [T], trajectories among these that a breakdown of the physics ended.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    steps: np.ndarray
    last: np.ndarray
    mask: np.ndarray
    physics_failures: np.ndarray

    @classmethod
    def empty(cls, num_tasks, budget, observation_size, action_size):
        """Trajectories [T, B, ...] with nothing in them."""
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

    def tasks(self, start, stop):
        """A view of the tasks start..stop-1."""
        return Trajectories(*(array[start:stop] for array in self))

    @property
    def num_trajectories(self):
        """Complete trajectories of each task, int [T]."""
        return self.last.sum(axis=1)

    @property
    def mean_returns(self):
        """The mean undiscounted return of each task's trajectories, [T]: what the paper's curves show."""
        return self.rewards.sum(axis=1) / self.num_trajectories

    @property
    def mean_lengths(self):
        """The mean number of time steps of each task's trajectories, [T]."""
        return self.mask.sum(axis=1) / self.num_trajectories
