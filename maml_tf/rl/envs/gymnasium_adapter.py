"""Any Gymnasium environment with a goal as a family of tasks."""

import warnings

import numpy as np

from maml_tf.errors import UsageError
from maml_tf.rl.envs.checked_env import HOW_A_GOAL_ARRIVES
from maml_tf.rl.envs.env_workers import EnvGroup, MakeEnv, SetGoal, WorkerGroup
from maml_tf.rl.envs.goals import GoalDistribution
from maml_tf.rl.envs.vector_env import Outcome, TaskVectorEnv


class GymnasiumTasks(TaskVectorEnv):
    """N copies of a user's environment.

    Observations are flattened as `gymnasium.spaces.flatten` does: the policy sees one-hot vectors for discrete ones.
    For a Box of actions a policy acts in normalised units, which are scaled to the bounds. For Discrete actions it
    needs a `CategoricalPolicy`. Everything that an environment returns is checked against its spaces.

    Args:
        make_env: makes a new environment on every call. Allowed are observations of Box, Discrete, MultiDiscrete,
            MultiBinary, Dict and Tuple spaces, and actions of a Box with finite bounds or Discrete.
        num_envs: N.
        goals: the GoalDistribution, such as `UniformGoals(0, 2)`.
        max_episode_steps: the horizon. A trajectory ends earlier if the environment terminates or truncates it.
        reveal_task: append the goal to the observation.
        set_goal: (env, goal) -> None, called before each reset. By default the goal is passed as
            `reset(options={"goal": goal})`.
        num_workers: processes that step the environments. A Sampler makes one or two GymnasiumTasks, each with this
            many. 0: the environments are stepped one after the other in this process, which is faster if a step takes
            microseconds. The results are the same.

    Raises:
        UsageError: an environment or an argument is not allowed; the message names environment, space and value.
    """

    def __init__(
        self,
        make_env: MakeEnv,
        num_envs: int,
        goals: GoalDistribution,
        max_episode_steps: int,
        reveal_task: bool = False,
        set_goal: SetGoal | None = None,
        num_workers: int = 0,
    ):
        if num_envs < 1 or num_workers < 0:
            raise UsageError(f"num_envs, num_workers: {num_envs}, {num_workers} are not allowed; expected from 1 and 0")
        group_class = WorkerGroup if num_workers else EnvGroup
        self._groups, self._group_of, self._place = [], *np.empty((2, num_envs), int)
        for index, members in enumerate(np.array_split(np.arange(num_envs), min(max(num_workers, 1), num_envs))):
            self._group_of[members], self._place[members] = index, np.arange(len(members))
            self._groups.append(group_class(make_env, len(members), set_goal))
        infos = [group.result() for group in self._groups]
        if any(info != infos[0] for info in infos):
            raise UsageError(f"{infos[0].name}: make_env made environments of different spaces")
        self.name = infos[0].name
        self._warned = False
        super().__init__(
            num_envs,
            infos[0].observation_size,
            infos[0].action_size,
            goals,
            max_episode_steps,
            reveal_task,
            discrete_actions=infos[0].discrete_actions,
        )

    def _start(self, ids):
        observations = np.empty((len(ids), self._observation_size))
        seeds = self.np_random.integers(2**31, size=len(ids))
        for rows, found in self._call("start", ids, seeds, self.goals[ids]):
            observations[rows] = found
        return observations

    def _advance(self, ids, actions):
        observations = np.empty((len(ids), self._observation_size))
        rewards, ended, goals_were_read = np.empty(len(ids)), np.empty(len(ids), bool), True
        for rows, found in self._call("advance", ids, actions):
            observations[rows], rewards[rows], ended[rows], were_read = found
            goals_were_read &= were_read
        if not (goals_were_read or self._warned):
            self._warned = True
            warnings.warn(
                f"{self.name}: nothing has read the goal, so every task is the same; {HOW_A_GOAL_ARRIVES}", stacklevel=2
            )
        failed = np.asarray(~np.isfinite(observations).all(axis=1))
        wrong = ~failed & ~np.isfinite(rewards)
        if wrong.any():
            raise FloatingPointError(f"{self.name}: the reward is {rewards[wrong][0]}, after a finite observation")
        return Outcome(observations, rewards, ended, failed)

    def _call(self, method, ids, *arguments):
        """Calls a method of every group that has some of the environments `ids`, with their part of the arguments.

        Returns:
            [(rows of `ids`, what the group returned), ...]
        """
        called = []
        for index, group in enumerate(self._groups):
            rows = np.flatnonzero(self._group_of[ids] == index)
            if rows.size:
                group.call(method, self._place[ids[rows]], *(argument[rows] for argument in arguments))
                called.append((rows, group))
        results, errors = [], []
        for rows, group in called:  # every result is fetched, so that none is left over for the next call
            try:
                results.append((rows, group.result()))
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return results

    def environments(self) -> list:
        """The environments that this process steps, without their wrappers."""
        return [env.env.unwrapped for group in self._groups for env in getattr(group, "envs", ())]

    def close_extras(self, **kwargs):
        """Closes the environments and ends their processes."""
        for group in self._groups:
            group.close()
