"""Conjugate gradient, finite differences and the line search on problems with known answers."""

import itertools
import math

import numpy as np
import pytest

from maml_tf.errors import UsageError
from maml_tf.rl import trpo
from maml_tf.rl.trpo import TrustRegion


@pytest.fixture
def matrix():
    root = np.random.default_rng(0).normal(size=(12, 12))
    return root @ root.T / 12 + np.eye(12)


def test_conjugate_gradient_equals_a_direct_solver(matrix):
    b = np.random.default_rng(1).normal(size=12)
    x, image = trpo.conjugate_gradient(lambda v: matrix @ v, b, iterations=12, tolerance=0.0)
    np.testing.assert_allclose(x, np.linalg.solve(matrix, b), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(image, matrix @ x, rtol=1e-8, atol=1e-10)


def test_conjugate_gradient_of_few_iterations_knows_its_product_and_descends(matrix):
    b = np.random.default_rng(1).normal(size=12)
    errors = []
    for iterations in range(5):
        x, image = trpo.conjugate_gradient(lambda v: matrix @ v, b, iterations)
        np.testing.assert_allclose(image, matrix @ x, atol=1e-10)
        error = x - np.linalg.solve(matrix, b)
        errors.append(error @ matrix @ error)
    assert all(later < earlier for earlier, later in itertools.pairwise(errors))


def test_conjugate_gradient_stops_at_its_tolerance():
    calls = []
    x, _ = trpo.conjugate_gradient(lambda v: calls.append(1) or 2 * v, np.ones(3), iterations=10)
    np.testing.assert_allclose(x, 0.5)
    assert len(calls) == 1  # a multiple of the identity is solved by one product


def test_finite_differences_are_exact_for_a_quadratic(matrix):
    theta, v = np.random.default_rng(1).normal(size=(2, 12))
    np.testing.assert_allclose(trpo.finite_difference_product(lambda x: matrix @ x, theta)(v), matrix @ v, rtol=1e-8)


def test_finite_differences_step_by_the_inverse_norm_of_theta():
    places = []
    theta, v = np.array([3.0, 4.0]), np.array([1.0, 0.0])
    trpo.finite_difference_product(lambda x: places.append(x) or x, theta)(v)
    np.testing.assert_allclose(places, [[3.2, 4.0], [2.8, 4.0]])


def quadratic(matrix, slope, limit_of_loss=None):
    """A linear loss and a quadratic KL divergence around theta = 0; the loss never falls below `limit_of_loss`."""

    def loss(theta):
        return slope @ theta if limit_of_loss is None else max(slope @ theta, limit_of_loss)

    return trpo.Objective(
        loss_and_gradient=lambda theta: (loss(theta), slope),
        loss_and_kl=lambda theta: (loss(theta), 0.5 * theta @ matrix @ theta),
        fisher_product=lambda v: matrix @ v,
        kl_gradient=lambda theta: matrix @ theta,
    )


@pytest.mark.parametrize("finite_differences", [False, True])
def test_the_full_step_is_the_best_within_the_limit(matrix, finite_differences):
    slope = np.random.default_rng(1).normal(size=12)
    region = trpo.TrustRegion(max_kl=0.02, iterations=12, finite_differences=finite_differences)
    step = trpo.update(quadratic(matrix, slope), np.zeros(12), region)
    direction = np.linalg.solve(matrix, slope)
    expected = -np.sqrt(2 * 0.02 / (slope @ direction)) * direction
    assert step.accepted
    assert step.backtracks == 0
    np.testing.assert_allclose(step.theta, expected, rtol=1e-4)
    assert step.kl == pytest.approx(0.02, rel=1e-4)
    assert step.kl <= 0.02
    assert step.loss_after == pytest.approx(slope @ expected, rel=1e-4)
    assert step.loss_after < step.loss_before == 0


@pytest.mark.parametrize("finite_differences", [False, True])
def test_a_restricted_objective_leaves_the_other_entries(matrix, finite_differences):
    slope, entries = np.random.default_rng(1).normal(size=12), np.array([1, 4, 10])
    region = trpo.TrustRegion(max_kl=0.02, iterations=12, finite_differences=finite_differences)
    step = trpo.update(quadratic(matrix, slope).restricted(np.zeros(12), entries), np.zeros(3), region)
    direction = np.linalg.solve(matrix[np.ix_(entries, entries)], slope[entries])
    expected = -np.sqrt(2 * 0.02 / (slope[entries] @ direction)) * direction
    np.testing.assert_allclose(step.theta, expected, rtol=1e-4)
    assert step.loss_after == pytest.approx(slope[entries] @ expected, rel=1e-4)


def test_a_step_too_far_is_shortened_until_the_divergence_fits(matrix):
    slope = np.random.default_rng(1).normal(size=12)
    steep = quadratic(matrix, slope)
    steep = trpo.Objective(
        steep.loss_and_gradient,
        lambda theta: (slope @ theta, theta @ matrix @ theta),  # twice what the Fisher product says
        steep.fisher_product,
    )
    step = trpo.update(steep, np.zeros(12), trpo.TrustRegion(iterations=12))
    assert step.accepted
    assert step.backtracks == 2  # 0.8^2 < 1 / sqrt(2) < 0.8
    assert step.kl <= 0.01


def test_without_an_improvement_the_old_parameters_stay(matrix):
    slope, theta = np.random.default_rng(1).normal(size=12), np.zeros(12)
    tried = []
    flat = quadratic(matrix, slope, limit_of_loss=0.0)
    flat = trpo.Objective(
        flat.loss_and_gradient,
        lambda candidate: tried.append(candidate) or flat_loss(candidate),
        flat.fisher_product,
    )

    def flat_loss(candidate):
        return 0.0, 0.5 * candidate @ matrix @ candidate

    step = trpo.update(flat, theta, trpo.TrustRegion())
    assert not step.accepted
    np.testing.assert_array_equal(step.theta, theta)
    assert step.loss_after == step.loss_before
    assert len(tried) == 15
    lengths = np.linalg.norm(tried, axis=1)
    np.testing.assert_allclose(lengths[1:] / lengths[:-1], 0.8)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_candidate_that_breaks_down_is_not_accepted(matrix, bad):
    slope = np.random.default_rng(1).normal(size=12)
    good = quadratic(matrix, slope)
    broken = trpo.Objective(good.loss_and_gradient, lambda theta: (bad, bad), good.fisher_product)
    assert not trpo.update(broken, np.zeros(12), trpo.TrustRegion()).accepted


def test_a_breakdown_before_the_update_is_an_error(matrix):
    good = quadratic(matrix, np.full(12, np.nan))
    with pytest.raises(FloatingPointError, match="not finite before the update"):
        trpo.update(good, np.zeros(12), trpo.TrustRegion())


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("max_kl", "0.01"),
        ("max_kl", True),
        ("max_kl", math.inf),
        ("damping", None),
        ("tolerance", -1.0),
        ("tolerance", math.nan),
        ("backtrack_ratio", 1.0),
        ("iterations", 1.5),
        ("max_backtracks", False),
    ],
)
def test_settings_out_of_range_are_named(setting, value):
    with pytest.raises(UsageError, match=rf"{setting}: .* is not allowed; expected a"):
        TrustRegion(**{setting: value})
