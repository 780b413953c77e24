"""The Gaussian policy against its formula and its NumPy twin."""

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.rl.policy import GaussianPolicy


def random_parameters(policy, num_tasks, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(num_tasks, *v.shape)).astype(policy.dtype) / 2 for v in policy.trainable_variables]


def test_a_new_policy_has_deviation_one_zero_biases_and_glorots_kernels():
    policy = GaussianPolicy(20, 6)
    log_std, *layers = (p.numpy() for p in policy.initial_params())
    assert [p.shape for p in layers] == [(20, 100), (100,), (100, 100), (100,), (100, 6), (6,)]
    assert (log_std == 0).all()
    assert all((bias == 0).all() for bias in layers[1::2])
    for kernel in layers[::2]:
        limit = np.sqrt(6 / sum(kernel.shape))
        assert 0.9 * limit < np.abs(kernel).max() <= limit


def test_log_probabilities_and_divergences_equal_the_formulas():
    policy = GaussianPolicy(3, 2, (5, 4), dtype="float64")
    rng = np.random.default_rng(1)
    observations, actions = rng.normal(size=(3, 7, 3)), rng.normal(size=(3, 7, 2))
    one, other = (policy.distribution_params(random_parameters(policy, 3, seed), observations) for seed in (0, 1))
    mean, log_std = (m.numpy() for m in one)
    expected = -0.5 * ((actions - mean) / np.exp(log_std)) ** 2 - log_std - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(policy.distribution(one).log_prob(actions), expected.sum(axis=-1), rtol=1e-12)
    mean2, log_std2 = (m.numpy() for m in other)
    ratio = np.exp(2 * (log_std - log_std2))
    kl = 0.5 * (ratio + (mean - mean2) ** 2 * np.exp(-2 * log_std2) - 1) + log_std2 - log_std
    np.testing.assert_allclose(
        policy.distribution(one).kl_divergence(policy.distribution(other)), kl.sum(axis=-1), rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_its_twin_for_sampling_has_the_same_means(activation):
    policy = GaussianPolicy(3, 2, (5, 4), activation)
    params = random_parameters(policy, 3)
    observations = np.random.default_rng(1).normal(size=(3, 7, 3)).astype(np.float32)
    np.testing.assert_allclose(
        policy.actor(params).means(observations),
        policy.distribution_params(params, observations)[0],
        rtol=1e-5,
        atol=1e-6,
    )


def test_a_task_axis_changes_nothing():
    policy = GaussianPolicy(3, 2, (5, 4), dtype="float64")
    params = random_parameters(policy, 3)
    observations = np.random.default_rng(1).normal(size=(3, 7, 3))
    mean, log_std = policy.distribution_params(params, observations)
    for task in range(3):
        alone_mean, alone_log_std = policy.distribution_params(
            [tf.constant(p[task]) for p in params], observations[task]
        )
        np.testing.assert_allclose(mean[task], alone_mean, rtol=1e-12)
        np.testing.assert_allclose(log_std[task], alone_log_std)


def test_the_deviation_has_a_floor():
    policy = GaussianPolicy(1, 1, (2,), dtype="float64")
    params = [np.full((1, 1), -50.0), *random_parameters(policy, 1)[1:]]
    _, log_std = policy.distribution_params(params, np.zeros((1, 1, 1)))
    assert np.exp(log_std).item() == pytest.approx(1e-6)


def test_an_unknown_activation_is_named():
    with pytest.raises(UsageError, match="activation is 'elu'; allowed: relu, tanh"):
        GaussianPolicy(3, 2, activation="elu")


def test_a_context_vector_is_appended_to_every_observation():
    """A policy without one that is given the context among its observations computes the same."""
    with_context, plain = GaussianPolicy(3, 2, (5, 4), context_size=2), GaussianPolicy(5, 2, (5, 4))
    params = random_parameters(with_context, num_tasks=2)
    log_std, context, *layers = params
    observations = np.random.default_rng(1).normal(size=(2, 7, 3)).astype(np.float32)
    whole = np.concatenate([observations, np.repeat(context[:, np.newaxis], 7, axis=1)], axis=2)
    expected = plain.distribution_params([log_std, *layers], whole)
    for one, two in zip(with_context.distribution_params(params, observations), expected, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(with_context.actor(params).means(observations), expected[0], rtol=1e-5, atol=1e-6)
    assert with_context.adaptable == [False, True] + 6 * [False]
    assert plain.adaptable == 7 * [True]
    assert (with_context.initial_params()[1].numpy() == 0).all()
