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
            not depend on it, but for the random numbers and with `finished_first`.
        finished_first: keep the trajectories that a task's n environments finish first, until those hold the budget,
            and drop what is under way then. The authors sample so wherever a task has several environments side by
            side: in every test, and in training on all goals together (their `VectorizedSampler`; in meta-training it
            has one environment a task). That favours short trajectories where rollouts end early. Otherwise every task
            gets what a single environment would give.

    Raises:
        UsageError: the environments have no horizon, or no trajectory is asked for.
    """

    def __init__(self, make_envs, num_tasks, trajectories, envs_per_task=None, finished_first=False):
        if num_tasks < 1 or trajectories < 1:
            raise UsageError(
                f"num_tasks, trajectories: {num_tasks}, {trajectories} are not allowed; expected 1 or more"
            )
        self.num_tasks = num_tasks
        self.finished_first = finished_first
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
            Trajectories [T, B, ...] with B = trajectories x horizon, or up to n x horizon more with `finished_first`.

        Raises:
            UsageError: goals of another shape.
        """
        goals = self._goal_of_each_environment(goals)
        sizes = [self.envs[0].single_observation_space.shape[0], self.envs[0].single_action_space.shape[0]]
        room = self.budget
        if self.finished_first:
            room += self.envs_per_task * self.envs[0].max_episode_steps
        trajectories = Trajectories.empty(self.num_tasks, room, *sizes)
        generators = np.random.default_rng(seed).spawn(len(self.envs))

        def sample_part(part):
            tasks = part * self.tasks_at_once, (part + 1) * self.tasks_at_once
            part_goals = None if goals is None else goals[slice(*tasks)].reshape(-1, *goals.shape[2:])
            part_of_all = trajectories.tasks(*tasks)
            envs, rng = self.envs[part], generators[part]
            rule = _finished_first if self.finished_first else _in_order_of_starting
            _sample_into(part_of_all, envs, actor.tasks(*tasks), part_goals, rng, rule, self.budget)

        with ThreadPoolExecutor(len(self.envs)) as threads:
            list(threads.map(sample_part, range(len(self.envs))))
        if not trajectories.mask[:, self.budget :].any():
            return Trajectories(
                *(array[:, : self.budget] for array in trajectories[:-1]), trajectories.physics_failures
            )
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


def _sample_into(trajectories, envs, actor, goals, rng, rule, budget):
    """Fills `trajectories` [T, B, ...] from T * n environments, as `rule` says (see `_in_order_of_starting`)."""
    T = len(trajectories.mask)
    n = envs.num_envs // T
    task = np.repeat(np.arange(T), n)
    current = np.tile(np.arange(n), T)  # the trajectory that an environment is on
    started = np.full(T, n)
    lengths = np.zeros((T, budget + 2 * n), np.int64)  # of every trajectory, so far
    finished = np.zeros(lengths.shape, bool)
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
        finished[at] = ended[ids]
        more_wanted, kept = rule(lengths[:, : started.max()], finished[:, : started.max()], budget)
        if not kept.all():
            envs.rest(~kept[task, current])
        again = ended & more_wanted[task]
        if again.any():
            by_task = again.reshape(T, n)
            current[again] = (started[:, np.newaxis] + by_task.cumsum(axis=1) - 1)[by_task]
            started += by_task.sum(axis=1)
            observations, _ = envs.reset(options={"goal": goals, "reset_mask": again})
    _lay_end_to_end(log, lengths[:, : kept.shape[1]] * kept, kept, trajectories)


def _in_order_of_starting(lengths, finished, budget):
    """Every task gets what `budget` steps of a single environment would give that is started anew whenever a trajectory
    ends, less the one unfinished in the end (PROTOCOL 3.5).

    Side by side: trajectories are numbered as they start; new ones are started until those that there are hold
    `budget` steps; the first ones that together fit into it are kept. Their lengths alone, in that order, decide, as in
    the single run; keeping whatever the n environments happen to have finished would favour short ones.

    Args:
        lengths: int [T, trajectories], so far.
        finished: bool, likewise.
        budget: time steps of a task.

    Returns:
        (more_wanted, kept): whether a task shall start new trajectories, bool [T]; whether a trajectory is or may yet
        be kept, bool [T, trajectories].
    """
    so_far = lengths.cumsum(axis=1)
    return so_far[:, -1] < budget, so_far <= budget


def _finished_first(lengths, finished, budget):
    """The trajectories that a task's environments finish first are kept; see Sampler and `_in_order_of_starting`."""
    more_wanted = (lengths * finished).sum(axis=1) < budget
    return more_wanted, finished | more_wanted[:, np.newaxis]


def _lay_end_to_end(log, lengths, kept, trajectories):
    """Writes what is kept into `trajectories`; `lengths` are 0 where nothing is."""
    starts = lengths.cumsum(axis=1) - lengths
    for rows in log:  # one lockstep after the other: put together first, they would be copied once more
        chosen = kept[rows.task, rows.trajectory]
        if not chosen.all():
            rows = _Rows(*(values[chosen] for values in rows))
        at = rows.task, starts[rows.task, rows.trajectory] + rows.step
        trajectories.observations[at] = rows.observations
        trajectories.actions[at] = rows.actions
        trajectories.rewards[at] = rows.rewards
        trajectories.steps[at] = rows.step
        trajectories.last[at] = rows.ended
        trajectories.mask[at] = True
        np.add.at(trajectories.physics_failures, rows.task, rows.failed)
