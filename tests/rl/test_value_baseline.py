"""The linear feature baseline against closed forms."""

import numpy as np
import pytest

from maml_tf.rl import value_baseline as baseline


def test_features_are_clipped_observations_their_squares_and_powers_of_time():
    found = baseline.features(np.array([[0.5, -30.0]]), np.array([50]))
    np.testing.assert_allclose(found, [[0.5, -10.0, 0.25, 100.0, 0.5, 0.25, 0.125, 1.0]])


def test_fit_is_ridge_regression():
    """Ridge regression is least squares with sqrt(ridge) x identity appended to the inputs."""
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(50, 7)), rng.normal(size=50)
    extended = np.concatenate([inputs, np.sqrt(1e-5) * np.eye(7)])
    expected = np.linalg.lstsq(extended, np.concatenate([targets, np.zeros(7)]), rcond=None)[0]
    np.testing.assert_allclose(baseline.fit(inputs, targets), expected, rtol=1e-10)


def test_the_ridge_settles_what_the_samples_leave_open():
    """A feature that is always 0 (contact forces of the world) and one given twice have a finite, least solution."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=50)
    coefficients = baseline.fit(np.stack([x, x, np.zeros(50)], axis=1), 3 * x)
    np.testing.assert_allclose(coefficients, [1.5, 1.5, 0], atol=1e-6)


def test_values_linear_in_the_features_are_found_for_every_task_by_itself(random_trajectories):
    samples = random_trajectories(0, num_tasks=2, budget=400)
    rng = np.random.default_rng(1)
    targets = np.zeros(samples.mask.shape)
    for task, mask in enumerate(samples.mask):
        inputs = baseline.features(samples.observations[task, mask], samples.steps[task, mask])
        targets[task, mask] = inputs @ rng.normal(size=inputs.shape[1])
    values = baseline.fitted_values(samples, targets)
    np.testing.assert_allclose(values, targets, atol=1e-3)  # the ridge shrinks a little
    assert (values[~samples.mask] == 0).all()


def test_what_is_not_finite_names_the_task(random_trajectories):
    samples = random_trajectories(0)
    samples.observations[1, 0, 0] = np.nan
    with pytest.raises(FloatingPointError, match="task 1: the baseline has no finite solution"):
        baseline.fitted_values(samples, samples.rewards)
