"""Whole meta-iterations on a small 2D navigation."""

import copy
import dataclasses
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.rl import maml_trpo
from maml_tf.rl.envs.point import PointNavigation
from maml_tf.rl.maml_trpo import MAMLTRPO
from maml_tf.rl.policy import GaussianPolicy
from maml_tf.rl.sampling.sampler import Sampler
from maml_tf.rl.trpo import TrustRegion

TASKS, TRAJECTORIES, HORIZON = 2, 3, 20
pytestmark = pytest.mark.usefixtures("plain_graphs")


@functools.cache
def first_learner():
    keras.utils.set_random_seed(0)
    return MAMLTRPO(GaussianPolicy(2, 2, (8, 8)), 0.5)


def learner(num_steps=1, **region):
    """A learner with the policy and the compiled functions of all others: nothing changes them."""
    maml = copy.copy(first_learner())
    maml.num_steps, maml.trust_region = num_steps, TrustRegion(**region)
    return maml


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
    start = maml.initial_state()
    iteration = maml.iteration(start, sampler, goals, np.random.default_rng(1))
    assert iteration.metrics["loss"] < -1e-4  # before: 0, the ratio being 1 and the mean of the advantages 0
    assert 1e-5 < iteration.metrics["kl"] <= 0.01
    assert iteration.metrics["backtracks"] < maml.trust_region.max_backtracks
    assert len(iteration.returns) == num_steps + 1
    assert iteration.physics_failures == 0
    assert int(iteration.state.iteration) == 1
    for new, old, own in zip(iteration.state.params, start.params, maml.initial_params(), strict=True):
        assert (new.numpy() != old.numpy()).any()
        np.testing.assert_array_equal(old, own)  # nothing is assigned to the policy


def test_a_rejected_update_leaves_theta(sampler, goals, monkeypatch):
    maml = learner()
    at = maml.objective.at
    too_far = lambda theta: (-1.0, 1.0)  # noqa: E731 (every candidate lowers the loss and breaks the limit)
    monkeypatch.setattr(maml.objective, "at", lambda steps: dataclasses.replace(at(steps), loss_and_kl=too_far))
    start = maml.initial_state()
    iteration = maml.iteration(start, sampler, goals, np.random.default_rng(1))
    assert iteration.metrics["kl"] == 0
    for new, old in zip(iteration.state.params, start.params, strict=True):
        np.testing.assert_array_equal(new, old)


def test_same_seed_same_iteration(sampler, goals):
    one, again, other = (
        learner().iteration(learner().initial_state(), sampler, goals, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    assert one.returns == again.returns
    for first, second in zip(one.state.params, again.state.params, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-6, atol=1e-7)
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
    iteration = maml.iteration(maml.initial_state(), sampler, goals, np.random.default_rng(1))
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
    params = tf.tile(maml.objective.flat(maml.initial_params())[tf.newaxis], [TASKS, 1])
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
    state, returns = maml.initial_state(), []
    for _ in range(25):
        iteration = maml.iteration(state, sampler, np.array([[0.4, 0.4]]), rng)
        state = iteration.state
        returns += iteration.returns
    assert np.mean(returns[-5:]) > np.mean(returns[:5]) + 2


def test_the_context_vector_alone_can_be_meta_trained(sampler, goals, eagerly):
    keras.utils.set_random_seed(0)
    policy = GaussianPolicy(2, 2, (8, 8), context_size=2)
    maml = MAMLTRPO(policy, 0.5, TrustRegion(), meta_trained="adaptable")
    start = maml.initial_state()
    iteration = maml.iteration(start, sampler, goals, np.random.default_rng(1))
    assert iteration.metrics["loss"] < -1e-6
    assert 0 < iteration.metrics["kl"] <= 0.01
    changed = {
        name: bool((new.numpy() != old.numpy()).any())
        for name, new, old in zip(maml.param_names, iteration.state.params, start.params, strict=True)
    }
    assert {name for name, moved in changed.items() if moved} == {"policy/context"}


def test_step_sizes_and_numbers_of_steps_are_checked():
    policy = GaussianPolicy(2, 2, (8, 8))
    for options, message in (
        ({"step_size": np.nan}, "step_size: nan is not allowed"),
        ({"step_size": -0.1}, "step_size: -0.1 is not allowed"),
        ({"step_size": "0.1"}, "step_size: '0.1' is not allowed"),
        ({"num_steps": -1}, "num_steps: -1 is not allowed"),
        ({"num_steps": 1.5}, "num_steps: 1.5 is not allowed"),
    ):
        with pytest.raises(UsageError, match=message):
            MAMLTRPO(policy, **{"step_size": 0.1} | options)


def test_what_is_meta_trained_is_checked():
    with pytest.raises(UsageError, match="meta_trained: 'z' is not allowed; expected one of all, adaptable"):
        MAMLTRPO(GaussianPolicy(2, 2, (8, 8)), 0.5, meta_trained="z")
