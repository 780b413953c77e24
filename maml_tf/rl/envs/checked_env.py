"""One user's environment: its returns are checked against its spaces and Gymnasium's interface, and become vectors."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np

from maml_tf.errors import UsageError
from maml_tf.rl.envs.spaces import action_size, flat_bounds, flat_size, flattened, to_action

HOW_A_GOAL_ARRIVES = (
    "a task's goal arrives as reset(options={'goal': goal}); for an environment that takes it in another way, pass "
    "set_goal=lambda env, goal: ..."
)


class CheckedEnv:
    """An environment of Gymnasium's interface with vectors for observations and actions.

    Args:
        env: with observations and actions that `maml_tf.rl.envs.spaces` can turn into vectors.
        set_goal: (env, goal) -> None, called before each reset. None: the goal is passed as `options={"goal": goal}`.

    Raises:
        UsageError: it is no Gymnasium environment, or a space is not supported; the message names the environment.
    """

    def __init__(self, env: gymnasium.Env, set_goal: Callable[[gymnasium.Env, Any], None] | None = None):
        if not isinstance(env, gymnasium.Env):
            raise UsageError(f"make_env returned a {type(env).__name__}; expected a gymnasium.Env")
        self.env = env
        self.name = _name_of(env)
        for space in ("observation_space", "action_space"):
            if not isinstance(getattr(env, space, None), gymnasium.Space):
                raise self._error(f"{space} is {getattr(env, space, None)!r}; expected a gymnasium.Space")
        try:
            self.observation_size = flat_size(env.observation_space)
            self.action_size = action_size(env.action_space)
        except UsageError as error:
            raise self._error(str(error)) from None
        self._bounds = flat_bounds(env.observation_space)
        self.discrete_actions = isinstance(env.action_space, gymnasium.spaces.Discrete)
        self._set_goal = set_goal
        self._options = WatchedOptions({})
        self._warned = False

    def reset(self, seed: int, goal: np.ndarray) -> np.ndarray:
        """Starts a rollout of the task `goal`; the observation float64 [observation_size].

        Raises:
            UsageError: reset does not take `options`, or what it returns is not allowed.
        """
        arguments: dict[str, Any] = {"seed": seed}
        if self._set_goal is None:
            self._options = arguments["options"] = WatchedOptions({"goal": goal})
        else:
            self._set_goal(self.env, goal)
        try:
            returned = self.env.reset(**arguments)
        except TypeError as error:
            for argument in ("options", "seed"):
                if f"unexpected keyword argument '{argument}'" in str(error):
                    hint = HOW_A_GOAL_ARRIVES if argument == "options" else "Gymnasium's is reset(*, seed, options)"
                    raise self._error(f"reset does not take {argument}: {hint}") from error
            raise
        if not (isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], Mapping)):
            raise self._error(
                f"reset returned {_kind(returned)}; expected (observation, info) with a dictionary of infos"
            )
        observation = self._observation(returned[0], "the observation of reset")
        if not np.isfinite(observation).all():
            raise self._error(f"the observation of reset is not finite: {observation}")
        return observation

    def step(self, vector: np.ndarray) -> tuple[np.ndarray, float, bool]:
        """Takes one step with a policy's action vector.

        Returns:
            (observation float64 [observation_size], reward, whether the rollout ended).

        Raises:
            UsageError: what the environment returns is not allowed.
        """
        try:
            action = to_action(self.env.action_space, vector)
        except UsageError as error:
            raise self._error(str(error)) from None
        returned = self.env.step(action)
        if not isinstance(returned, tuple) or len(returned) != 5:
            raise self._error(
                f"step returned {_kind(returned)}; expected (observation, reward, terminated, truncated, info)"
            )
        observation, reward, *ends, _ = returned
        observation = self._observation(observation, "the observation of step")
        for end, name in zip(ends, ("terminated", "truncated"), strict=True):
            if not isinstance(end, bool | np.bool_) and not (isinstance(end, np.ndarray) and end.dtype == bool):
                raise self._error(f"{name} is {end!r}; expected True or False")
            if np.size(end) != 1:
                raise self._error(f"{name} has shape {np.shape(end)}; expected one value")
        return observation, self._number(reward, "the reward"), any(bool(end) for end in ends)

    @property
    def goal_was_read(self) -> bool:
        """Whether the environment has looked at the goal of its rollout; always True with `set_goal`."""
        return self._set_goal is not None or self._options.goal_was_read

    def close(self) -> None:
        """Closes the environment."""
        self.env.close()

    def _observation(self, value, name):
        try:
            flat = flattened(self.env.observation_space, value, name)
        except UsageError as error:
            raise self._error(str(error)) from None
        low, high = self._bounds
        if not self._warned and ((flat < low) | (flat > high)).any():
            self._warned = True
            warnings.warn(f"{self.name}: {name} is outside the bounds of {self.env.observation_space}", stacklevel=2)
        return flat

    def _number(self, value, name):
        array = np.asarray(value)
        if array.size != 1 or not (np.issubdtype(array.dtype, np.number) or array.dtype == bool):
            raise self._error(f"{name} is {value!r}; expected one number")
        return float(array.reshape(()))

    def _error(self, text):
        return UsageError(f"{self.name}: {text}")


class WatchedOptions(dict):
    """The options of a reset; notes whether the goal in them was looked at, by its key or with all items."""

    goal_was_read = False

    def __getitem__(self, key):
        self.goal_was_read |= key == "goal"
        return super().__getitem__(key)

    def get(self, key, default=None):
        self.goal_was_read |= key == "goal"
        return super().get(key, default)

    def pop(self, key, *default):
        self.goal_was_read |= key == "goal"
        return super().pop(key, *default)

    def setdefault(self, key, default=None):
        self.goal_was_read |= key == "goal"
        return super().setdefault(key, default)

    def __or__(self, other):
        self.goal_was_read = True
        return dict(self) | other

    def __iter__(self):
        self.goal_was_read = True
        return super().__iter__()

    def keys(self):
        self.goal_was_read = True
        return super().keys()

    def values(self):
        self.goal_was_read = True
        return super().values()

    def items(self):
        self.goal_was_read = True
        return super().items()

    def copy(self):
        self.goal_was_read = True
        return dict(self)


def _name_of(env):
    return env.spec.id if env.spec is not None else type(env.unwrapped).__name__


def _kind(value):
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return f"a {type(value).__name__}" + (f" of shape {value.shape}" if isinstance(value, np.ndarray) else "")
