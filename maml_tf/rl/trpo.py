"""Trust region policy optimisation (PROTOCOL 3.4): a natural gradient step, then a search along it.

Everything here is NumPy on parameter vectors. What is optimised comes as functions of a vector. So the same update
serves the meta-step of MAML, whose functions differentiate through the inner steps, and the training of one policy.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from maml_tf.errors import UsageError

Vector = np.ndarray
Product = Callable[[Vector], Vector]


@dataclasses.dataclass(frozen=True)
class TrustRegion:
    """The authors' settings, except that Fisher products are exact (PROTOCOL 3.4).

    Attributes:
        max_kl: limit of the mean KL divergence; 0.01 (0.02 for the published half-cheetah direction).
        damping: added to the Fisher matrix's diagonal.
        iterations: limit of conjugate gradient iterations.
        tolerance: the conjugate gradient stops when the squared norm of the residual is below it.
        backtrack_ratio: the line search shortens a rejected step by this factor.
        max_backtracks: step lengths that the line search tries.
        finite_differences: approximate Fisher products by differences of the KL divergence's gradient, as the authors
            did, instead of computing them exactly.
    """

    max_kl: float = 0.01
    damping: float = 1e-5
    iterations: int = 10
    tolerance: float = 1e-10
    backtrack_ratio: float = 0.8
    max_backtracks: int = 15
    finite_differences: bool = False

    def __post_init__(self):
        for name in ("max_kl", "damping", "tolerance", "backtrack_ratio"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not value >= 0:
                raise UsageError(f"{name}: {value!r} is not allowed; expected a number from 0")
        # Negated comparisons, so that NaN is refused, too.
        if not 0 < self.max_kl < np.inf:
            raise UsageError(f"max_kl: {self.max_kl} is not allowed; expected a number above 0")
        if not 0 <= self.damping < np.inf:
            raise UsageError(f"damping: {self.damping} is not allowed; expected a number from 0")
        if not 0 < self.backtrack_ratio < 1:
            raise UsageError(f"backtrack_ratio: {self.backtrack_ratio} is not allowed; expected a number in (0, 1)")
        for name in ("iterations", "max_backtracks"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise UsageError(f"{name}: {value!r} is not allowed; expected a whole number from 1")


@dataclasses.dataclass(frozen=True)
class Objective:
    """What is optimised, as functions of a parameter vector theta [P].

    Attributes:
        loss_and_gradient: theta -> (loss, gradient [P]).
        loss_and_kl: theta -> (loss, mean KL divergence from the sampling policy).
        fisher_product: v [P] -> F v [P], F the second derivative of the KL divergence at the sampling parameters.
        kl_gradient: theta -> gradient of the KL divergence [P]; for finite differences only.
    """

    loss_and_gradient: Callable[[Vector], tuple[float, Vector]]
    loss_and_kl: Callable[[Vector], tuple[float, float]]
    fisher_product: Product
    kl_gradient: Callable[[Vector], Vector] | None = None

    def restricted(self, theta: Vector, entries: np.ndarray) -> "Objective":
        """The same as a function of some entries of theta; the others keep their values.

        Args:
            theta: float64 [P], the sampling parameters.
            entries: int [p], the positions of the free entries.
        """

        def whole(part, rest):
            vector = rest.copy()
            vector[entries] = part
            return vector

        def loss_and_gradient(part):
            loss, gradient = self.loss_and_gradient(whole(part, theta))
            return loss, gradient[entries]

        kl_gradient = self.kl_gradient
        return Objective(
            loss_and_gradient,
            lambda part: self.loss_and_kl(whole(part, theta)),
            lambda v: self.fisher_product(whole(v, np.zeros_like(theta)))[entries],
            None if kl_gradient is None else lambda part: kl_gradient(whole(part, theta))[entries],
        )


@dataclasses.dataclass(frozen=True)
class Step:
    """The outcome of one update.

    Attributes:
        theta: the new parameters [P]; the old ones if no step length was accepted.
        accepted: whether a step length was accepted.
        loss_before: the loss at the old parameters.
        loss_after, kl: the loss and the mean KL divergence at `theta`.
        backtracks: step lengths that were rejected.
    """

    theta: Vector
    accepted: bool
    loss_before: float
    loss_after: float
    kl: float
    backtracks: int


def update(objective: Objective, theta: Vector, region: TrustRegion) -> Step:
    """One step within the trust region.

    Args:
        objective: its sampling parameters must be `theta`.
        theta: float64 [P].
        region: the settings.

    Returns:
        The new parameters lower the loss and keep the KL divergence within the limit, or they are theta itself.

    Raises:
        FloatingPointError: the loss or its gradient at theta is not finite.
    """
    loss, gradient = objective.loss_and_gradient(theta)
    if not (np.isfinite(loss) and np.isfinite(gradient).all()):
        raise FloatingPointError(f"the loss ({loss}) or its gradient is not finite before the update")
    fisher_product = objective.fisher_product
    if region.finite_differences:
        if objective.kl_gradient is None:
            raise ValueError("finite differences need the objective's kl_gradient")
        fisher_product = finite_difference_product(objective.kl_gradient, theta)
    full_step = natural_gradient_step(fisher_product, gradient, region)
    if not np.isfinite(full_step).all():
        raise FloatingPointError("the natural gradient step is not finite: a Fisher product is not finite, or negative")
    return line_search(objective.loss_and_kl, theta, loss, full_step, region)


def natural_gradient_step(fisher_product: Product, gradient: Vector, region: TrustRegion) -> Vector:
    """The longest step [P] along F^-1 g whose KL divergence, to second order, is within the limit.

    With x = F^-1 g the divergence of a step s x is s^2 x' F x / 2, so s = sqrt(2 max_kl / x' F x). The step is to be
    subtracted from theta.
    """

    def damped_product(v):
        return fisher_product(v) + region.damping * v

    direction, image = conjugate_gradient(damped_product, gradient, region.iterations, region.tolerance)
    return np.sqrt(2 * region.max_kl / (direction @ image + 1e-8)) * direction


def conjugate_gradient(
    product: Product, b: Vector, iterations: int = 10, tolerance: float = 1e-10
) -> tuple[Vector, Vector]:
    """Approximately solves A x = b for a symmetric positive definite A.

    Args:
        product: v -> A v.
        b: [P].
        iterations: limit of iterations, one product each.
        tolerance: stop when the squared norm of the residual is below.

    Returns:
        (x, A x), both [P]. A x follows from the residual and costs no product.
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


def line_search(
    loss_and_kl: Callable[[Vector], tuple[float, float]],
    theta: Vector,
    loss: float,
    full_step: Vector,
    region: TrustRegion,
) -> Step:
    """The longest of the shortened steps that lowers the loss and keeps the KL divergence within the limit.

    Args:
        loss_and_kl: see `Objective`.
        theta: where the search starts, [P].
        loss: the loss at theta.
        full_step: [P], to be subtracted.
        region: how steps are shortened, how many are tried, and the limit of the divergence.
    """
    for backtracks in range(region.max_backtracks):
        candidate = theta - region.backtrack_ratio**backtracks * full_step
        new_loss, kl = loss_and_kl(candidate)
        if new_loss < loss and kl <= region.max_kl:
            return Step(candidate, True, float(loss), float(new_loss), float(kl), backtracks)
    return Step(theta, False, float(loss), float(loss), 0.0, region.max_backtracks)


def finite_difference_product(gradient: Callable[[Vector], Vector], theta: Vector) -> Product:
    """v -> H v by a central difference of a gradient at theta +- eps v, with the authors' eps = 1 / (|theta| + 1e-8).

    Their code asks for a base value of 1e-8 but passes it as another argument, so the base value was 1 in every
    published run (PROTOCOL 0, row 9). In float32 the intended value would give noise.
    """
    eps = 1.0 / (np.linalg.norm(theta) + 1e-8)

    def product(v):
        return (gradient(theta + eps * v) - gradient(theta - eps * v)) / (2 * eps)

    return product
