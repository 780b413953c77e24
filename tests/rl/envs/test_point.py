"""2D navigation against the facts of the authors' published trajectories and returns (PROTOCOL 4.1)."""

import numpy as np

from maml_tf.rl.envs.point import PointNavigation


def rollouts(envs, goals, policy, steps=100):
    """Positions [steps, N, 2], rewards [steps, N] and which environments still moved [steps, N]."""
    observations, _ = envs.reset(seed=0, options={"goal": goals})
    positions, rewards, moved = [], [], []
    while envs.active.any() and len(rewards) < steps:
        moved.append(envs.active.copy())
        observations, reward, *_ = envs.step(policy(observations))
        positions.append(observations)
        rewards.append(reward)
    return np.array(positions), np.array(rewards), np.array(moved)


def test_the_reward_is_the_negative_distance_after_the_move():
    rng = np.random.default_rng(0)
    envs = PointNavigation(50)
    goals = envs.goal_distribution.sample(rng, 50)
    positions, rewards, moved = rollouts(envs, goals, lambda x: rng.normal(size=x.shape))
    distances = np.sqrt(((positions - goals) ** 2).sum(axis=-1))
    np.testing.assert_allclose((rewards + distances)[moved], 0, atol=1e-15)
    assert len(rewards) == 100


def test_actions_are_clipped_and_scaled_to_a_tenth():
    envs = PointNavigation(1)
    envs.reset(options={"goal": [0.5, 0.5]})
    np.testing.assert_allclose(envs.step([[3.0, -0.5]])[0], [[0.1, -0.05]], atol=1e-16)
    np.testing.assert_allclose(envs.step([[-3.0, 0.25]])[0], [[0.0, -0.025]], atol=1e-16)


def test_success_is_a_box_of_a_hundredth_on_each_axis():
    offsets = np.array([[0.0095, 0.0095], [0.0105, 0.0], [0.0, -0.0105], [-0.0095, 0.0095]])
    envs = PointNavigation(4)
    envs.reset(options={"goal": offsets})
    _, _, terminated, truncated, _ = envs.step(np.zeros((4, 2)))
    np.testing.assert_array_equal(terminated, [True, False, False, True])
    assert not truncated.any()


def test_returns_of_a_policy_that_stays_fall_with_the_goals_norm_as_the_published_ones():
    """The authors' meta-trained policy hovers around the start before adaptation: slope -99.5, correlation -1.000."""
    rng = np.random.default_rng(0)
    envs = PointNavigation(40 * 40)
    goals = np.repeat(envs.goal_distribution.test_goals(), 40, axis=0)

    def hover(positions):
        return -5 * positions + 0.1 * rng.normal(size=positions.shape)

    _, rewards, _ = rollouts(envs, goals, hover)
    returns = rewards.sum(axis=0).reshape(40, 40).mean(axis=1)
    norms = np.linalg.norm(envs.goal_distribution.test_goals(), axis=1)
    slope = np.polyfit(norms, returns, 1)[0]
    assert -100.0 < slope < -98.5
    assert np.corrcoef(norms, returns)[0, 1] < -0.999
    assert abs(returns.mean() - -40.41) < 0.5
