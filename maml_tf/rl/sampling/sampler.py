"""Samples the trajectories of many tasks in lockstep."""

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from maml_tf.errors import UsageError
from maml_tf.rl.envs.vector_env import TaskVectorEnv
from maml_tf.rl.sampling.numpy_policy import Actor
from maml_tf.rl.sampling.trajectories import Trajectories
from maml_tf.rl.sampling.trajectory_index import StepBuffer, TrajectoryIndex
from maml_tf.runtime import available_cores

if TYPE_CHECKING:
    from maml_tf.rl.policy import Policy


class Sampler:
    """Runs T policies, each in its own task, in all environments at once.

    The tasks are divided into groups, each with a thread. While the policies of one group compute actions, the physics
    of another one keeps the cores busy.

    Args:
        make_envs: num_envs -> TaskVectorEnv with a horizon.
        num_tasks: T.
        trajectories: the budget of a task, in trajectories of full length (the authors' "fast batch size").
        envs_per_task: n, environments of a task that run side by side; by default as many as `trajectories`. It changes
            the random numbers. It does not change how trajectories are chosen, except with `keep_first_finished`.
        keep_first_finished: keep the trajectories that a task's n environments finish first, until those hold the
            budget, and drop those that are still running. The authors sample in this way when a task has several
            environments: in every test, and in training on all goals together (their `VectorizedSampler`; in
            meta-training a task has one environment). It favours short trajectories if rollouts can end early. By
            default every task gets the trajectories that a single environment would give (PROTOCOL 3.5).
        num_groups: of equal sizes; 2 by default, and 1 for an odd number of tasks. Each has its own random numbers, so
            the number changes them. `train(workers=...)` gives a group to one worker.
        first_group: the number of the first group, where these tasks are a part of more.

    Raises:
        UsageError: the environments have no horizon, no task or trajectory is asked for, or the tasks cannot be divided
            into the groups.
    """

    def __init__(
        self,
        make_envs: Callable[[int], TaskVectorEnv],
        num_tasks: int,
        trajectories: int,
        envs_per_task: int | None = None,
        keep_first_finished: bool = False,
        num_groups: int | None = None,
        first_group: int = 0,
    ):
        envs_per_task = trajectories if envs_per_task is None else envs_per_task
        sizes = {"num_tasks": num_tasks, "trajectories": trajectories, "envs_per_task": envs_per_task}
        if num_groups is not None:
            sizes["num_groups"] = num_groups
        for name, value in sizes.items():
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise UsageError(f"{name}: {value!r} is not allowed; expected a whole number from 1")
        if num_groups is None:
            num_groups = 1 if num_tasks % 2 else 2
        if num_tasks % num_groups:
            raise UsageError(f"num_groups: {num_groups} is not allowed; expected a divisor of {num_tasks} tasks")
        self.options = {
            "make_envs": make_envs,
            "num_tasks": num_tasks,
            "trajectories": trajectories,
            "envs_per_task": envs_per_task,
            "keep_first_finished": keep_first_finished,
        }
        self.num_tasks = num_tasks
        self.num_groups = num_groups
        self.first_group = first_group
        self.keep_first_finished = keep_first_finished
        self.envs_per_task = envs_per_task
        self.tasks_per_group = num_tasks // num_groups
        self.envs = [make_envs(self.tasks_per_group * self.envs_per_task) for _ in range(num_groups)]
        stepped = [id(env) for envs in self.envs for env in getattr(envs, "environments", list)()]
        if len(set(stepped)) < len(stepped):
            raise UsageError("make_env returned the same environment twice; it must make a new one")
        horizon = self.envs[0].max_episode_steps
        if horizon is None:
            raise UsageError("the environments need a horizon: max_episode_steps is None")
        self.horizon = horizon
        self.goal_distribution = self.envs[0].goal_distribution
        self.budget = trajectories * horizon
        # Upper bound on locksteps: the budget divided over the environments, plus one horizon for trajectories still
        # running. The buffers are reused, since writing to memory that is new to the process takes longer.
        locksteps = self.budget // self.envs_per_task + horizon + 1
        self._buffers = [StepBuffer.empty(locksteps, envs) for envs in self.envs]

    def check_policy(self, policy: "Policy") -> None:
        """Compares a policy with the environments.

        Raises:
            UsageError: it takes observations of another size, or gives actions of another kind or size.
        """
        envs = self.envs[0]
        for name, size in zip(("observation_size", "action_size"), envs.sizes, strict=True):
            if getattr(policy, name) != size:
                raise UsageError(f"{name} of the policy is {getattr(policy, name)}; that of the environments is {size}")
        if policy.discrete_actions != envs.discrete_actions:
            kind, needed = "continuous", "GaussianPolicy"
            if envs.discrete_actions:
                kind, needed = "discrete", "CategoricalPolicy"
            raise UsageError(f"{type(policy).__name__} is not allowed: the actions are {kind}; expected a {needed}")

    def sample(self, actor: Actor, goals: np.ndarray | None, seed: int | Sequence[int]) -> Trajectories:
        """Samples every task's budget.

        Args:
            actor: of T policies; only its `tasks` and `act` are used.
            goals: one for each task [T, ...], or one for each environment [T, n, ...]. None: every trajectory draws a
                new one.
            seed: the same seed gives the same trajectories.

        Returns:
            [T, B, ...] with B = trajectories x horizon, or up to n x horizon more with `keep_first_finished`.

        Raises:
            UsageError: the goals have another shape.
            FloatingPointError: a policy gives no finite actions; the message names its task.
        """
        goals = self._goal_of_each_environment(goals)
        max_steps = self.budget
        if self.keep_first_finished:
            max_steps += self.envs_per_task * self.horizon
        trajectories = Trajectories.empty(self.num_tasks, max_steps, *self.envs[0].sizes)
        generators = np.random.default_rng(seed).spawn(self.first_group + self.num_groups)[self.first_group :]
        rule = _keep_first_finished if self.keep_first_finished else _keep_in_order_of_start

        def sample_part(part):
            tasks = part * self.tasks_per_group, (part + 1) * self.tasks_per_group
            _sample_into(
                trajectories.tasks(*tasks),
                self.envs[part],
                actor.tasks(*tasks),
                None if goals is None else goals[slice(*tasks)].reshape(-1, *goals.shape[2:]),
                generators[part],
                rule,
                self.budget,
                self._buffers[part],
            )

        with ThreadPoolExecutor(min(self.num_groups, max(2, available_cores()))) as threads:
            list(threads.map(sample_part, range(self.num_groups)))
        if not trajectories.mask[:, self.budget :].any():
            failures = trajectories.physics_failures
            return Trajectories(*(array[:, : self.budget] for array in trajectories[:-1]), physics_failures=failures)
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


def _sample_into(trajectories, envs, actor, goals, rng, rule, budget, buffer):
    """Fills `trajectories` [T, B, ...] from T * n environments by a `rule` such as `_keep_in_order_of_start`."""
    T = len(trajectories.mask)
    n = envs.num_envs // T
    index = TrajectoryIndex(T, n, budget + 2 * n)
    index.start(np.ones(envs.num_envs, bool), 0)
    observations, _ = envs.reset(seed=int(rng.integers(2**31)), options={"goal": goals})
    for lockstep in itertools.count():
        active = envs.active.copy()
        buffer.observations[lockstep] = observations
        seen = buffer.observations[lockstep].reshape(T, n, -1)
        buffer.actions[lockstep] = actor.act(seen, rng, active.reshape(T, n)).reshape(T * n, -1)
        observations, buffer.rewards[lockstep], terminated, truncated, info = envs.step(buffer.actions[lockstep])
        ended = terminated | truncated
        index.count_step(active, ended, info["physics_failure"])
        if not ended.any() and (lockstep + 1) * n < budget:
            continue  # nothing for the rule to decide
        numbers = slice(index.started.max())
        more_wanted, kept = rule(index.lengths[:, numbers], index.finished[:, numbers], budget)
        if not kept.all():
            envs.set_idle(~kept[index.task, index.current])
        again = ended & more_wanted[index.task]
        if again.any():
            index.start(again, lockstep + 1)
            observations, _ = envs.reset(options={"goal": goals, "reset_mask": again})
        if not envs.active.any():
            break
    index.concatenate(buffer, kept, trajectories)


def _keep_in_order_of_start(lengths, finished, budget):
    """Keeps what a single environment would give that takes `budget` steps and starts a new trajectory whenever one
    ends; its last trajectory is dropped if it is unfinished (PROTOCOL 3.5).

    With n environments, trajectories are numbered as they start. New ones are started until all of them hold `budget`
    steps, and the first ones that together fit into the budget are kept. As in the single environment, only their
    lengths in that order decide. Keeping those that happen to finish first would favour short ones.

    Args:
        lengths: int [T, R], time steps of each trajectory so far.
        finished: bool [T, R]
        budget: time steps of a task.

    Returns:
        (more_wanted, kept): whether a task needs new trajectories, bool [T]; whether a trajectory is kept or may still
        be, bool [T, R].
    """
    steps = lengths.cumsum(axis=1)
    return steps[:, -1] < budget, steps <= budget


def _keep_first_finished(lengths, finished, budget):
    """Keeps the trajectories that a task's environments finish first; see Sampler and `_keep_in_order_of_start`."""
    more_wanted = (lengths * finished).sum(axis=1) < budget
    return more_wanted, finished | more_wanted[:, np.newaxis]
