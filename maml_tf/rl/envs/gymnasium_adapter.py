"""Any Gymnasium environment with a goal as a family of tasks."""

import gymnasium
import numpy as np

from maml_tf.errors import UsageError
from maml_tf.rl.envs.vector_env import Outcome, TaskVectorEnv


class GymnasiumTasks(TaskVectorEnv):
    """N copies of a user's own environment, stepped one after the other.

    Args:
        make_env: () -> gymnasium.Env with a Box of observations and a bounded Box of actions, which takes its goal by
            `reset(options={"goal": goal})`. Where it truncates, the trajectory ends there too.
        num_envs: N.
        goals: the GoalDistribution, such as `UniformGoals(0, 2)`.
        max_episode_steps: the horizon.
        reveal_task: append the goal to the observation.

    Raises:
        UsageError: the action space is no bounded Box.
    """

    def __init__(self, make_env, num_envs, goals, max_episode_steps, reveal_task=False):
        self.envs = [make_env() for _ in range(num_envs)]
        bounds = self.envs[0].action_space
        if not (isinstance(bounds, gymnasium.spaces.Box) and bounds.is_bounded()):
            raise UsageError(f"the action space is {bounds}; allowed: a Box with finite bounds")
        self._low, self._high = bounds.low.astype(np.float64), bounds.high.astype(np.float64)
        size = gymnasium.spaces.flatdim(self.envs[0].observation_space)
        super().__init__(num_envs, size, self._low.size, goals, max_episode_steps, reveal_task)

    def _start(self, ids):
        seeds = self.np_random.integers(2**31, size=len(ids))
        return np.array(
            [
                np.ravel(self.envs[i].reset(seed=int(seed), options={"goal": self.goals[i]})[0])
                for i, seed in zip(ids, seeds, strict=True)
            ]
        )

    def _advance(self, ids, actions):
        actions = self._low + (actions.reshape(-1, *self._low.shape) + 1) / 2 * (self._high - self._low)
        steps = [self.envs[i].step(action) for i, action in zip(ids, actions, strict=True)]
        observations, rewards, terminated, truncated, _ = zip(*steps, strict=True)
        observations = np.array([np.ravel(observation) for observation in observations], np.float64)
        rewards = np.array(rewards, np.float64)
        failed = ~(np.isfinite(observations).all(axis=1) & np.isfinite(rewards))
        return Outcome(observations, rewards, np.array(terminated) | np.array(truncated), failed)
