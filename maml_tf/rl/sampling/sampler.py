"""Samples the trajectories of many tasks in lockstep."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from maml_tf.errors import UsageError
from maml_tf.rl.sampling.trajectories import Trajectories


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
        horizon = self.envs[0].max_episode_steps
        self.budget = trajectories * horizon
        # No more locksteps can be: every environment is at work until the budget is there (with `finished_first` so
        # long that what is under way, less than a horizon each, adds to it); what was started last may run to its end.
        # The room is kept from one sampling to the next: memory that is new to a process costs more than writing to it.
        locksteps = self.budget // self.envs_per_task + horizon + 1
        self._logs = [_Log.empty(locksteps, envs) for envs in self.envs]

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
            _sample_into(part_of_all, envs, actor.tasks(*tasks), part_goals, rng, rule, self.budget, self._logs[part])

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


class _Log(NamedTuple):
    """What E environments did in up to L locksteps; what is written for those that rest means nothing."""

    observations: np.ndarray  # float32 [L, E, O]
    actions: np.ndarray  # float32 [L, E, A]
    rewards: np.ndarray  # float64 [L, E]

    @classmethod
    def empty(cls, locksteps, envs):
        """Room for `locksteps` of `envs`."""
        sizes = envs.single_observation_space.shape[0], envs.single_action_space.shape[0]
        observations, actions = (np.empty((locksteps, envs.num_envs, size), np.float32) for size in sizes)
        return cls(observations, actions, np.empty((locksteps, envs.num_envs)))


class _Ledger:
    """Which trajectories there are: [T, R] arrays, numbered within their task as they start, of room for R.

    Attributes:
        lengths: int, so far.
        finished: bool.
        failed: bool, ended by a breakdown of the physics.
        environments: int, which one each is in.
        first_locksteps: int, the one of its first step.
        started: int [T], how many there are.
    """

    def __init__(self, num_tasks, envs_per_task, room):
        shape = (num_tasks, room)
        self.lengths, self.environments, self.first_locksteps = np.zeros((3, *shape), np.int64)
        self.finished, self.failed = np.zeros((2, *shape), bool)
        self.started = np.zeros(num_tasks, np.int64)
        self.task = np.repeat(np.arange(num_tasks), envs_per_task)
        self.current = np.zeros(len(self.task), np.int64)  # the number of what each environment is on

    def start(self, which, lockstep):
        """Starts a trajectory in the environments `which`, bool [E]; its first step is taken in `lockstep`."""
        by_task = which.reshape(len(self.started), -1)
        self.current[which] = (self.started[:, np.newaxis] + by_task.cumsum(axis=1) - 1)[by_task]
        self.started += by_task.sum(axis=1)
        at = self.task[which], self.current[which]
        self.environments[at] = np.flatnonzero(which)
        self.first_locksteps[at] = lockstep

    def count_step(self, live, ended, failed):
        """Counts a step of the environments that were `live`, and which of them it `ended` or `failed`: bool [E]."""
        self.lengths[self.task[live], self.current[live]] += 1
        self.finished[self.task[ended], self.current[ended]] = True
        self.failed[self.task[failed], self.current[failed]] = True


def _sample_into(trajectories, envs, actor, goals, rng, rule, budget, log):
    """Fills `trajectories` [T, B, ...] from T * n environments, as `rule` says (see `_in_order_of_starting`), by way of
    the `log`.
    """
    T = len(trajectories.mask)
    n = envs.num_envs // T
    ledger = _Ledger(T, n, budget + 2 * n)
    ledger.start(np.ones(envs.num_envs, bool), 0)
    observations, _ = envs.reset(seed=int(rng.integers(2**31)), options={"goal": goals})
    for lockstep in itertools.count():
        live = envs.active.copy()
        log.observations[lockstep] = observations
        seen = log.observations[lockstep].reshape(T, n, -1)
        log.actions[lockstep] = actor.act(seen, rng, live.reshape(T, n)).reshape(T * n, -1)
        observations, log.rewards[lockstep], terminated, truncated, info = envs.step(log.actions[lockstep])
        ended = terminated | truncated
        ledger.count_step(live, ended, info["physics_failure"])
        if not ended.any() and (lockstep + 1) * n < budget:
            continue  # nothing for the rule to decide
        numbers = slice(ledger.started.max())
        more_wanted, kept = rule(ledger.lengths[:, numbers], ledger.finished[:, numbers], budget)
        if not kept.all():
            envs.set_idle(~kept[ledger.task, ledger.current])
        again = ended & more_wanted[ledger.task]
        if again.any():
            ledger.start(again, lockstep + 1)
            observations, _ = envs.reset(options={"goal": goals, "reset_mask": again})
        if not envs.active.any():
            break
    _lay_end_to_end(log, ledger, kept, trajectories)


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


def _lay_end_to_end(log, ledger, kept, trajectories):
    """Writes the trajectories that are `kept`, bool [T, any number], into `trajectories`, task by task."""
    for task, numbers in enumerate(map(np.flatnonzero, kept)):
        numbers = numbers[ledger.lengths[task, numbers] > 0]
        lengths = ledger.lengths[task, numbers]
        ends = lengths.cumsum()
        here = slice(lengths.sum())
        steps = np.arange(here.stop) - np.repeat(ends - lengths, lengths)
        at = (
            np.repeat(ledger.first_locksteps[task, numbers], lengths) + steps,
            np.repeat(ledger.environments[task, numbers], lengths),
        )
        trajectories.observations[task, here] = log.observations[at]
        trajectories.actions[task, here] = log.actions[at]
        trajectories.rewards[task, here] = log.rewards[at]
        trajectories.steps[task, here] = steps
        trajectories.last[task, ends - 1] = True
        trajectories.mask[task, here] = True
        trajectories.physics_failures[task] = ledger.failed[task, numbers].sum()
