"""The inner step against finite differences and a closed form."""

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.rl.advantages import advantages
from maml_tf.rl.policy import GaussianPolicy
from maml_tf.rl.policy_gradient import inner_step, policy_batch, policy_gradient_loss


@pytest.fixture
def problem(random_trajectories):
    policy = GaussianPolicy(3, 2, (5, 4), dtype="float64")
    rng = np.random.default_rng(2)
    params = [rng.normal(size=(3, *v.shape)) / 2 for v in policy.trainable_variables]
    return policy, params, random_trajectories(0, padding=0.0)


def test_the_loss_is_minus_the_mean_of_log_probability_times_advantage(problem):
    policy, params, samples = problem
    found = policy_gradient_loss(policy, params, policy_batch(samples, "float64")).numpy()
    mean, log_std = (m.numpy() for m in policy.distribution_params(params, samples.observations.astype(float)))
    normal = -0.5 * ((samples.actions - mean) / np.exp(log_std)) ** 2 - log_std - 0.5 * np.log(2 * np.pi)
    for task, mask in enumerate(samples.mask):
        product = normal[task, mask].sum(axis=1) * advantages(samples)[task, mask]
        assert found[task] == pytest.approx(-product.mean(), rel=1e-10)


def test_with_the_likelihood_ratio_value_and_gradient_are_those_of_importance_sampling(problem):
    policy, params, samples = problem
    batch = policy_batch(samples, "float64")
    sampling = [tf.constant(p) for p in params]
    old = policy.distribution_params(sampling, batch.observations)

    def gradient(old):
        with tf.GradientTape() as tape:
            tape.watch(sampling)
            loss = tf.reduce_sum(policy_gradient_loss(policy, sampling, batch, old))
        return tape.gradient(loss, sampling)

    for one, two in zip(gradient(old), gradient(None), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-12)  # where the policy sampled, both losses have one gradient
    moved = [p + 0.1 for p in params]
    mean, log_std = (m.numpy() for m in policy.distribution_params(moved, batch.observations))
    old_mean, old_log_std = (m.numpy() for m in old)

    def density(mean, log_std):
        return np.exp(-0.5 * ((samples.actions - mean) / np.exp(log_std)) ** 2 - log_std).prod(axis=-1)

    ratio = density(mean, log_std) / density(old_mean, old_log_std)
    found = policy_gradient_loss(policy, moved, batch, old).numpy()
    for task, mask in enumerate(samples.mask):
        assert found[task] == pytest.approx(-(ratio * advantages(samples))[task, mask].mean(), rel=1e-9)


def test_the_step_is_one_of_gradient_descent(problem):
    policy, params, samples = problem
    batch, alpha, step = policy_batch(samples, "float64"), 0.3, 1e-6
    adapted = inner_step(policy, [tf.constant(p) for p in params], batch, alpha)
    for index, (before, after) in enumerate(zip(params, adapted, strict=True)):
        for place in np.ndindex(before.shape[1:]):
            losses = []
            for sign in (1, -1):
                moved = [p.copy() for p in params]
                moved[index][(slice(None), *place)] += sign * step
                losses.append(policy_gradient_loss(policy, moved, batch).numpy())
            gradient = (losses[0] - losses[1]) / (2 * step)  # each task's loss depends on its own parameters only
            expected = before[(slice(None), *place)] - alpha * gradient
            np.testing.assert_allclose(after.numpy()[(slice(None), *place)], expected, atol=1e-7)


def test_what_is_not_masked_in_has_no_influence(problem, random_trajectories):
    policy, params, samples = problem
    other = random_trajectories(0, padding=1e3)
    assert (other.observations != samples.observations).any()
    for one, two in zip(
        *(
            inner_step(policy, [tf.constant(p) for p in params], policy_batch(s, "float64"), 0.1)
            for s in (samples, other)
        ),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)


def test_weights_sum_to_one_a_task_and_over_all(problem):
    batch = policy_batch(problem[2], "float64")
    np.testing.assert_allclose(batch.weights.numpy().sum(axis=1), 1)
    assert batch.pooled_weights.numpy().sum() == pytest.approx(1)
    assert np.unique(batch.pooled_weights).size == 2  # every time step counts the same
