"""Advantages against plain loops over single trajectories."""

import numpy as np
import pytest

from maml_tf.rl import advantages as adv
from maml_tf.rl.value_baseline import fitted_values


def paths(samples, task):
    """(start, stop) of every trajectory of a task."""
    stops = np.flatnonzero(samples.last[task]) + 1
    return zip(np.concatenate([[0], stops[:-1]]), stops, strict=True)


@pytest.mark.parametrize("num_tasks", [1, 3])
def test_discounted_sums_equal_a_plain_loop_and_leave_their_input_alone(random_trajectories, num_tasks):
    samples = random_trajectories(0, num_tasks)
    rewards = samples.rewards.copy()
    found = adv.discounted_sums(rewards, samples.last, 0.9)
    np.testing.assert_array_equal(rewards, samples.rewards)
    for task in range(num_tasks):
        for start, stop in paths(samples, task):
            for t in range(start, stop):
                expected = sum(0.9 ** (k - t) * rewards[task, k] for k in range(t, stop))
                assert found[task, t] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("gae_lambda", [1.0, 0.7, 0.0])
def test_generalised_advantages_equal_a_plain_loop(random_trajectories, gae_lambda):
    samples = random_trajectories(0)
    rewards, gamma = samples.rewards, 0.95
    values = np.random.default_rng(1).normal(size=rewards.shape) * samples.mask
    found = adv.generalised_advantages(rewards, values, samples.last, gamma, gae_lambda)
    for task in range(len(rewards)):
        for start, stop in paths(samples, task):
            after = 0.0  # the value and the advantage after the last step
            value_after = 0.0
            for t in range(stop - 1, start - 1, -1):
                after = rewards[task, t] + gamma * value_after - values[task, t] + gamma * gae_lambda * after
                value_after = values[task, t]
                assert found[task, t] == pytest.approx(after, abs=1e-12)


def test_with_lambda_one_an_advantage_is_the_return_less_the_value(random_trajectories):
    samples = random_trajectories(0)
    returns = adv.discounted_sums(samples.rewards, samples.last, adv.DISCOUNT)
    values = fitted_values(samples, returns)
    found = adv.generalised_advantages(samples.rewards, values, samples.last)
    np.testing.assert_allclose(found, returns - values, atol=1e-10)


def test_advantages_are_normalised_in_every_task_over_its_own_steps(random_trajectories):
    samples = random_trajectories(0)
    found = adv.advantages(samples)
    assert np.isfinite(found).all()  # although the padding is not
    assert (found[~samples.mask] == 0).all()
    for task, mask in enumerate(samples.mask):
        assert found[task, mask].mean() == pytest.approx(0, abs=1e-12)
        assert found[task, mask].std() == pytest.approx(1, abs=1e-6)
        alone = adv.advantages(samples.tasks(task, task + 1))
        np.testing.assert_allclose(alone[0], found[task], rtol=1e-12)


def test_nothing_after_a_trajectorys_end_counts(random_trajectories):
    """Another second trajectory leaves the returns of the first as they are."""
    samples = random_trajectories(0)
    stop = np.flatnonzero(samples.last[0])[0] + 1
    before = adv.discounted_sums(samples.rewards, samples.last, 0.99)[0, :stop]
    samples.rewards[0, stop:] += 100.0
    np.testing.assert_array_equal(adv.discounted_sums(samples.rewards, samples.last, 0.99)[0, :stop], before)


def test_a_task_where_nothing_differs_has_no_advantages():
    mask = np.ones((1, 5), bool)
    assert (adv.normalised(np.full((1, 5), 3.0), mask) == 0).all()
