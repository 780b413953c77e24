"""Whole meta-iterations on a small 2D navigation."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.rl import maml_trpo
from maml_tf.rl.envs.point import PointNavigation
from maml_tf.rl.maml_trpo import MAMLTRPO
from maml_tf.rl.policy import GaussianPolicy
from maml_tf.rl.sampling.sampler import Sampler
from maml_tf.rl.trpo import TrustRegion

TASKS, TRAJECTORIES, HORIZON = 4, 3, 20


def learner(num_steps=1, **region):
    keras.utils.set_random_seed(0)
    return MAMLTRPO(GaussianPolicy(2, 2, (8, 8)), 0.5, TrustRegion(**region), num_steps)


@pytest.fixture(scope="module")
def sampler():
    return Sampler(functools.partial(PointNavigation, max_episode_steps=HORIZON), TASKS, TRAJECTORIES)


@pytest.fixture(scope="module")
def goals():
    return PointNavigation.goal_distribution.sample(np.random.default_rng(0), TASKS)


@pytest.mark.parametrize("num_steps", [0, 1, 2])
@pytest.mark.parametrize("finite_differences", [False, True])
def test_an_iteration_lowers_the_loss_within_the_divergence(sampler, goals, num_steps, finite_differences):
    maml = learner(num_steps, finite_differences=finite_differences)
    theta = maml.initial_parameters()
    iteration = maml.iteration(theta, sampler, goals, np.random.default_rng(1))
    assert iteration.step.accepted
    assert iteration.step.loss_before == pytest.approx(0, abs=1e-6)  # ratio 1, advantages of mean 0
    assert iteration.step.loss_after < -1e-4
    assert 1e-5 < iteration.step.kl <= 0.01
    assert len(iteration.returns) == num_steps + 1
    assert iteration.physics_failures == 0
    assert (iteration.theta != theta).any()
    np.testing.assert_array_equal(maml.initial_parameters(), theta)  # nothing is assigned to the policy


def test_same_seed_same_iteration(sampler, goals):
    one, again, other = (
        learner().iteration(learner().initial_parameters(), sampler, goals, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    assert one.returns == again.returns
    np.testing.assert_allclose(one.theta, again.theta, rtol=1e-6, atol=1e-7)
    assert one.returns != other.returns


def test_returns_are_the_mean_over_trajectories(sampler, goals, monkeypatch):
    """Recomputed from what the sampler handed out, before and after the inner step."""
    handed_out = []

    def watched(trajectories, dtype):
        handed_out.append(trajectories)
        return original(trajectories, dtype)

    original = maml_trpo.policy_batch
    monkeypatch.setattr(maml_trpo, "policy_batch", watched)
    maml = learner()
    iteration = maml.iteration(maml.initial_parameters(), sampler, goals, np.random.default_rng(1))
    for found, samples in zip(iteration.returns, handed_out, strict=True):
        sums, current = [], 0.0
        for reward, last in zip(samples.rewards[samples.mask], samples.last[samples.mask], strict=True):
            current += reward
            if last:
                sums.append(current)
                current = 0.0
        assert found == pytest.approx(np.mean(sums))


def test_every_task_is_adapted_from_theta_on_its_own_samples(sampler, goals):
    maml, step_size = learner(), tf.constant(0.5)
    theta = maml.initial_parameters()
    params = tf.tile(tf.constant(theta, tf.float32)[tf.newaxis], [TASKS, 1])
    samples = sampler.sample(maml.policy.actor(maml.objective.unflat(params)), goals, seed=0)
    together = maml.objective.adapted(params, maml_trpo.policy_batch(samples), step_size).numpy()
    for task in range(TASKS):
        alone = maml_trpo.policy_batch(samples.tasks(task, task + 1))
        np.testing.assert_allclose(
            maml.objective.adapted(params[:1], alone, step_size)[0], together[task], rtol=1e-4, atol=1e-6
        )
    assert np.abs(np.diff(together, axis=0)).max() > 1e-3


def test_plain_trpo_learns_a_fixed_goal():
    """Without inner steps, one task: the policy comes to walk towards (0.4, 0.4)."""
    sampler = Sampler(functools.partial(PointNavigation, max_episode_steps=HORIZON), 1, 20)
    maml, rng = learner(num_steps=0), np.random.default_rng(0)
    theta, returns = maml.initial_parameters(), []
    for _ in range(25):
        iteration = maml.iteration(theta, sampler, np.array([[0.4, 0.4]]), rng)
        theta = iteration.theta
        returns += iteration.returns
    assert np.mean(returns[-5:]) > np.mean(returns[:5]) + 2
