"""Many environments of one family, each with its own goal, stepped in lockstep."""

import abc
from typing import NamedTuple

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from maml_tf.errors import UsageError
from maml_tf.rl.envs.goals import GoalDistribution

RESET_OPTIONS = ("goal", "reset_mask")


class Outcome(NamedTuple):
    """The outcome of one step of k environments.

    Attributes:
        observations: float64 [k, ...], after the step, without the goal.
        rewards: float64 [k]
        terminated: bool [k], the environment's own rule ended the rollout.
        failed: bool [k], the physics broke down; the other values of that row are ignored.
    """

    observations: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    failed: np.ndarray


class TaskVectorEnv(gymnasium.vector.VectorEnv, abc.ABC):
    """Gymnasium's `VectorEnv` for N environments that differ in their goal (Gymnasium's autoreset is disabled).

    `reset(options={"goal": goals})` gives every environment its goal, [N, ...] or one for all. Without goals each
    environment draws a new one from the training distribution. `options={"reset_mask": mask}` resets only the
    environments of a bool mask [N].

    An environment whose rollout has ended is idle until it is reset: it is not simulated, its observation stays, its
    reward is 0. The attribute `active`, bool [N], is False for idle environments.

    Actions are in normalised units. They are clipped to [-1, 1] and scaled to the environment's bounds here (PROTOCOL
    3.1), so a policy may draw actions outside.

    If the physics breaks down (a value is not finite, or huge), only that rollout ends: the environment terminates with
    reward 0 and its last good observation. `info["physics_failure"]` marks it, and `physics_failures` counts it.

    A subclass implements `_start` and `_advance`.

    Args:
        num_envs: N.
        observation_size: length of an observation, without the goal.
        action_size: length of an action.
        goals: how goals are drawn.
        max_episode_steps: the horizon, after which a rollout is truncated; None: never.
        reveal_task: append the goal to the observation, for the oracle (PROTOCOL 3.7).
        discrete_actions: there are `action_size` actions to choose from; an action is a one-hot vector.

    Raises:
        UsageError: `goals` is no GoalDistribution.
    """

    metadata = {"autoreset_mode": AutoresetMode.DISABLED, "render_modes": []}  # noqa: RUF012 (Gymnasium's form)

    def __init__(
        self,
        num_envs: int,
        observation_size: int,
        action_size: int,
        goals: GoalDistribution,
        max_episode_steps: int | None,
        reveal_task: bool = False,
        discrete_actions: bool = False,
    ):
        if not isinstance(goals, GoalDistribution):
            raise UsageError(
                f"goals: {goals!r} is not allowed; expected a GoalDistribution, such as UniformGoals(0, 2)"
            )
        self.num_envs = num_envs
        self.goal_distribution = goals
        self.max_episode_steps = max_episode_steps
        self.reveal_task = reveal_task
        self.discrete_actions = discrete_actions
        self.goals = np.full((num_envs, *goals.shape), np.nan)
        self.active = np.zeros(num_envs, bool)
        self.physics_failures = 0
        self._elapsed = np.zeros(num_envs, int)
        self._observation_size, self._action_size = observation_size, action_size
        size = observation_size + (self._flat_goals([0]).shape[1] if reveal_task else 0)
        self._observations = np.zeros((num_envs, size))
        self.single_observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float64)
        self.single_action_space = gymnasium.spaces.Box(-1.0, 1.0, (action_size,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    @property
    def sizes(self) -> tuple[int, int]:
        """(numbers of one observation, with the goal where it is revealed; numbers of one action)."""
        return self._observations.shape[1], self._action_size

    @abc.abstractmethod
    def _start(self, ids: np.ndarray) -> np.ndarray:
        """Puts the environments `ids` [k] into start states drawn with `np_random`; returns observations [k, ...]."""

    @abc.abstractmethod
    def _advance(self, ids: np.ndarray, actions: np.ndarray) -> Outcome:
        """Takes one step in the environments `ids` [k] with actions [k, A] in [-1, 1]."""

    def reset(self, *, seed=None, options=None):
        """Starts new rollouts (see the class).

        Returns:
            Observations [N, ...] and an empty info.

        Raises:
            UsageError: an unknown option, or a goal or mask of the wrong shape.
        """
        super().reset(seed=seed)
        options = options or {}
        for key in options:
            if key not in RESET_OPTIONS:
                raise UsageError(f"unknown reset option {key!r}; allowed: {', '.join(RESET_OPTIONS)}")
        mask = np.asarray(options.get("reset_mask", np.ones(self.num_envs, bool)))
        if mask.shape != (self.num_envs,) or mask.dtype != bool:
            raise UsageError(f"reset_mask must be bool of shape ({self.num_envs},), not {mask.dtype} of {mask.shape}")
        ids = np.flatnonzero(mask)
        if options.get("goal") is None:
            self.goals[ids] = self.goal_distribution.checked(
                self.goal_distribution.sample(self.np_random, len(ids)), len(ids)
            )
        else:
            self.goals[ids] = self.goal_distribution.checked(options["goal"], self.num_envs)[ids]
        self.active[ids] = True
        self._elapsed[ids] = 0
        self._remember(self._rows_of(ids), self._start(ids))
        return self._observations.copy(), {}

    def step(self, actions):
        """Takes one step in every active environment.

        Args:
            actions: [N, A] in normalised units; those of idle environments are ignored.

        Returns:
            observations [N, ...], rewards [N], terminations [N], truncations [N] (of this step only), info.

        Raises:
            gymnasium.error.ResetNeeded: every environment is idle.
            UsageError: actions of the wrong shape.
        """
        actions = np.asarray(actions, np.float64)
        if actions.shape != self.action_space.shape:
            raise UsageError(f"actions have shape {actions.shape}; expected {self.action_space.shape}")
        ids = np.flatnonzero(self.active)
        if not ids.size:
            raise gymnasium.error.ResetNeeded("every environment is idle: call reset first")
        rows = self._rows_of(ids)
        outcome = self._advance(ids, np.clip(actions[rows], -1.0, 1.0))
        good = rows
        rewards, terminations, truncations, failures = np.zeros(self.num_envs), *np.zeros((3, self.num_envs), bool)
        if outcome.failed.any():
            outcome = outcome._replace(
                observations=outcome.observations[~outcome.failed],
                rewards=np.where(outcome.failed, 0.0, outcome.rewards),
                terminated=outcome.terminated | outcome.failed,
            )
            good = ids[~outcome.failed]
            failures[ids] = outcome.failed
            self.physics_failures += len(ids) - len(good)
        self._remember(good, outcome.observations)
        self._elapsed[rows] += 1
        rewards[rows] = outcome.rewards
        terminations[rows] = outcome.terminated
        if self.max_episode_steps is not None:
            truncations[rows] = ~outcome.terminated & (self._elapsed[rows] >= self.max_episode_steps)
        self.active &= ~(terminations | truncations)
        return self._observations.copy(), rewards, terminations, truncations, {"physics_failure": failures}

    def set_idle(self, mask: np.ndarray) -> None:
        """Makes the environments of a bool mask [N] idle until they are reset: their rollouts are not needed."""
        self.active &= ~mask

    def _rows_of(self, ids):
        """The index of the environments `ids` (ascending): a slice for all of them, since slicing copies nothing."""
        return slice(None) if len(ids) == self.num_envs else ids

    def _remember(self, rows, observations):
        size = observations.shape[1]
        self._observations[rows, :size] = observations
        if self.reveal_task:
            self._observations[rows, size:] = self._flat_goals(rows)

    def _flat_goals(self, rows):
        goals = self.goals[rows]
        return goals.reshape(len(goals), -1)
