"""The meta-objective's invariants and derivatives, in float64 on small policies."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from helpers import finite_differences
from reference.policy_problem import ALPHA, CASES, Problem

from maml_tf.rl.advantages import advantages
from maml_tf.rl.policy_gradient import inner_step
from maml_tf.rl.trpo import finite_difference_product

pytestmark = pytest.mark.usefixtures("plain_graphs")

# To trace a case takes seconds. What these have is in the others: a context vector without the likelihood ratio and
# with it, the ratio with all parameters and through ReLUs, and a categorical policy with one inner step.
LEFT_OUT = [
    "one inner step by the likelihood ratio",
    "two inner steps of a context vector by the likelihood ratio through ReLUs",
    "categorical, one inner step",
]


class SharedProblem(Problem):
    """A problem with what several tests compare with."""

    @functools.cached_property
    def apart(self) -> np.ndarray:
        """A theta other than the one that sampled."""
        return self.theta + 0.1 * np.random.default_rng(8).normal(size=self.theta.shape)

    @functools.cached_property
    def derivatives(self) -> np.ndarray:
        """Derivatives [P, 2] of loss and divergence there, by finite differences."""
        return finite_differences(lambda params: np.array(self.loss_and_kl(params[0])), [self.apart])[0]


@pytest.fixture(scope="module", params=[case for case in CASES if case.id not in LEFT_OUT])
def problem(request):
    return SharedProblem(*request.param)


class gaussian:  # noqa: N801
    """Plain formulas of normal distributions, from (mean [T, B, A], log standard deviation [T, 1, A])."""

    @staticmethod
    def log_density(params, task, step, action):
        """Up to a constant."""
        mean, log_std = params[0][task, step], params[1][task, 0]
        return np.sum(-0.5 * ((action - mean) / np.exp(log_std)) ** 2 - log_std)

    @staticmethod
    def kl(old, new, task, step):
        (m1, s1), (m0, s0) = ((params[0][task, step], np.exp(params[1][task, 0])) for params in (new, old))
        return np.sum(np.log(s1 / s0) + (s0**2 + (m0 - m1) ** 2) / (2 * s1**2) - 0.5)


class categorical:  # noqa: N801
    """Plain formulas of categorical distributions, from (logits [T, B, A],)."""

    @staticmethod
    def probabilities(params, task, step):
        weights = np.exp(params[0][task, step])
        return weights / weights.sum()

    @staticmethod
    def log_density(params, task, step, action):
        return np.log(categorical.probabilities(params, task, step)[action.argmax()])

    @staticmethod
    def kl(old, new, task, step):
        p, q = (categorical.probabilities(params, task, step) for params in (old, new))
        return np.sum(p * np.log(p / q))


def test_before_the_update_ratios_are_one_and_the_divergence_is_zero(problem):
    """With ratio 1 the loss is minus the mean advantage: 0 after normalisation, so it is shifted as well."""
    loss, kl = problem.loss_and_kl(problem.theta)
    assert loss == pytest.approx(0, abs=1e-12)
    assert kl == pytest.approx(0, abs=1e-14)
    shifted = problem.later._replace(advantages=problem.later.advantages + 2.5)
    loss, _ = problem.objective.loss_and_kl(tf.constant(problem.theta), problem.earlier, shifted, problem.old)
    assert float(loss) == pytest.approx(-2.5, abs=1e-12)


def test_loss_and_divergence_equal_a_plain_loop(problem):
    """At another theta: adapt each task by itself, then densities written out."""
    theta = problem.apart
    params = problem.objective.unflat(tf.tile(tf.constant(theta)[tf.newaxis], [3, 1]))
    for batch, old in zip(problem.earlier, problem.old[:-1], strict=True):
        ratio = problem.objective.likelihood_ratio
        params = inner_step(problem.policy, params, batch, ALPHA, old if ratio else None)
    params = problem.objective.flat(params)
    new = [m.numpy() for m in problem.objective.distribution_params(params, problem.later)]
    old = [m.numpy() for m in problem.old[-1]]
    samples, losses, kls = problem.samples[-1], [], []
    advantage = advantages(samples)

    formulas = categorical if problem.policy.discrete_actions else gaussian

    def log_density(params, task, step):
        return formulas.log_density(params, task, step, samples.actions[task, step].astype(float))

    for task in range(3):
        products = []
        for step in np.flatnonzero(samples.mask[task]):
            ratio = np.exp(log_density(new, task, step) - log_density(old, task, step))
            products.append(ratio * advantage[task, step])
            kls.append(formulas.kl(old, new, task, step))
        losses.append(-np.mean(products))
    loss, kl = problem.loss_and_kl(theta)
    assert loss == pytest.approx(np.mean(losses), rel=1e-10)
    assert kl == pytest.approx(np.mean(kls), rel=1e-10)
    assert kl > 1e-3


def test_the_gradient_equals_finite_differences(problem):
    loss, gradient = problem.loss_and_gradient(problem.apart)
    assert loss == problem.loss_and_kl(problem.apart)[0]
    np.testing.assert_allclose(gradient, problem.derivatives[:, 0], atol=1e-7)


def test_the_divergences_gradient_equals_finite_differences(problem):
    np.testing.assert_allclose(problem.kl_gradient(problem.apart), problem.derivatives[:, 1], atol=1e-7)
    np.testing.assert_allclose(problem.kl_gradient(problem.theta), 0, atol=1e-12)  # a minimum


def test_the_fisher_product_equals_the_explicit_second_derivative(problem):
    """In a random space of a few dimensions: a product that is wrong anywhere is wrong there."""
    space = np.random.default_rng(9).normal(size=(6, len(problem.theta)))

    def gradient(moved):
        return problem.kl_gradient(problem.theta + moved[0] @ space)

    products = np.stack([problem.fisher_product(v) for v in space])
    second_derivatives = finite_differences(gradient, [np.zeros(len(space))])[0]
    np.testing.assert_allclose(products, second_derivatives, atol=1e-6 * np.abs(second_derivatives).max())
    fisher = products @ space.T
    np.testing.assert_allclose(fisher, fisher.T, atol=1e-12 * np.abs(fisher).max())
    assert np.linalg.eigvalsh(fisher).min() > -1e-10 * np.abs(fisher).max()


def test_the_authors_finite_differences_point_the_same_way(problem):
    v = problem.loss_and_gradient(problem.theta)[1]
    theirs, exact = finite_difference_product(problem.kl_gradient, problem.theta)(v), problem.fisher_product(v)
    assert theirs @ exact / np.linalg.norm(theirs) / np.linalg.norm(exact) > 0.95


def test_what_is_not_masked_in_has_no_influence(eagerly):
    clean, filled = Problem(1), Problem(1, padding=50.0)
    theta = clean.theta + 0.1
    assert filled.loss_and_kl(theta) == clean.loss_and_kl(theta)
    np.testing.assert_array_equal(filled.loss_and_gradient(theta)[1], clean.loss_and_gradient(theta)[1])
    np.testing.assert_array_equal(filled.fisher_product(theta), clean.fisher_product(theta))
    fast = [problem.objective.fisher(problem.steps)(theta) for problem in (filled, clean)]
    np.testing.assert_array_equal(*fast)


def test_the_meta_gradient_looks_through_the_inner_step(eagerly):
    """It is not the gradient by the adapted parameters (the first-order approximation)."""
    problem = Problem(1)
    _, second_order = problem.loss_and_gradient(problem.theta)
    last_only = [
        problem.objective.loss_and_gradient(problem.steps[-1].params[task], [], *tasks(problem, task))[1].numpy()
        for task in range(3)
    ]
    first_order = np.mean(last_only, axis=0)
    assert np.abs(first_order - second_order).max() > 0.02 * np.abs(second_order).max()


def tasks(problem, task):
    return tf.nest.map_structure(lambda tensor: tensor[task : task + 1], (problem.later, problem.old[-1:]))


def test_vectors_and_lists_of_parameters_are_the_same_thing(problem):
    params = problem.policy.initial_params()
    for one, two in zip(params, problem.objective.unflat(problem.objective.flat(params)), strict=True):
        np.testing.assert_array_equal(one, two)
    assert problem.objective.flat(problem.objective.unflat(problem.steps[0].params)).shape == (3, len(problem.theta))
