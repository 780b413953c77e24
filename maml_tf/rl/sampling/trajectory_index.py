"""What many environments do in lockstep: a buffer of all steps, and the index of the trajectories in it."""

from typing import NamedTuple

import numpy as np

from maml_tf.rl.envs.vector_env import TaskVectorEnv
from maml_tf.rl.sampling.trajectories import Trajectories


class StepBuffer(NamedTuple):
    """The steps of E environments in up to L locksteps; the rows of idle environments hold no steps.

    Attributes:
        observations: float32 [L, E, O]
        actions: float32 [L, E, A]
        rewards: float64 [L, E]
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray

    @classmethod
    def empty(cls, locksteps: int, envs: TaskVectorEnv) -> "StepBuffer":
        """Memory for `locksteps` of `envs`."""
        observations, actions = (np.empty((locksteps, envs.num_envs, size), np.float32) for size in envs.sizes)
        return cls(observations, actions, np.empty((locksteps, envs.num_envs)))


class TrajectoryIndex:
    """Where the trajectories of T tasks are in a StepBuffer: arrays [T, R], with space for R trajectories of a task.

    The trajectories of a task are numbered in the order in which they start.

    Args:
        num_tasks: T.
        envs_per_task: n; the environments of a task are neighbours.
        max_trajectories: R.

    Attributes:
        lengths: int, time steps so far.
        finished: bool.
        failed: bool, ended by a breakdown of the physics.
        environments: int, the environment of each trajectory.
        first_locksteps: int, the lockstep of its first step.
        started: int [T], the number of trajectories so far.
        task: int [T * n], the task of each environment.
        current: int [T * n], the number of the trajectory that each environment is in.
    """

    def __init__(self, num_tasks: int, envs_per_task: int, max_trajectories: int):
        shape = (num_tasks, max_trajectories)
        self.lengths, self.environments, self.first_locksteps = np.zeros((3, *shape), np.int64)
        self.finished, self.failed = np.zeros((2, *shape), bool)
        self.started = np.zeros(num_tasks, np.int64)
        self.task = np.repeat(np.arange(num_tasks), envs_per_task)
        self.current = np.zeros(len(self.task), np.int64)

    def start(self, which: np.ndarray, lockstep: int) -> None:
        """Starts a trajectory in the environments `which`, bool [E]; its first step is taken in `lockstep`."""
        by_task = which.reshape(len(self.started), -1)
        self.current[which] = (self.started[:, np.newaxis] + by_task.cumsum(axis=1) - 1)[by_task]
        self.started += by_task.sum(axis=1)
        at = self.task[which], self.current[which]
        self.environments[at] = np.flatnonzero(which)
        self.first_locksteps[at] = lockstep

    def count_step(self, active: np.ndarray, ended: np.ndarray, failed: np.ndarray) -> None:
        """Counts a step of the `active` environments, and which trajectories it `ended` or `failed`: bool [E]."""
        self.lengths[self.task[active], self.current[active]] += 1
        self.finished[self.task[ended], self.current[ended]] = True
        self.failed[self.task[failed], self.current[failed]] = True

    def concatenate(self, steps: StepBuffer, kept: np.ndarray, trajectories: Trajectories) -> None:
        """Copies the trajectories that are `kept`, bool [T, any number], into `trajectories`, task by task."""
        for task, numbers in enumerate(map(np.flatnonzero, kept)):
            numbers = numbers[self.lengths[task, numbers] > 0]
            lengths = self.lengths[task, numbers]
            ends = lengths.cumsum()
            here = slice(lengths.sum())
            time_steps = np.arange(here.stop) - np.repeat(ends - lengths, lengths)
            at = (
                np.repeat(self.first_locksteps[task, numbers], lengths) + time_steps,
                np.repeat(self.environments[task, numbers], lengths),
            )
            trajectories.observations[task, here] = steps.observations[at]
            trajectories.actions[task, here] = steps.actions[at]
            trajectories.rewards[task, here] = steps.rewards[at]
            trajectories.steps[task, here] = time_steps
            trajectories.last[task, ends - 1] = True
            trajectories.mask[task, here] = True
            trajectories.physics_failures[task] = self.failed[task, numbers].sum()
