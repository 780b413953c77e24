"""The categorical policy against its formulas and its NumPy twin, and as a learner on a bandit."""

import gymnasium
import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf import rl
from maml_tf.errors import UsageError

pytestmark = pytest.mark.usefixtures("plain_graphs")


def random_params(policy, num_tasks, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(num_tasks, *v.shape)).astype(policy.dtype) for v in policy.trainable_variables]


def test_a_new_policy_is_a_network_alone():
    policy = rl.CategoricalPolicy(3, 4, (5,))
    assert [tuple(p.shape) for p in policy.initial_params()] == [(3, 5), (5,), (5, 4), (4,)]
    assert policy.discrete_actions
    assert policy.adaptable == 4 * [True]


def test_log_probabilities_and_divergences_equal_the_formulas():
    policy = rl.CategoricalPolicy(3, 4, (5, 4), dtype="float64")
    rng = np.random.default_rng(1)
    observations, chosen = rng.normal(size=(3, 7, 3)), rng.integers(4, size=(3, 7))
    one, other = (policy.distribution_params(random_params(policy, 3, seed), observations) for seed in (0, 1))
    (logits,), (logits2,) = one, other
    p, q = (np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True) for x in (logits.numpy(), logits2.numpy()))
    expected = np.log(np.take_along_axis(p, chosen[..., np.newaxis], axis=-1))[..., 0]
    np.testing.assert_allclose(policy.distribution(one).log_prob(np.eye(4)[chosen]), expected, rtol=1e-12)
    np.testing.assert_allclose(
        policy.distribution(one).kl_divergence(policy.distribution(other)), (p * np.log(p / q)).sum(axis=-1), rtol=1e-9
    )


@pytest.mark.parametrize("context_size", [0, 2])
def test_its_twin_draws_one_hot_actions_with_the_networks_probabilities(context_size):
    policy = rl.CategoricalPolicy(3, 4, (5,), "tanh", context_size)
    params = random_params(policy, 2)
    observations = np.random.default_rng(1).normal(size=(2, 3, 3)).astype(np.float32)
    (logits,) = policy.distribution_params(params, observations)
    actor = policy.actor(params)
    np.testing.assert_allclose(actor.outputs(observations), logits, rtol=1e-5, atol=1e-6)
    rng, n = np.random.default_rng(2), 4000
    draws = np.array([actor.act(observations, rng) for _ in range(n)])
    assert draws.dtype == np.float32
    assert ((draws == 0) | (draws == 1)).all()
    assert (draws.sum(axis=-1) == 1).all()
    probabilities = tf.nn.softmax(logits).numpy()
    error = 5 * np.sqrt(probabilities * (1 - probabilities) / n)  # five standard deviations
    assert (np.abs(draws.mean(axis=0) - probabilities) < error + 1e-6).all()


def test_only_the_context_vector_is_adapted_where_there_is_one():
    policy = rl.CategoricalPolicy(3, 4, (5,), context_size=2)
    assert policy.adaptable == [True] + 4 * [False]
    assert [tuple(p.shape) for p in policy.initial_params()] == [(2,), (5, 5), (5,), (5, 4), (4,)]


def test_a_diverged_policy_is_an_error_that_names_its_task():
    policy = rl.CategoricalPolicy(3, 4, (5,))
    params = random_params(policy, 2)
    params[0][1] = np.nan
    with pytest.raises(FloatingPointError, match=r"tasks \[1\] \(of 2\)"):
        policy.actor(params).act(np.ones((2, 3, 3), np.float32), np.random.default_rng(0))


class Bandit(gymnasium.Env):
    """One of two arms pays 1: which one is the task."""

    observation_space = gymnasium.spaces.Discrete(1)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.best = int(options["goal"] > 0)
        return 0, {}

    def step(self, action):
        return 0, float(action == self.best), False, False, {}


def make_bandits(num_envs):
    return rl.GymnasiumTasks(Bandit, num_envs, rl.Directions(1, 0.0, 2.0, 1.0), max_episode_steps=10)


def test_one_gradient_step_finds_the_arm_of_a_bandit():
    keras.utils.set_random_seed(0)
    sampler = rl.Sampler(make_bandits, 4, trajectories=5)
    learner = rl.MAMLTRPO(rl.CategoricalPolicy(1, 2, hidden=(8,)), 1.0, rl.TrustRegion(max_kl=0.05))
    checkpoint = rl.train(learner, sampler, iterations=20)
    goals = np.array([-1.0, 1.0, -1.0, 1.0])
    before, after = (
        step.mean_return
        for step in learner.adaptation(checkpoint.params, sampler, goals, [1.0], np.random.default_rng(0))
    )
    assert 3.0 < before < 7.0  # the arms pay 5 on average to a policy that does not know the task
    assert after > before + 2.0


def test_a_policy_that_does_not_fit_the_environments_is_named():
    discrete = rl.Sampler(make_bandits, 2, 1)
    continuous = rl.Sampler(rl.environment("point_navigation").vector_class, 2, 1)
    for sampler, policy, message in [
        (discrete, rl.GaussianPolicy(1, 2), "GaussianPolicy is not allowed: the actions are discrete; expected a Cat"),
        (continuous, rl.CategoricalPolicy(2, 2), "CategoricalPolicy is not allowed: the actions are continuous"),
        (continuous, rl.GaussianPolicy(3, 2), "observation_size of the policy is 3; that of the environments is 2"),
        (discrete, rl.CategoricalPolicy(1, 3), "action_size of the policy is 3; that of the environments is 2"),
    ]:
        learner = rl.MAMLTRPO(policy, 0.1)
        with pytest.raises(UsageError, match=message):
            rl.train(learner, sampler, iterations=1)
