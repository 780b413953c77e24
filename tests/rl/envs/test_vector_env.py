"""Lockstep stepping, idling, resets by mask, goals, horizon and failures, on the point and on a failing stand-in."""

import gymnasium
import numpy as np
import pytest

from maml_tf.errors import UsageError
from maml_tf.rl.envs.goals import UniformGoals
from maml_tf.rl.envs.point import PointNavigation
from maml_tf.rl.envs.vector_env import Outcome, TaskVectorEnv


class Counter(TaskVectorEnv):
    """Observations count steps, the reward is the goal; environment i ends at `ends[i]`, breaks down at `fails[i]`."""

    def __init__(self, ends, fails, **settings):
        super().__init__(len(ends), 1, 1, UniformGoals(0.0, 1.0), max_episode_steps=4, **settings)
        self.ends, self.fails = np.array(ends), np.array(fails)
        self.count = np.zeros(len(ends))

    def _start(self, ids):
        self.count[ids] = 0
        return self.count[ids, None]

    def _advance(self, ids, actions):
        self.count[ids] += 1
        failed = self.count[ids] == self.fails[ids]
        observations = np.where(failed, np.nan, self.count[ids])[:, None]
        return Outcome(
            observations, np.where(failed, np.nan, self.goals[ids]), self.count[ids] == self.ends[ids], failed
        )


def test_rollouts_end_by_rule_by_horizon_and_by_failure_and_are_idle_then():
    envs = Counter(ends=[2, 9, 9], fails=[0, 0, 3])
    observations, info = envs.reset(options={"goal": [0.5, 1.0, 2.0]})
    assert info == {}
    np.testing.assert_array_equal(observations, np.zeros((3, 1)))
    rows = [envs.step(np.zeros((3, 1))) for _ in range(4)]
    np.testing.assert_array_equal([row[0][:, 0] for row in rows], [[1, 1, 1], [2, 2, 2], [2, 3, 2], [2, 4, 2]])
    np.testing.assert_array_equal([row[1] for row in rows], [[0.5, 1, 2], [0.5, 1, 2], [0, 1, 0], [0, 1, 0]])
    np.testing.assert_array_equal([row[2] for row in rows], [[0, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]])
    np.testing.assert_array_equal([row[3] for row in rows], [[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal([row[4]["physics_failure"] for row in rows][2], [0, 0, 1])
    assert envs.physics_failures == 1
    assert not envs.active.any()
    with pytest.raises(gymnasium.error.ResetNeeded):
        envs.step(np.zeros((3, 1)))


def test_a_mask_resets_some_and_leaves_the_others_and_their_goals():
    envs = Counter(ends=[9, 9], fails=[0, 0])
    envs.reset(options={"goal": [0.25, 0.75]})
    envs.step(np.zeros((2, 1)))
    observations, _ = envs.reset(options={"reset_mask": np.array([False, True]), "goal": [5.0, 6.0]})
    np.testing.assert_array_equal(observations[:, 0], [1, 0])
    np.testing.assert_array_equal(envs.step(np.zeros((2, 1)))[1], [0.25, 6.0])


def test_without_a_goal_every_reset_draws_a_new_one():
    envs = Counter(ends=[9, 9], fails=[0, 0])
    envs.reset(seed=3)
    first = envs.goals.copy()
    envs.reset()
    assert (envs.goals != first).all()
    envs.reset(seed=3)
    np.testing.assert_array_equal(envs.goals, first)


def test_idle_ones_are_not_stepped():
    envs = Counter(ends=[9, 9], fails=[0, 0])
    envs.reset()
    envs.set_idle(np.array([True, False]))
    envs.step(np.zeros((2, 1)))
    np.testing.assert_array_equal(envs.count, [0, 1])


def test_the_oracle_sees_the_goal():
    envs = PointNavigation(2, reveal_task=True)
    goals = [[0.1, 0.2], [0.3, -0.4]]
    observations, _ = envs.reset(options={"goal": goals})
    np.testing.assert_array_equal(observations, np.hstack([np.zeros((2, 2)), goals]))
    observations, *_ = envs.step(np.ones((2, 2)))
    np.testing.assert_array_equal(observations, np.hstack([np.full((2, 2), 0.1), goals]))
    assert observations in envs.observation_space


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"goals": 1.0}, "unknown reset option 'goals'; allowed: goal, reset_mask"),
        ({"reset_mask": np.array([1, 0])}, r"reset_mask must be bool of shape \(2,\), not int64 of \(2,\)"),
        ({"goal": np.zeros(3)}, r"goal has shape \(3,\)"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        Counter(ends=[9, 9], fails=[0, 0]).reset(options=options)


def test_actions_of_a_wrong_shape_are_an_error():
    envs = PointNavigation(3)
    envs.reset()
    with pytest.raises(UsageError, match=r"shape \(3, 1\); expected \(3, 2\)"):
        envs.step(np.zeros((3, 1)))
