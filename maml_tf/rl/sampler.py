"""Samples the trajectories of many tasks in lockstep."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from maml_tf.errors import UsageError
from maml_tf.rl.trajectories import Trajectories


class Sampler:
    """Rolls out T policies, each in its own task, all environments at once.

    An even number of tasks is halved between two threads: while one half's actions are computed, the other's physics
    keeps the cores busy.

    Args:
        make_envs: num_envs -> TaskVectorEnv with a horizon.
        num_tasks: T.
        trajectories: the budget of a task, in trajectories of full length (the authors' "fast batch size").
        envs_per_task: n, environments a task side by side; as many as `trajectories` by default. What is sampled does
            not depend on it, but for the random numbers.

    Raises:
        UsageError: the environments have no horizon.
    """

    def __init__(self, make_envs, num_tasks, trajectories, envs_per_task=None):
        self.num_tasks = num_tasks
        self.envs_per_task = envs_per_task or trajectories
        self.tasks_at_once = num_tasks if num_tasks % 2 else num_tasks // 2
        self.envs = [make_envs(self.tasks_at_once * self.envs_per_task) for _ in range(num_tasks // self.tasks_at_once)]
        if self.envs[0].max_episode_steps is None:
            raise UsageError("the environments need a horizon: max_episode_steps is None")
        self.goal_distribution = self.envs[0].goal_distribution
        self.budget = trajectories * self.envs[0].max_episode_steps

    def sample(self, actor, goals, seed):
        """Samples every task's budget.

        Args:
            actor: the Actor of T policies, or what has its `tasks` and `act`.
            goals: one a task [T, ...], or one an environment [T, n, ...]. None: drawn anew for every trajectory.
            seed: int or a list of ints; the same seed gives the same trajectories.

        Returns:
            Trajectories [T, B, ...] with B = trajectories x horizon.

        Raises:
            UsageError: goals of another shape.
        """
        goals = self._goal_of_each_environment(goals)
        sizes = [self.envs[0].single_observation_space.shape[0], self.envs[0].single_action_space.shape[0]]
        trajectories = Trajectories.empty(self.num_tasks, self.budget, *sizes)
        generators = np.random.default_rng(seed).spawn(len(self.envs))

        def sample_part(part):
            tasks = part * self.tasks_at_once, (part + 1) * self.tasks_at_once
            part_goals = None if goals is None else goals[slice(*tasks)].reshape(-1, *goals.shape[2:])
            part_of_all = trajectories.tasks(*tasks)
            _sample_into(part_of_all, self.envs[part], actor.tasks(*tasks), part_goals, generators[part])

        with ThreadPoolExecutor(len(self.envs)) as threads:
            list(threads.map(sample_part, range(len(self.envs))))
        return trajectories

    def _goal_of_each_environment(self, goals):
        """`goals` as [T, n, ...]."""
        if goals is None:
            return None
        T, n, shape = self.num_tasks, self.envs_per_task, self.goal_distribution.shape
        goals = np.asarray(goals, np.float64)
        if goals.shape == (T, *shape):
            return np.repeat(goals[:, np.newaxis], n, axis=1)
        if goals.shape == (T, n, *shape):
            return goals
        raise UsageError(f"goals have shape {goals.shape}; allowed: {(T, *shape)} or {(T, n, *shape)}")


class _Rows(NamedTuple):
    """What one lockstep did in k live environments; trajectories are numbered within their task as they start."""

    task: np.ndarray
    trajectory: np.ndarray
    step: np.ndarray
    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    ended: np.ndarray
    failed: np.ndarray


def _sample_into(trajectories, envs, actor, goals, rng):
    """Fills `trajectories` [T, B, ...] from T * n environments.

    Every task gets what B time steps of a single environment would give that is started anew whenever a trajectory
    ends, less the one unfinished in the end (PROTOCOL 3.5). Side by side: trajectories are numbered as they start; new
    ones are started until those that there are hold B steps; the first ones that together fit into B are kept. Their
    lengths alone, in that order, decide, as in the single run; keeping whatever the n environments happen to have
    finished would favour short ones.
    """
    T, budget = trajectories.mask.shape
    n = envs.num_envs // T
    task = np.repeat(np.arange(T), n)
    current = np.tile(np.arange(n), T)  # the trajectory that an environment is on
    started = np.full(T, n)
    lengths = np.zeros((T, budget + n), np.int64)  # of every trajectory, so far
    log = []
    observations, _ = envs.reset(seed=int(rng.integers(2**31)), options={"goal": goals})
    while envs.live.any():
        ids = np.flatnonzero(envs.live)
        seen = observations.astype(np.float32)
        actions = actor.act(seen.reshape(T, n, -1), rng).reshape(T * n, -1)
        observations, rewards, terminated, truncated, info = envs.step(actions)
        ended = terminated | truncated
        at = task[ids], current[ids]
        failed = info["physics_failure"][ids]
        log.append(_Rows(*at, lengths[at], seen[ids], actions[ids], rewards[ids], ended[ids], failed))
        lengths[at] += 1
        so_far = lengths[:, : started.max()].cumsum(axis=1)
        again = ended & (so_far[:, -1] < budget)[task]
        if again.any():
            by_task = again.reshape(T, n)
            current[again] = (started[:, np.newaxis] + by_task.cumsum(axis=1) - 1)[by_task]
            started += by_task.sum(axis=1)
            observations, _ = envs.reset(options={"goal": goals, "reset_mask": again})
        elif (so_far[:, -1] > budget).any():
            envs.rest(so_far[task, current] > budget)
    _lay_end_to_end(log, lengths, trajectories)


def _lay_end_to_end(log, lengths, trajectories):
    budget = trajectories.mask.shape[1]
    stops = lengths.cumsum(axis=1)
    starts = stops - lengths
    for rows in log:
        kept = stops[rows.task, rows.trajectory] <= budget
        rows = rows if kept.all() else _Rows(*(values[kept] for values in rows))
        at = rows.task, starts[rows.task, rows.trajectory] + rows.step
        trajectories.observations[at] = rows.observations
        trajectories.actions[at] = rows.actions
        trajectories.rewards[at] = rows.rewards
        trajectories.steps[at] = rows.step
        trajectories.last[at] = rows.ended
        trajectories.mask[at] = True
        np.add.at(trajectories.physics_failures, rows.task, rows.failed)
