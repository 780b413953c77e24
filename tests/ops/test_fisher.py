"""The hand-written Fisher products against double backpropagation."""

import numpy as np
import pytest
from reference.policy_problem import GAUSSIAN_CASES, Problem

from maml_tf.ops.fisher import FastFisher, has_fast_fisher

pytestmark = pytest.mark.usefixtures("eagerly")


@pytest.mark.parametrize("case", GAUSSIAN_CASES)
def test_the_fast_product_equals_double_backpropagation(case):
    problem = Problem(*case)
    assert has_fast_fisher(problem.policy)
    fast = FastFisher(problem.objective).at([step.params for step in problem.steps], problem.earlier, problem.later)
    # Linear functions that differ agree on random vectors with probability zero.
    vectors = np.random.default_rng(9).choice([-1.0, 1.0], (3, len(problem.theta)))
    plain, fast = (np.stack([product(v) for v in vectors]) for product in (problem.fisher_product, fast))
    assert np.abs(plain).max() > 0.1
    # Sums of up to 3 tasks x 40 steps and products through 3 inner layers, in float64.
    np.testing.assert_allclose(fast, plain, rtol=0, atol=1e-12 * np.abs(plain).max())


def test_below_the_floor_the_deviation_has_no_derivative():
    theta = np.random.default_rng(7).normal(size=len(Problem(1).theta)) / 2
    theta[0] = -20.0  # the log standard deviation of the first action
    problem = Problem(1, theta=theta)
    fast = FastFisher(problem.objective).at([step.params for step in problem.steps], problem.earlier, problem.later)
    v = np.eye(len(theta))[0]
    np.testing.assert_array_equal(fast(v), np.zeros_like(v))
    np.testing.assert_array_equal(problem.fisher_product(v), np.zeros_like(v))
