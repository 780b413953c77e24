"""A user's own Gymnasium environment as a family of tasks."""

import gymnasium
import numpy as np
import pytest

from maml_tf.errors import UsageError
from maml_tf.rl.envs.goals import UniformGoals
from maml_tf.rl.envs.gymnasium_adapter import GymnasiumTasks


class Thermostat(gymnasium.Env):
    """Heat between 0 and 4 degrees a step towards a goal temperature; reaching it ends the episode, freezing breaks."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1, 1))
    action_space = gymnasium.spaces.Box(0.0, 4.0, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.goal = options["goal"]
        self.temperature = self.np_random.uniform()
        return np.array([[self.temperature]]), {}

    def step(self, action):
        self.temperature += action[0] if self.goal >= 0 else np.nan
        distance = abs(self.goal - self.temperature)
        return np.array([[self.temperature]]), -distance, bool(distance < 2), False, {}


def test_goals_actions_ends_and_failures_reach_the_environment_and_come_back():
    envs = GymnasiumTasks(Thermostat, 3, UniformGoals(0.0, 20.0), max_episode_steps=3)
    start, _ = envs.reset(seed=0, options={"goal": [4.0, 20.0, -1.0]})
    observations, rewards, terminated, truncated, info = envs.step(np.array([[0.5], [-1.0], [7.0]]))
    np.testing.assert_allclose(observations[:, 0], start[:, 0] + [3.0, 0.0, 0.0])
    np.testing.assert_allclose(rewards, [-abs(1 - start[0, 0]), -(20 - start[1, 0]), 0.0])
    np.testing.assert_array_equal(terminated, [True, False, True])
    np.testing.assert_array_equal(info["physics_failure"], [False, False, True])
    envs.step(np.zeros((3, 1)))
    *_, truncated, _ = envs.step(np.zeros((3, 1)))
    np.testing.assert_array_equal(truncated, [False, True, False])
    again, _ = envs.reset(seed=0, options={"goal": 1.0})
    np.testing.assert_array_equal(again, start)


def test_only_bounded_actions_are_taken():
    with pytest.raises(UsageError, match=r"action space is Discrete\(2\); allowed: a Box with finite bounds"):
        GymnasiumTasks(lambda: gymnasium.make("CartPole-v1"), 1, UniformGoals(0, 1), max_episode_steps=5)
