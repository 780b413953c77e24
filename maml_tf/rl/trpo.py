"""Trust region policy optimisation (PROTOCOL 3.4): conjugate gradient, step length and line search.

Plain vectors in NumPy; what is optimised comes as functions of a parameter vector. So the same update serves the
meta-step of MAML, where the functions look through the inner step, and the training of a single policy.
"""

import dataclasses
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass(frozen=True)
class TrustRegion:
    """The authors' settings, but for the exact Fisher products (PROTOCOL 3.4).

    Attributes:
        max_kl: limit of the mean KL divergence; 0.01 (0.02 for the published half-cheetah direction).
        damping: added to the Fisher matrix's diagonal.
        iterations, tolerance: of the conjugate gradient; the tolerance is one of the squared residual.
        backtrack_ratio, max_backtracks: of the line search; so many lengths are tried.
        finite_differences: Fisher products from differences of the KL divergence's gradient, as the authors made them,
            instead of exact ones.
    """

    max_kl: float = 0.01
    damping: float = 1e-5
    iterations: int = 10
    tolerance: float = 1e-10
    backtrack_ratio: float = 0.8
    max_backtracks: int = 15
    finite_differences: bool = False


@dataclasses.dataclass(frozen=True)
class Objective:
    """What is optimised, as functions of a parameter vector theta [P].

    Attributes:
        loss_and_gradient: theta -> (loss, gradient [P]).
        loss_and_kl: theta -> (loss, mean KL divergence from the sampling policy).
        fisher_product: v [P] -> F v [P], F the second derivative of the KL divergence at the sampling parameters.
        kl_gradient: theta -> gradient of the KL divergence [P]; for finite differences only.
    """

    loss_and_gradient: Callable
    loss_and_kl: Callable
    fisher_product: Callable
    kl_gradient: Callable | None = None


@dataclasses.dataclass(frozen=True)
class Step:
    """What one update did.

    Attributes:
        theta: the new parameters [P]; the old ones where no length was accepted.
        accepted: whether a length was.
        loss_before, loss_after, kl: at the parameters returned.
        backtracks: lengths rejected.
    """

    theta: np.ndarray
    accepted: bool
    loss_before: float
    loss_after: float
    kl: float
    backtracks: int


def conjugate_gradient(product, b, iterations=10, tolerance=1e-10):
    """Approximately solves A x = b for a symmetric positive definite A.

    Args:
        product: v -> A v.
        b: [P].
        iterations: at most so many.
        tolerance: stop when the squared norm of the residual is below.

    Returns:
        (x, A x), both [P]; A x from the residual, at no product's cost.
    """
    x, residual, direction = np.zeros_like(b), b.copy(), b.copy()
    squared = residual @ residual
    for _ in range(iterations):
        if squared < tolerance:
            break
        image = product(direction)
        length = squared / (direction @ image)
        x += length * direction
        residual -= length * image
        squared, before = residual @ residual, squared
        direction = residual + (squared / before) * direction
    return x, b - residual


def finite_difference_product(gradient, theta):
    """v -> H v by a central difference of a gradient at theta +- eps v, with the authors' eps = 1 / (|theta| + 1e-8).

    So large an eps because their base value of 1e-8 was taken by another argument: 1 stood in its place in every
    published run (PROTOCOL 0, row 9). In float32 the nominal value would give noise.
    """
    eps = 1.0 / (np.linalg.norm(theta) + 1e-8)

    def product(v):
        return (gradient(theta + eps * v) - gradient(theta - eps * v)) / (2 * eps)

    return product


def update(objective, theta, region):
    """One step within the trust region.

    Args:
        objective: Objective, its sampling parameters being `theta`.
        theta: float64 [P].
        region: TrustRegion.

    Returns:
        A Step. Its parameters lower the loss and keep the KL divergence within the limit, or are theta itself.

    Raises:
        FloatingPointError: the loss or its gradient at theta is not finite.
    """
    loss, gradient = objective.loss_and_gradient(theta)
    if not (np.isfinite(loss) and np.isfinite(gradient).all()):
        raise FloatingPointError(f"the loss ({loss}) or its gradient is not finite before the update")
    fisher_product = objective.fisher_product
    if region.finite_differences:
        fisher_product = finite_difference_product(objective.kl_gradient, theta)

    def damped(v):
        return fisher_product(v) + region.damping * v

    direction, image = conjugate_gradient(damped, gradient, region.iterations, region.tolerance)
    full_step = np.sqrt(2 * region.max_kl / (direction @ image + 1e-8)) * direction
    for backtracks in range(region.max_backtracks):
        candidate = theta - region.backtrack_ratio**backtracks * full_step
        new_loss, kl = objective.loss_and_kl(candidate)
        if new_loss < loss and kl <= region.max_kl:
            return Step(candidate, True, float(loss), float(new_loss), float(kl), backtracks)
    return Step(theta, False, float(loss), float(loss), 0.0, region.max_backtracks)
