"""Groups of users' environments, in this process or each in its own process."""

import contextlib
import multiprocessing
import multiprocessing.connection
import signal
from collections.abc import Callable
from typing import Any, NamedTuple

import cloudpickle
import gymnasium
import numpy as np

from maml_tf.errors import UsageError
from maml_tf.rl.envs.checked_env import CheckedEnv

MakeEnv = Callable[[], gymnasium.Env]
SetGoal = Callable[[gymnasium.Env, Any], None]


class GroupInfo(NamedTuple):
    """What all environments of a group must agree on."""

    name: str
    observation_space: gymnasium.Space
    action_space: gymnasium.Space
    observation_size: int
    action_size: int
    discrete_actions: bool


class EnvGroup:
    """Environments that are stepped one after the other.

    `call` and `result` are the interface that WorkerGroup has too: a call of a method, then what it gave. The first
    result, before any call, is the GroupInfo.

    Args:
        make_env: makes one environment.
        num_envs: how many.
        set_goal: see CheckedEnv.

    Raises:
        UsageError: an environment is not supported, or two of them are the same object or have different spaces.
    """

    def __init__(self, make_env: MakeEnv, num_envs: int, set_goal: SetGoal | None = None):
        envs = [make_env() for _ in range(num_envs)]
        self.envs = [CheckedEnv(env, set_goal) for env in envs]
        first = self.envs[0]
        if len({id(env.unwrapped) for env in envs}) < num_envs:
            raise UsageError(f"{first.name}: make_env returned the same environment twice; it must make a new one")
        for env in self.envs:
            for space in ("observation_space", "action_space"):
                one, other = getattr(first.env, space), getattr(env.env, space)
                if one != other:
                    raise UsageError(f"{first.name}: make_env made environments of different {space}: {one}, {other}")
        spaces = first.env.observation_space, first.env.action_space
        sizes = first.observation_size, first.action_size, first.discrete_actions
        self._result = GroupInfo(first.name, *spaces, *sizes)

    def call(self, method: str, *arguments) -> None:
        """Calls `start` or `advance`."""
        self._result = getattr(self, method)(*arguments)

    def result(self) -> Any:
        """What the last call returned."""
        return self._result

    def start(self, ids: np.ndarray, seeds: np.ndarray, goals: np.ndarray) -> np.ndarray:
        """Resets the environments `ids` [k] to tasks with these goals [k, ...]; observations float64 [k, O]."""
        return np.array([self.envs[i].reset(int(seed), goal) for i, seed, goal in zip(ids, seeds, goals, strict=True)])

    def advance(self, ids: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
        """Takes a step in the environments `ids` [k] with actions [k, A].

        Returns:
            (observations float64 [k, O], rewards [k], whether the rollout ended bool [k], whether every environment has
            looked at its goal).
        """
        steps = [self.envs[i].step(action) for i, action in zip(ids, actions, strict=True)]
        observations, rewards, ended = (np.array(values) for values in zip(*steps, strict=True))
        return observations, rewards, ended, all(self.envs[i].goal_was_read for i in ids)

    def close(self) -> None:
        """Closes the environments."""
        for env in self.envs:
            env.close()


class WorkerGroup:
    """An EnvGroup in another process. `call` returns at once, `result` waits.

    The process is spawned, so a script that makes one must be importable: `if __name__ == "__main__":` around what it
    runs. Functions are sent with cloudpickle, so lambdas and local classes are allowed.
    """

    def __init__(self, make_env: MakeEnv, num_envs: int, set_goal: SetGoal | None = None):
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        arguments = cloudpickle.dumps((make_env, num_envs, set_goal))
        self._process = context.Process(target=_serve, args=(other, arguments), daemon=True)
        self._process.start()
        self._started = False
        other.close()

    def call(self, method: str, *arguments) -> None:
        """Starts `start` or `advance` of the EnvGroup."""
        with contextlib.suppress(ConnectionError):  # the process has ended: `result` says so
            self._pipe.send((method, *arguments))

    def result(self) -> Any:
        """What the last call returned, or raised.

        Raises:
            UsageError: the process has ended.
        """
        try:
            raised, value = self._pipe.recv()
        except (EOFError, ConnectionError):
            hint = "" if self._started else "; a script needs `if __name__ == '__main__':` around what it runs"
            raise UsageError(f"a process of environments ended with exit code {self._exit_code()}{hint}") from None
        self._started = True
        if raised:
            raise value
        return value

    def close(self) -> None:
        """Ends the process."""
        with contextlib.suppress(OSError):
            self._pipe.send(None)
        self._pipe.close()
        self._process.join()

    def _exit_code(self):
        self._process.join()
        return self._process.exitcode


def _serve(pipe: multiprocessing.connection.Connection, arguments: bytes) -> None:
    """The process of a WorkerGroup: answers (whether it raised, the value) to every call until it is told to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the process that asks, which then ends this one
    group, call = None, ()
    while call is not None:
        try:
            if group is None:
                group = EnvGroup(*cloudpickle.loads(arguments))
            else:
                group.call(*call)
            pipe.send((False, group.result()))
        except Exception as error:  # all that a user's environment may raise
            pipe.send((True, _picklable(error)))
        try:
            call = pipe.recv()
        except EOFError:  # the process that asked is gone
            call = None
    if group is not None:
        group.close()


def _picklable(error):
    """The error itself for those that the library raises; others as a text, since their classes may not pickle."""
    if type(error) in (UsageError, FloatingPointError):
        return error
    return RuntimeError(f"an environment raised {type(error).__name__}: {error}")
