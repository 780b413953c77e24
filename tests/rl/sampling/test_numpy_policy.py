"""The policies for sampling against plain loops."""

import numpy as np
import pytest
from reference.policy_problem import random_actor
from reference.rounding import gamma, relu_network_error

from maml_tf.errors import UsageError
from maml_tf.rl.sampling.numpy_policy import GaussianActor


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_actor_is_a_gaussian_of_its_networks_mean(activation):
    params = random_actor(3, 4, 2).params
    actor = GaussianActor(params, activation)
    observations = np.random.default_rng(1).normal(size=(3, 5, 4)).astype(np.float32)
    squash = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh}[activation]
    for task in range(3):
        log_std, w1, b1, w2, b2, w3, b3 = (p[task] for p in params)
        mean = squash(squash(observations[task] @ w1 + b1) @ w2 + b2) @ w3 + b3
        np.testing.assert_allclose(actor.means(observations)[task], mean, rtol=1e-5, atol=1e-5)
        rng = np.random.default_rng(2)
        draws = np.array([actor.act(observations, rng)[task] for _ in range(2000)])
        error = 5 * np.exp(log_std) / np.sqrt(2000)
        assert (np.abs(draws.mean(axis=0) - mean) < error).all()
        np.testing.assert_allclose(draws.std(axis=0), np.broadcast_to(np.exp(log_std), mean.shape), rtol=0.1)


def test_the_deviation_has_a_floor():
    params = random_actor(1, 4, 2).params
    params[0] = np.full((1, 2), -1000.0)
    observations = np.zeros((1, 5000, 4), np.float32)
    actor = GaussianActor(params)
    noise = actor.act(observations, np.random.default_rng(0)) - actor.means(observations)
    assert 0 < np.abs(noise).max() < 1e-5


@pytest.mark.parametrize("num_active", [0, 1, 2, 4])
def test_the_actions_of_active_rows_do_not_depend_on_which_others_are_but_for_rounding(num_active):
    actor = GaussianActor(random_actor(3, 4, 2).params)
    observations = np.random.default_rng(1).normal(size=(3, 7, 4)).astype(np.float32)
    active = np.zeros((3, 7), bool)
    active[0, [6, 1, 3, 2][:num_active]] = active[2, 5] = True
    generators = np.random.default_rng(2), np.random.default_rng(2)
    everyone, some = actor.act(observations, generators[0]), actor.act(observations, generators[1], active)
    kernels, biases = actor.params[1::2], actor.params[2::2]
    layers_of_tasks = zip(zip(*kernels, strict=True), zip(*biases, strict=True), strict=True)
    errors = [
        relu_network_error(zip(*layers, strict=True), x)
        for layers, x in zip(layers_of_tasks, observations, strict=True)
    ]
    # Either may be off by the error of its mean, and by one rounding where the noise is added.
    allowed = 2 * np.array(errors) + gamma(1) * (np.abs(some) + np.abs(everyone))
    assert (np.abs(some - everyone)[active] <= allowed[active]).all()
    assert allowed.max() < 1e-4 * np.abs(everyone).max()
    assert generators[0].random() == generators[1].random()


def test_a_policy_may_diverge_where_nothing_is_active():
    params = random_actor(3, 4, 2).params
    params[1][1] = np.nan
    active = np.ones((3, 5), bool)
    active[1] = False
    actions = GaussianActor(params).act(np.ones((3, 5, 4), np.float32), np.random.default_rng(0), active)
    assert np.isfinite(actions[active]).all()


def test_a_diverged_policy_is_an_error_that_names_its_task():
    params = random_actor(3, 4, 2).params
    params[1][1] = np.nan
    with pytest.raises(FloatingPointError, match=r"tasks \[1\] \(of 3\)"):
        GaussianActor(params).act(np.ones((3, 5, 4), np.float32), np.random.default_rng(0))


def test_an_unknown_activation_is_named():
    with pytest.raises(UsageError, match="activation is 'selu'; allowed: relu, tanh"):
        GaussianActor([], "selu")
